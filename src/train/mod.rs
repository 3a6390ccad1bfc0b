//! Training: the experiment file, the one training loop, the run directory and exact resume.

mod config;
mod experiment;
mod optimizer;
mod run;
mod samples;
mod schedule;
mod state;
mod trainer;

pub use config::{DataConfig, Decay, Method, ScheduleKind, TrainConfig};
pub use experiment::Experiment;
pub use optimizer::Optimizer;
pub use run::{Run, history, model_file};
pub use schedule::Schedule;
pub use state::{Origin, Position, State};
pub use trainer::{Event, Trainer};
