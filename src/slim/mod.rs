//! Slimming: removes blocks of a network for good.
//!
//! [`select_blocks`] ranks blocks by a [`Criterion`] and selects as many as reach a [`Goal`]. [`verify`] removes them,
//! recovers the network by [`recalibrate`] and [`finetune`], and writes it. The outputs of the slimmed network are those of
//! the whole one along the route without the blocks, bit for bit, and so are those of the file that is written.
//!
//! One half of the samples selects the blocks, the other half gives the scores, so that the scores are not biased by the
//! selection.
//!
//! # Examples
//! ```
//! use unrolled::nn::{Network, Route};
//! use unrolled::open::AnyNetwork;
//! use unrolled::slim::{Prunable, removable};
//!
//! let network = AnyNetwork::open("tests/open/cifar-b.legacy.pth.tar")?;
//! let (candidates, _) = removable(&network);
//! let slim = network.slimmed(&Route::identity(network.outline()).without_block(candidates[0]))?;
//! assert!(slim.outline().parameters < network.outline().parameters);
//! # Ok::<(), unrolled::Error>(())
//! ```

mod any_network;
mod builder;
mod criterion;
mod goal;
#[cfg(feature = "onnx")]
mod graph;
mod latency;
mod present;
mod prunable;
mod recover;
mod removal_plan;
mod results;
mod select;
mod verify;

pub use builder::Slim;
pub use criterion::Criterion;
pub use goal::Goal;
pub use present::slimming_report;
pub use prunable::Prunable;
pub use recover::{RecoveredNetwork, Recovery, RecoveryStep, finetune, recalibrate};
pub use removal_plan::{RemovalPlan, blocks_by_name};
pub use results::{Chosen, Ranking, Removal, Sizes, Slimmed, Slimming, Version};
pub use select::{Selection, removable, select_blocks};
pub use verify::{draft_name, score_rankings, verify};

/// Called with what is being done, how much of it is done, and how much there is in all.
pub type ProgressFn<'a> = &'a mut dyn FnMut(&str, u64, u64);
