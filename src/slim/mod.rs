//! Slimming: a route made permanent. Blocks are ranked, chosen, and left out for good; the file that is written is
//! opened again and has to answer as the route did.
//!
//! The samples are halved: one half chooses, the other proves, so that no figure flatters the choice that it made.

mod choose;
mod form;
#[cfg(feature = "onnx")]
mod graph;
mod heal;
mod latency;
mod plan;
mod prove;
mod ranking;
mod results;
mod target;

pub use choose::{Choice, choose, removable};
pub use form::{Checkpoint, Prunable};
pub use heal::{Healing, finetune, reestimate};
pub use plan::{Plan, named};
pub use prove::{Healed, file_name, prove, routes_compared};
pub use ranking::Criterion;
pub use results::{Chosen, Ranking, Removal, Sizes, Slimmed, Slimming, Version};
pub use target::Goal;

/// Hears of what is under way, of what is done of it, and of how much there is.
pub type Progress<'a> = &'a mut dyn FnMut(&str, u64, u64);
