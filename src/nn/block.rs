//! A block: a body, its gates, a shortcut, and the wiring that makes one new estimate of them.

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::body::layer_and_norm;
use super::{Body, BodyConfig, Builder, ForwardContext, GateKind, Init, Layer, Norm, Order, Shape, Window, Wiring};
use super::{ReceptiveField, Skip};
use crate::Result;
use crate::kernel::{Carry, Epilogue, FeatureMap, Kernels, Weights, WindowOptions};

/// Where the last ReLU of a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastRelu {
    /// After the sum `t·h + c·x` (He et al. 2015).
    Sum,
    /// On `h`, before it is gated (Srivastava et al. 2015; "Highway-Full" in Section 5.1).
    H,
    /// Nowhere ("Highway" in Section 5.1; pre-activation).
    None,
}

/// What stands on the skip where a block changes the shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShortcutKind {
    /// Every stride-th pixel, and channels of zeros for those that are new (He et al. 2015, option A).
    ZeroPadding,
    /// A 1x1 convolution, normalized where the body is (option B).
    Projection,
}

/// What a block is built from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockConfig {
    /// How `h` and `x` are combined.
    pub wiring: Wiring,
    /// The layers of H.
    pub body: BodyConfig,
    /// The layers of T and C.
    pub gate: GateKind,
    /// Where the bias of T starts; that of C starts at its negative, so that both say "carry".
    pub gate_bias: f32,
    /// What stands on the skip where the shape changes.
    pub shortcut: ShortcutKind,
    /// Where the last ReLU stands.
    pub last_relu: LastRelu,
    /// Probability that layer dropout keeps the block in a training step.
    pub survival: f64,
}

/// One block; see [`Wiring`] for its equation.
#[derive(Clone, Debug)]
pub struct Block {
    plan: BlockConfig,
    body: Body,
    transform: Option<Body>,
    carry: Option<Body>,
    shortcut: Shortcut,
}

#[derive(Clone, Debug)]
enum Shortcut {
    Identity,
    ZeroPadding {
        stride: usize,
        channels: usize,
    },
    Projection(Layer, Option<Norm>),
    /// A plain block that changes the shape has nothing beside its body.
    None,
}

/// What can be seen inside a block.
pub struct BlockActivations<E> {
    /// The new value `h`.
    pub h: E,
    /// The transform gate's activity, where there is one.
    pub transform: Option<E>,
    /// The carry gate's activity, where it is a gate of its own.
    pub carry: Option<E>,
    /// The block's output.
    pub estimate: E,
}

impl Block {
    /// Builds a block for inputs of a shape; returns the shape of its output too.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where a window does not fit into the input.
    pub fn new(builder: &mut Builder, input: Shape, plan: BlockConfig) -> Result<(Self, Shape)> {
        let on_h = plan.last_relu == LastRelu::H;
        let (body, output) = builder.within("body", |b| Body::new(b, input, &plan.body, on_h))?;
        let mut gate = |name: &str, bias| builder.within(name, |b| Body::gate(b, input, &plan.body, plan.gate, bias));
        let transform = plan.wiring.has_transform_gate().then(|| gate("transform", plan.gate_bias)).transpose()?;
        let carry = plan.wiring.has_carry_gate().then(|| gate("carry", -plan.gate_bias)).transpose()?;
        let shortcut = Self::make_shortcut(builder, input, output, &plan)?;
        Ok((Self { plan, body, transform, carry, shortcut }, output))
    }

    fn make_shortcut(builder: &mut Builder, input: Shape, output: Shape, plan: &BlockConfig) -> Result<Shortcut> {
        if input == output {
            return Ok(Shortcut::Identity);
        }
        if plan.wiring == Wiring::Plain {
            return Ok(Shortcut::None);
        }
        let stride = plan.body.stride;
        match plan.shortcut {
            ShortcutKind::ZeroPadding if output[0] >= input[0] => {
                Ok(Shortcut::ZeroPadding { stride, channels: output[0] })
            }
            ShortcutKind::ZeroPadding => Err(crate::Error::config(
                "model.shortcut",
                format!("zero-padding cannot reduce {} channels to {}; use 'projection'", input[0], output[0]),
            )),
            ShortcutKind::Projection => builder.within("shortcut", |b| {
                // Pre-activation projects what is normalized already.
                let norm = plan.body.norm && plan.body.order == Order::Post;
                let bias = (!plan.body.norm).then_some(0.0);
                let window = Some(Window { size: 1, stride, padding: 0 });
                let (layer, _) = b.layer(input, output[0], window, Init::He(std::f64::consts::FRAC_1_SQRT_2), bias)?;
                let norm = norm.then(|| b.within("norm", |b| Ok(b.norm(output[0], 0.0)))).transpose()?;
                Ok(Shortcut::Projection(layer, norm))
            }),
        }
    }

