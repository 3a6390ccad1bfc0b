//! Training: the experiment file, the training loop, the run directory, and checkpoints from which a training continues
//! exactly.

mod checks;
mod config;
mod config_errors;
mod config_keys;
mod experiment;
mod initial_weights;
mod open_data;
mod optimizer;
mod run_directory;
mod run_files;
mod schedule;
mod state;
mod trainer;
mod versions;

pub use config::{DataConfig, DecayScope, OptimizerKind, ScheduleKind, TrainConfig};
pub use experiment::Experiment;
pub use optimizer::Optimizer;
pub use run_directory::RunDirectory;
pub use run_files::{Unfinished, model_file, read_history};
pub use schedule::Schedule;
pub use state::{DataFingerprints, TrainingProgress, TrainingSetup, TrainingState};
pub use trainer::{Event, Trainer};
pub use versions::Resume;
