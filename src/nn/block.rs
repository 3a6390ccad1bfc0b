//! A block: a body, its gates, a shortcut, and the wiring that combines them into the next estimate.

use serde::{Deserialize, Serialize};

use super::shortcut::ShortcutLayers;
use super::{
    Body, BodyConfig, ForwardContext, GateKind, NetworkBuilder, ReceptiveField, Shape, Shortcut, ShortcutOption, Wiring,
};
use crate::Result;
use crate::kernel::{Carry, FeatureMap, Weights};

/// The position of the last ReLU of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastRelu {
    /// After the sum `t·h + c·x` (He et al. 2015).
    Sum,
    /// On `h`, before the gate (Srivastava et al. 2015; "Highway-Full" in Section 5.1).
    H,
    /// Nowhere ("Highway" in Section 5.1; pre-activation order).
    None,
}

/// The configuration of a [`Block`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockConfig {
    /// How `h` and `x` are combined.
    pub wiring: Wiring,
    /// The layers of H.
    pub body: BodyConfig,
    /// The layers of T and C.
    pub gate: GateKind,
    /// Initial bias of T. That of C is its negative, so that both gates start by carrying the input.
    pub gate_bias: f32,
    /// Shortcut of a block that changes the shape.
    pub shortcut: ShortcutOption,
    /// Position of the last ReLU.
    pub last_relu: LastRelu,
    /// Probability that layer dropout keeps the block in a training step (Huang et al. 2016).
    pub survival: f64,
}

/// A block, `y = t·h + c·x`; see [`Wiring`].
#[derive(Clone, Debug)]
pub struct Block {
    config: BlockConfig,
    body: Body,
    transform: Option<Body>,
    carry: Option<Body>,
    shortcut: ShortcutLayers,
}

/// The intermediate values and the output of a block.
pub struct BlockActivations<E> {
    /// The new value `h`.
    pub h: E,
    /// Activity of the transform gate, if the block has one.
    pub transform: Option<E>,
    /// Activity of the carry gate, if it is a gate of its own.
    pub carry: Option<E>,
    /// The output of the block.
    pub estimate: E,
}

/// The terms of `y = t·h + c·x`, with the gates before their sigmoid.
struct Terms {
    h: FeatureMap,
    transform: Option<FeatureMap>,
    carry: Option<FeatureMap>,
    /// The output of the shortcut; `None` if it is not part of the sum.
    x: Option<FeatureMap>,
}

impl Block {
    /// Builds a block; returns the shape of its output too.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if a window does not fit into the input, [`crate::Error::Config`] if the shortcut cannot be
    /// built.
    pub fn new(builder: &mut NetworkBuilder, input: Shape, config: BlockConfig) -> Result<(Self, Shape)> {
        let relu_on_h = config.last_relu == LastRelu::H;
        let (body, output) = builder.scope("body", |b| Body::new(b, input, &config.body, relu_on_h))?;
        let mut gate =
            |name: &str, bias| builder.scope(name, |b| Body::gate(b, input, &config.body, config.gate, bias));
        let transform = config.wiring.has_transform_gate().then(|| gate("transform", config.gate_bias)).transpose()?;
        let carry = config.wiring.has_carry_gate().then(|| gate("carry", -config.gate_bias)).transpose()?;
        let shortcut = match config.wiring {
            _ if input == output => ShortcutLayers::Identity,
            Wiring::Plain => ShortcutLayers::None,
            _ => ShortcutLayers::new(builder, [input, output], &config.body, config.shortcut)?,
        };
        Ok((Self { config, body, transform, carry, shortcut }, output))
    }

    /// Computes the next estimate from `x`, `[batch, channels, height, width]`.
    ///
    /// In a training step, layer dropout may replace the block by its shortcut. In inference, a block that was trained so
    /// returns the mean of both, `p·(t·h + c·x) + (1 - p)·x` (Huang et al. 2016).
    pub fn forward(&self, context: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        if !context.draw_survival(self.config.survival) {
            return self.forward_shortcut(context, x);
        }
        if let Some([h, transform, carry]) = self.dense_weights(context, &x) {
            let relu = [LastRelu::H, LastRelu::Sum].map(|place| self.config.last_relu == place);
            return x.dense_block(h.expect("weights of the body"), transform, self.carry_term(carry), relu);
        }
        if self.can_add_in_body(context)
            && let Some(shortcut) = self.shortcut.forward(context, &self.body, x.clone())
        {
            let sum = self.body.forward_add(context, x, shortcut);
            return if self.ends_in_relu() { sum.relu() } else { sum };
        }
        let terms = self.terms(context, x);
        self.combine(context, terms)
    }

    /// Computes the next estimate, and returns the new value and the gates too.
    pub fn block_activations(&self, context: &mut ForwardContext, x: FeatureMap) -> BlockActivations<FeatureMap> {
        let terms = self.terms(context, x);
        let h = terms.h.clone();
        let gate = |input: &Option<FeatureMap>| input.clone().map(FeatureMap::sigmoid);
        let (transform, carry) = (gate(&terms.transform), gate(&terms.carry));
        BlockActivations { h, transform, carry, estimate: self.combine(context, terms) }
    }

