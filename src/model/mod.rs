//! Named networks, built from the parts of [`crate::nn`]: deep MLPs, ResNets for small images and in the ImageNet
//! layout, in any wiring, and the paper's and its relatives' Highway networks.

mod config;
mod ends;
mod epoch;
mod file;
mod line;
mod plan;
mod resolve;
mod slimmed;
mod table;
mod trained;
mod words;

pub use config::{ModelConfig, Width};
pub use epoch::Epoch;
pub(crate) use file::CARD;
pub use file::{Metadata, Opened, check_classes, from_bytes, to_bytes};
pub use table::{Family, Kind, Size, StemKind};
pub use trained::Model;
