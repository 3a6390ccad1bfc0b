//! A block: a body, its gates, a shortcut, and the wiring that makes one new estimate of them.

use burn::tensor::{Tensor, activation};
use serde::{Deserialize, Serialize};

use super::body::layer_and_norm;
use super::{Body, BodyPlan, Builder, GateKind, Init, Layer, Norm, Order, Pass, Shape, Window, Wiring};
use crate::Result;

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
pub struct BlockPlan {
    /// How `h` and `x` are combined.
    pub wiring: Wiring,
    /// The layers of H.
    pub body: BodyPlan,
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
    plan: BlockPlan,
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
pub struct Inside<E> {
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
    pub fn new(builder: &mut Builder, input: Shape, plan: BlockPlan) -> Result<(Self, Shape)> {
        let on_h = plan.last_relu == LastRelu::H;
        let (body, output) = builder.within("body", |b| Body::new(b, input, &plan.body, on_h))?;
        let mut gate = |name: &str, bias| builder.within(name, |b| Body::gate(b, input, &plan.body, plan.gate, bias));
        let transform = plan.wiring.has_transform_gate().then(|| gate("transform", plan.gate_bias)).transpose()?;
        let carry = plan.wiring.has_carry_gate().then(|| gate("carry", -plan.gate_bias)).transpose()?;
        let shortcut = Self::make_shortcut(builder, input, output, &plan)?;
        Ok((Self { plan, body, transform, carry, shortcut }, output))
    }

    fn make_shortcut(builder: &mut Builder, input: Shape, output: Shape, plan: &BlockPlan) -> Result<Shortcut> {
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
    pub fn forward(&self, pass: &mut Pass, x: Tensor<4>) -> Tensor<4> {
        if !pass.survives(self.plan.survival) {
            return self.skip(pass, x);
        }
        self.inside(pass, x).estimate
    }

    /// The new estimate and what it is made of.
    ///
    /// Where layer dropout trains, the estimate of a pass that does not is the mean of the block and of what its
    /// dropping leaves, `p·(t·h + c·x) + (1 - p)·x` (Huang et al. 2016).
    pub fn inside(&self, pass: &mut Pass, x: Tensor<4>) -> Inside<Tensor<4>> {
        let h = self.body.forward(pass, x.clone());
        let transform = self.transform.as_ref().map(|gate| gate.forward(pass, x.clone()));
        let carry = self.carry.as_ref().map(|gate| gate.forward(pass, x.clone()));
        let carried = match self.plan.wiring {
            Wiring::Plain if pass.is_training() || self.plan.survival >= 1.0 => None,
            _ => self.carried(pass, x),
        };
        let mixed = self.mix(&h, transform.as_ref(), carry.as_ref(), carried.as_ref());
        let mixed = match carried {
            Some(x) if !pass.is_training() && self.plan.survival < 1.0 => {
                let p = self.plan.survival;
                mixed.mul_scalar(p) + x.mul_scalar(1.0 - p)
            }
            _ => mixed,
        };
        Inside { h, transform, carry, estimate: self.finish(mixed) }
    }

    /// What is left of the block when it is left out: its shortcut, and the ReLU that follows the sum.
    pub fn skip(&self, pass: &mut Pass, x: Tensor<4>) -> Tensor<4> {
        match self.carried(pass, x.clone()) {
            Some(carried) => self.finish(carried),
            None => self.inside(pass, x).estimate,
        }
    }

    /// Why the block cannot be left out; `None` where it can.
    pub fn fixed(&self) -> Option<&'static str> {
        matches!(self.shortcut, Shortcut::None).then_some("a plain block that changes the shape has no shortcut")
    }

    /// Whether the output has another shape than the input.
    pub fn changes_shape(&self) -> bool {
        !matches!(self.shortcut, Shortcut::Identity)
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
    pub fn describe_shortcut(&self) -> &'static str {
        match self.shortcut {
            Shortcut::Identity => "identity",
            Shortcut::ZeroPadding { .. } => "zero-padding",
            Shortcut::Projection(..) => "projection",
            Shortcut::None => "none",
        }
    }

    /// The wiring's equation.
    fn mix(&self, h: &Tensor<4>, t: Option<&Tensor<4>>, c: Option<&Tensor<4>>, x: Option<&Tensor<4>>) -> Tensor<4> {
        let (h, Some(x)) = (h.clone(), x.cloned()) else { return h.clone() };
        match (self.plan.wiring, t.cloned(), c.cloned()) {
            (Wiring::Residual, ..) => h + x,
            (Wiring::Highway, Some(t), _) => t * (h - x.clone()) + x,
            (Wiring::Full, Some(t), Some(c)) => t * h + c * x,
            (Wiring::TOnly, Some(t), _) => t * h + x,
            (Wiring::COnly, _, Some(c)) => h + c * x,
            _ => h,
        }
    }

    /// The input as it arrives at the sum.
    fn carried(&self, pass: &mut Pass, x: Tensor<4>) -> Option<Tensor<4>> {
        match &self.shortcut {
            Shortcut::Identity => Some(x),
            Shortcut::None => None,
            Shortcut::ZeroPadding { stride, channels } => Some(zero_pad(x, *stride, *channels)),
            Shortcut::Projection(layer, norm) => {
                let x = match self.body.first_norm() {
                    // Its statistics were kept when the body ran.
                    Some(first) => activation::relu(first.forward(&mut pass.quiet(), x)),
                    None if self.plan.body.order == Order::Pre => activation::relu(x),
                    None => x,
                };
                Some(layer_and_norm(layer, norm, pass, x))
            }
        }
    }

    fn finish(&self, sum: Tensor<4>) -> Tensor<4> {
        match self.plan.last_relu {
            LastRelu::Sum => activation::relu(sum),
            _ => sum,
        }
    }
}

/// Every stride-th pixel; the missing channels are zeros, half of them before and half behind, as the PyTorch networks
/// that others trained have it.
fn zero_pad(x: Tensor<4>, stride: usize, channels: usize) -> Tensor<4> {
    let every = || burn::tensor::Slice::new(0, None, stride as isize);
    let x = if stride == 1 { x } else { x.slice_dim(2, every()).slice_dim(3, every()) };
    let [batch, have, height, width] = x.dims();
    let missing = channels - have;
    let before = missing / 2;
    let zeros = |n| Tensor::<4>::zeros([batch, n, height, width], &x.device());
    let parts = [(before, None), (have, Some(x.clone())), (missing - before, None)];
    let parts = parts.into_iter().filter(|(n, _)| *n > 0).map(|(n, part)| part.unwrap_or_else(|| zeros(n)));
    Tensor::cat(parts.collect(), 1)
}