    /// The new estimate for `x`, `[batch, channels, height, width]`.
    pub fn forward(&self, pass: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        if !pass.survives(self.plan.survival) {
            return self.skip(pass, x);
        }
        if let Some([h, transform, carry]) = self.dense(pass, &x) {
            let relu = [LastRelu::H, LastRelu::Sum].map(|place| self.plan.last_relu == place);
            return x.dense_block(h.expect("a body"), transform, self.carry(carry), relu);
        }
        if self.is_sum(pass)
            && let Some(carried) = self.carried(pass, x.clone())
        {
            let sum = self.body.onto(pass, x, carried);
            return if self.ends_in_relu() { sum.relu() } else { sum };
        }
        let parts = self.parts(pass, x);
        self.mix(pass, parts)
    }

    /// Whether this pass computes `h + x`, with nothing between the last layer and the sum.
    fn is_sum(&self, pass: &ForwardContext) -> bool {
        let is_residual = self.plan.wiring == Wiring::Residual && self.is_whole(pass);
        is_residual && self.body.can_add(pass)
    }

    /// Whether this pass computes the block alone, and not its mean with what layer dropout leaves.
    fn is_whole(&self, pass: &ForwardContext) -> bool {
        pass.is_training() || self.plan.survival >= 1.0
    }

    /// The weights of body, transform gate and carry gate where the block is one sum of dense layers of `x`, and so one
    /// operation.
    fn dense(&self, pass: &ForwardContext, x: &FeatureMap) -> Option<[Option<Weights>; 3]> {
        if !self.is_whole(pass) || self.changes_shape() || !x.can_run_dense_block(pass.parameters.kernels()) {
            return None;
        }
        let parts = [Some(&self.body), self.transform.as_ref(), self.carry.as_ref()];
        let each = parts.map(|part| part.map(|part| part.dense(pass)));
        let all_are = each.iter().flatten().all(Option::is_some);
        all_are.then(|| each.map(Option::flatten))
    }

    /// The new estimate and what it is made of.
    pub fn block_activations(&self, pass: &mut ForwardContext, x: FeatureMap) -> BlockActivations<FeatureMap> {
        let parts = self.parts(pass, x);
        let h = parts.h.clone();
        let gate = |before: &Option<FeatureMap>| before.clone().map(FeatureMap::sigmoid);
        let (transform, carry) = (gate(&parts.transform), gate(&parts.carry));
        BlockActivations { h, transform, carry, estimate: self.mix(pass, parts) }
    }

    fn parts(&self, pass: &mut ForwardContext, x: FeatureMap) -> Parts {
        let h = self.body.forward(pass, x.clone());
        let transform = self.transform.as_ref().map(|gate| gate.forward(pass, x.clone()));
        let carry = self.carry.as_ref().map(|gate| gate.forward(pass, x.clone()));
        let carried = match self.plan.wiring {
            Wiring::Plain if self.is_whole(pass) => None,
            _ => self.carried(pass, x),
        };
        Parts { h, transform, carry, carried }
    }

    /// What is left of the block when it is left out: its shortcut, and the ReLU that follows the sum.
    pub fn skip(&self, pass: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        match self.carried(pass, x.clone()) {
            Some(carried) => self.finish(carried),
            None => self.block_activations(pass, x).estimate,
        }
    }

