//! What networks are made of: parameters, layers, bodies, gates, blocks and stages; and what measuring needs of
//! any network: the [`Network`] trait and the [`Route`] through its blocks.

mod block;
mod body;
mod build;
mod char_cnn;
mod forward_context;
mod layer;
mod loss;
mod network;
mod outline;
mod parameters;
mod recurrent;
mod recurrent_state;
mod route;
mod stage;
mod wiring;

pub use block::{Block, BlockActivations, BlockConfig, LastRelu, ShortcutKind};
pub use body::{Body, BodyConfig, BodyKind, GateKind, Order};
pub(crate) use body::{layer_and_norm, normalize};
pub use build::{Builder, Shape};
pub use char_cnn::{CharCnn, CharCnnConfig};
pub use forward_context::{ForwardContext, Training};
pub use layer::{Init, Layer, MOMENTUM, Norm, Window};
pub(crate) use loss::loss_directions;
pub use loss::{Loss, cross_entropy};
pub use network::{BlockId, Logits, Network, Samples};
pub use outline::{BlockOutline, Outline, ReceptiveField, Skip, StageOutline};
pub(crate) use parameters::host as parameters_host;
pub use parameters::{Parameter, ParameterId, Parameters, Role};
pub use recurrent::{Recurrent, RecurrentConfig};
pub use recurrent_state::RecurrentState;
pub(crate) use recurrent_state::SavedRecurrentState;
pub use route::{Route, Step};
pub use stage::{Pool, Stage, StageConfig};
pub use wiring::Wiring;
