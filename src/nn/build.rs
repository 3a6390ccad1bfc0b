//! Building a network: names, shapes, initial values, and the count of what it costs.

use super::{Init, Layer, Norm, ParameterId, Parameters, Role, Window};
use crate::random::{ChaCha8Rng, Purpose, normal, stream, uniform};
use crate::{Error, Result};

/// `[channels, height, width]` of one sample.
pub type Shape = [usize; 3];

/// Adds parameters under a name and keeps account of shapes and FLOPs.
///
/// Initial values depend on the seed and the parameter's name alone. A name that is there already is shared.
pub struct Builder {
    /// What was added so far.
    pub parameters: Parameters,
    /// Multiply-adds of one sample times two, so far.
    pub flops: u64,
    seed: u64,
    /// Where it is set, all weights and what is added to all biases start uniform in `±spread`.
    spread: Option<f32>,
    name: Vec<String>,
    statistics: Option<String>,
}

impl Builder {
    /// Starts with no parameters.
    pub fn new(parameters: Parameters, seed: u64) -> Self {
        Self { parameters, flops: 0, seed, spread: None, name: Vec::new(), statistics: None }
    }

    /// From here on all weights start uniform in `±spread`, and all biases that far from where they start otherwise.
    pub fn set_spread(&mut self, spread: f32) {
        self.spread = Some(spread);
    }

    pub(crate) fn spread(&self) -> f32 {
        self.spread.unwrap_or(0.0)
    }

    /// Builds a part under a longer name.
    pub fn within<T>(&mut self, name: impl Into<String>, build: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.name.push(name.into());
        let part = build(self);
        self.name.pop();
        part
    }

    /// Builds a part whose parameters are those of the part of that `name`, but whose running statistics are its own.
    pub fn sharing<T>(
        &mut self,
        name: impl Into<String>,
        own: impl Into<String>,
        build: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.statistics = Some(own.into());
        let part = self.within(name, build);
        self.statistics = None;
        part
    }

    /// A layer without or with a bias that starts at the given value. Returns the shape of its output too.
    ///
    /// # Errors
    /// [`Error::Config`] where the window does not fit into the input.
    pub fn layer(
        &mut self,
        input: Shape,
        out: usize,
        window: Option<Window>,
        init: Init,
        bias: Option<f32>,
    ) -> Result<(Layer, Shape)> {
        let [channels, height, width] = input;
        let (output, shape) = match window {
            None => ([out, 1, 1], vec![out, channels * height * width]),
            Some(w) => match (w.output(height), w.output(width)) {
                (Some(h), Some(v)) => ([out, h, v], vec![out, channels, w.size, w.size]),
                _ => return Err(self.too_small(input, w)),
            },
        };
        let fan_in: usize = shape[1..].iter().product();
        let fan_out = fan_in / shape[1] * out;
        let deviation = match init {
            Init::He(factor) => factor * (2.0 / fan_in as f64).sqrt(),
            Init::Glorot => (2.0 / (fan_in + fan_out) as f64).sqrt(),
            Init::Uniform => 1.0 / (fan_in as f64).sqrt(),
        } as f32;
        let spread = self.spread;
        let draw = |rng: &mut ChaCha8Rng| match (spread, init) {
            (Some(spread), _) => spread * (2.0 * uniform(rng) - 1.0),
            (None, Init::Uniform) => deviation * (2.0 * uniform(rng) - 1.0),
            _ => deviation * normal(rng),
        };
        let weight = self.parameter("weight", shape, Role::Weight, draw);
        let bias = bias.map(|value| self.bias(out, value));
        let multiply_adds = output.iter().fold(fan_in as u64, |all, &side| all.saturating_mul(side as u64));
        self.flops = self.flops.saturating_add(multiply_adds.saturating_mul(2));
        Ok((Layer { weight, bias, window, channels: [channels, out] }, output))
    }

    fn bias(&mut self, out: usize, value: f32) -> ParameterId {
        let spread = self.spread();
        self.parameter("bias", vec![out], Role::Bias, |rng| match spread {
            0.0 => value,
            _ => value + spread * (2.0 * uniform(rng) - 1.0),
        })
    }

    /// A weight of any shape and a bias of so many values, both uniform in `±spread`.
    pub(crate) fn weights(&mut self, shape: Vec<usize>, out: usize) -> [ParameterId; 2] {
        let spread = self.spread();
        let weight = self.parameter("weight", shape, Role::Weight, |rng| spread * (2.0 * uniform(rng) - 1.0));
        [weight, self.bias(out, 0.0)]
    }

    /// A normalization of so many channels whose shift starts at the given value.
    pub fn norm(&mut self, channels: usize, shift: f32) -> Norm {
        let shape = || vec![channels];
        Norm {
            scale: self.parameter("scale", shape(), Role::Norm, |_| 1.0),
            shift: self.parameter("shift", shape(), Role::Norm, |_| shift),
            mean: self.parameter("mean", shape(), Role::Statistic, |_| 0.0),
            variance: self.parameter("variance", shape(), Role::Statistic, |_| 1.0),
        }
    }

    fn too_small(&self, input: Shape, window: Window) -> Error {
        Error::Shape {
            name: format!("{}, {1}x{1} window", self.name.join("."), window.size),
            found: input.to_vec(),
            expected: vec![input[0], window.size, window.size],
        }
    }

    pub(crate) fn parameter(
        &mut self,
        last: &str,
        shape: Vec<usize>,
        role: Role,
        mut draw: impl FnMut(&mut ChaCha8Rng) -> f32,
    ) -> ParameterId {
        let mut parts = self.name.clone();
        if let (Role::Statistic, Some(own)) = (role, &self.statistics) {
            parts[0].clone_from(own);
        }
        parts.push(last.to_owned());
        let name = parts.join(".");
        self.parameters.find(&name).unwrap_or_else(|| {
            let path: Vec<u64> = name.bytes().map(u64::from).collect();
            let mut rng = stream(self.seed, Purpose::Init, &path);
            self.parameters.add(name, shape, role, || draw(&mut rng))
        })
    }
}
