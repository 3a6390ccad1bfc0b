//! The parts of networks: parameters, layers, bodies, gates, blocks and stages.
//!
//! The module also has the interface between networks and measurements: the [`Network`] trait, the [`Outline`] of a network,
//! and a [`Route`] through its blocks.

mod answer;
mod block;
mod block_id;
mod body;
mod builder;
mod char_cnn;
mod forward_context;
mod layer;
mod loss;
mod network;
mod outline;
mod parameters;
mod receptive_field;
mod recurrent;
mod recurrent_state;
mod route;
mod self_check;
mod shortcut;
mod stage;
mod wiring;

pub use answer::{Answer, AnswerKind, AnswerOptions, Positions};
pub use block::{Block, BlockActivations, BlockConfig, LastRelu};
pub use block_id::BlockId;
pub use body::{ActivationOrder, Body, BodyConfig, BodyKind, GateKind};
pub(crate) use body::{forward_layer_norm, normalize};
pub use builder::{NetworkBuilder, Shape};
pub use char_cnn::{CharCnn, CharCnnConfig};
pub use forward_context::{ForwardContext, TrainingStep};
pub use layer::{BATCH_NORM_MOMENTUM, BatchNorm, Init, Layer, WeightForm, Window};
pub(crate) use loss::unit_loss_gradients;
pub use loss::{Loss, LossFigures, cross_entropy};
pub use network::{Logits, Network, PositionMask, Samples};
pub use outline::{BlockOutline, Outline, Shortcut, StageOutline};
pub(crate) use parameters::tensor_to_vec;
pub use parameters::{Parameter, ParameterId, Parameters, Role};
pub use receptive_field::ReceptiveField;
pub use recurrent::{Recurrent, RecurrentConfig};
pub use recurrent_state::RecurrentState;
pub(crate) use recurrent_state::SavedRecurrentState;
pub use route::{Route, Step};
pub(crate) use self_check::compare_with_whole;
pub use shortcut::ShortcutOption;
pub use stage::{Pool, Stage, StageConfig};
pub use wiring::Wiring;