    /// Why the block cannot be left out; `None` where it can.
    pub fn why_not_removable(&self) -> Option<&'static str> {
        matches!(self.shortcut, Shortcut::None).then_some("a plain block that changes the shape has no shortcut")
    }

    /// Whether the output has another shape than the input.
    pub fn changes_shape(&self) -> bool {
        !matches!(self.shortcut, Shortcut::Identity)
    }

    /// What a unit of the new estimate sees along body, gates and shortcut, from what a unit of the old one sees; `None`
    /// is all of a sample.
    pub fn field(&self, input: Option<ReceptiveField>) -> Option<ReceptiveField> {
        let skip = match &self.shortcut {
            Shortcut::Identity => Some(input),
            Shortcut::ZeroPadding { stride, .. } => Some(input.map(|field| field.through(1, *stride, 0))),
            Shortcut::Projection(layer, _) => Some(layer.field(input)),
            Shortcut::None => None,
        };
        let gates = [&self.transform, &self.carry].into_iter().flatten().map(|gate| gate.field(input));
        gates.chain(skip).fold(self.body.field(input), |field, path| Some(field?.and(path?)))
    }

    /// Probability that layer dropout keeps the block in a training step.
    pub fn survival(&self) -> f64 {
        self.plan.survival
    }

    /// Whether a ReLU follows the sum, and so what is left of the block when it is left out.
    pub fn ends_in_relu(&self) -> bool {
        self.plan.last_relu == LastRelu::Sum
    }

    /// The wiring.
    pub fn wiring(&self) -> Wiring {
        self.plan.wiring
    }

    /// The layers of the body in words.
    pub fn describe_body(&self) -> String {
        self.body.describe()
    }

    /// The shortcut in words.
    pub fn skip_kind(&self) -> Skip {
        match self.shortcut {
            Shortcut::Identity => Skip::Identity,
            Shortcut::ZeroPadding { .. } => Skip::ZeroPadding,
            Shortcut::Projection(..) => Skip::Projection,
            Shortcut::None => Skip::None,
        }
    }

    /// The wiring's equation, and the last ReLU where it stands after the sum.
    ///
    /// Where layer dropout trains, the estimate of a pass that does not is the mean of the block and of what its
    /// dropping leaves, `p·(t·h + c·x) + (1 - p)·x` (Huang et al. 2016).
    fn mix(&self, pass: &ForwardContext, Parts { h, transform, carry, carried }: Parts) -> FeatureMap {
        let dropped = carried.clone().filter(|_| !self.is_whole(pass));
        let carried = self.carry(carry).zip(carried);
        let last_relu = self.plan.last_relu == LastRelu::Sum;
        let Some(x) = dropped else { return FeatureMap::combine(h, transform, carried, last_relu) };
        let p = self.plan.survival;
        let mixed = FeatureMap::combine(h, transform, carried, false).into_plain();
        let mean = FeatureMap::from(mixed.mul_scalar(p) + x.into_plain().mul_scalar(1.0 - p));
        self.finish(mean)
    }

    /// What the input is weighted with, from what the carry gate is made of; `None` where it is not carried.
    fn carry<Gate>(&self, gate: Option<Gate>) -> Option<Carry<Gate>> {
        match (self.plan.wiring, gate) {
            (Wiring::Plain, _) => None,
            (Wiring::Highway, _) => Some(Carry::OneMinusTransform),
            (Wiring::Full | Wiring::COnly, Some(c)) => Some(Carry::Gate(c)),
            _ => Some(Carry::Identity),
        }
    }

    /// The input as it arrives at the sum.
    fn carried(&self, pass: &mut ForwardContext, x: FeatureMap) -> Option<FeatureMap> {
        match &self.shortcut {
            Shortcut::Identity => Some(x),
            Shortcut::None => None,
            Shortcut::ZeroPadding { stride, channels } => {
                let parameters = pass.parameters;
                Some(zero_pad(x, *stride, *channels, parameters.kernels(), parameters.device()))
            }
            Shortcut::Projection(layer, norm) => {
                let x = match self.body.first_norm() {
                    // Its statistics were kept when the body ran.
                    Some(first) => first.forward(&mut pass.without_statistics(), x).relu(),
                    None if self.plan.body.order == Order::Pre => x.relu(),
                    None => x,
                };
                Some(layer_and_norm(layer, norm, pass, x, None))
            }
        }
    }

    fn finish(&self, sum: FeatureMap) -> FeatureMap {
        let sum = match self.plan.last_relu {
            LastRelu::Sum => sum.relu(),
            _ => sum,
        };
        sum.materialize()
    }
}

/// What a block is mixed from; the gates before their sigmoid.
struct Parts {
    h: FeatureMap,
    transform: Option<FeatureMap>,
    carry: Option<FeatureMap>,
    carried: Option<FeatureMap>,
}

/// Every stride-th pixel; the missing channels are zeros, half of them before and half behind, as the PyTorch networks
/// that others trained have it. It is a projection whose weights are ones and zeros.
fn zero_pad(x: FeatureMap, stride: usize, channels: usize, kernels: Kernels, device: &Device) -> FeatureMap {
    let have = x.dims()[1];
    let before = (channels - have) / 2;
    let mut weight = vec![0.0f32; channels * have];
    (0..have).for_each(|c| weight[(before + c) * have + c] = 1.0);
    let weight = Tensor::from_data(TensorData::new(weight, [channels * have]), device);
    x.convolve(
        kernels,
        Weights::new(weight, [channels, have, 1, 1], None),
        WindowOptions { stride, padding: 0 },
        Epilogue::None,
    )
}
