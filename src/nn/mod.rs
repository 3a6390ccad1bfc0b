//! What networks are made of: parameters, layers, bodies, gates, blocks and stages; and what measuring needs of
//! any network: the [`Network`] trait and the [`Route`] through its blocks.

mod block;
mod body;
mod build;
mod layer;
mod loss;
mod memory;
mod network;
mod parameters;
mod pass;
mod recurrent;
mod route;
mod spelling;
mod stage;
mod wiring;

pub use block::{Block, BlockPlan, Inside, LastRelu, ShortcutKind};
pub use body::{Body, BodyKind, BodyPlan, GateKind, Order};
pub(crate) use body::{layer_and_norm, normalize};
pub use build::{Builder, Shape};
pub use layer::{Init, Layer, MOMENTUM, Norm, Window};
pub(crate) use loss::loss_directions;
pub use loss::{Loss, cross_entropy};
pub use memory::Memory;
pub use network::{At, Logits, Network, Samples};
pub(crate) use parameters::host as parameters_host;
pub use parameters::{Id, Parameter, Parameters, Role};
pub use pass::{Pass, Training};
pub use recurrent::{Recurrent, RecurrentPlan};
pub use route::{Route, Step};
pub use spelling::{Spelling, SpellingPlan};
pub use stage::{Pool, Stage, StagePlan};
pub use wiring::Wiring;