    /// Computes the shortcut and the ReLU after the sum: what is left of the block if it is left out. A block without a
    /// shortcut runs as a whole.
    pub fn forward_shortcut(&self, context: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        match self.shortcut.forward(context, &self.body, x.clone()) {
            Some(shortcut) => self.apply_last_relu(shortcut),
            None => self.block_activations(context, x).estimate,
        }
    }

    /// Whether the block is `h + x` in this context, with nothing between the last layer of the body and the sum.
    fn can_add_in_body(&self, context: &ForwardContext) -> bool {
        let is_sum = self.config.wiring == Wiring::Residual && !self.is_mean_over_dropout(context);
        is_sum && self.body.can_add(context)
    }

    /// Whether the output is the mean over layer dropout: in inference, if the block may be dropped in training.
    fn is_mean_over_dropout(&self, context: &ForwardContext) -> bool {
        !context.is_training() && self.config.survival < 1.0
    }

    /// Returns the weights of body, transform gate and carry gate if each of them is one dense layer of `x`. The block is
    /// then a single operation.
    fn dense_weights(&self, context: &ForwardContext, x: &FeatureMap) -> Option<[Option<Weights>; 3]> {
        if self.is_mean_over_dropout(context)
            || self.changes_shape()
            || !x.can_run_dense_block(context.parameters.kernels())
        {
            return None;
        }
        let bodies = [Some(&self.body), self.transform.as_ref(), self.carry.as_ref()];
        let weights = bodies.map(|body| body.map(|body| body.dense_weights(context)));
        let are_all_dense = weights.iter().flatten().all(Option::is_some);
        are_all_dense.then(|| weights.map(Option::flatten))
    }

    fn terms(&self, context: &mut ForwardContext, x: FeatureMap) -> Terms {
        let h = self.body.forward(context, x.clone());
        let transform = self.transform.as_ref().map(|gate| gate.forward(context, x.clone()));
        let carry = self.carry.as_ref().map(|gate| gate.forward(context, x.clone()));
        let x = match self.config.wiring {
            Wiring::Plain if !self.is_mean_over_dropout(context) => None,
            _ => self.shortcut.forward(context, &self.body, x),
        };
        Terms { h, transform, carry, x }
    }

    /// Computes the wiring's equation, and the ReLU after the sum if there is one.
    fn combine(&self, context: &ForwardContext, Terms { h, transform, carry, x }: Terms) -> FeatureMap {
        let dropped = x.clone().filter(|_| self.is_mean_over_dropout(context));
        let carried = self.carry_term(carry).zip(x);
        let Some(dropped) = dropped else { return FeatureMap::combine(h, transform, carried, self.ends_in_relu()) };
        let p = self.config.survival;
        let kept = FeatureMap::combine(h, transform, carried, false).into_plain();
        let mean = FeatureMap::from(kept.mul_scalar(p) + dropped.into_plain().mul_scalar(1.0 - p));
        self.apply_last_relu(mean)
    }

    /// Returns the factor `c` of the input, given the carry gate if the block has one; `None` if `c` is 0.
    fn carry_term<Gate>(&self, gate: Option<Gate>) -> Option<Carry<Gate>> {
        match (self.config.wiring, gate) {
            (Wiring::Plain, _) => None,
            (Wiring::Highway, _) => Some(Carry::OneMinusTransform),
            (Wiring::Full | Wiring::COnly, Some(c)) => Some(Carry::Gate(c)),
            _ => Some(Carry::Identity),
        }
    }

    fn apply_last_relu(&self, sum: FeatureMap) -> FeatureMap {
        let sum = if self.ends_in_relu() { sum.relu() } else { sum };
        sum.materialize()
    }
}

/// The structure of a block.
impl Block {
    /// Returns why the block cannot be left out of a route; `None` if it can.
    pub fn why_not_removable(&self) -> Option<&'static str> {
        matches!(self.shortcut, ShortcutLayers::None).then_some("a plain block that changes the shape has no shortcut")
    }

    /// Whether the output has another shape than the input.
    pub fn changes_shape(&self) -> bool {
        !matches!(self.shortcut, ShortcutLayers::Identity)
    }

    /// Whether a ReLU follows the sum. It follows the shortcut too if the block is left out.
    pub fn ends_in_relu(&self) -> bool {
        self.config.last_relu == LastRelu::Sum
    }

    /// Returns the receptive field of a unit of the output, along body, gates and shortcut, from that of a unit of the
    /// input; `None` stands for the whole sample.
    pub fn receptive_field(&self, input: Option<ReceptiveField>) -> Option<ReceptiveField> {
        let gates = [&self.transform, &self.carry].into_iter().flatten().map(|gate| gate.receptive_field(input));
        gates
            .chain(self.shortcut.receptive_field(input))
            .fold(self.body.receptive_field(input), |field, path| Some(field?.union(path?)))
    }

    /// Returns the probability that layer dropout keeps the block in a training step.
    pub fn survival(&self) -> f64 {
        self.config.survival
    }

    /// Returns the wiring.
    pub fn wiring(&self) -> Wiring {
        self.config.wiring
    }

    /// Returns a description of the body's layers, such as `3x3 16 · 3x3 16`.
    pub fn describe_body(&self) -> String {
        self.body.describe()
    }

    /// Returns what the skip connection computes.
    pub fn shortcut(&self) -> Shortcut {
        self.shortcut.outline()
    }
}
