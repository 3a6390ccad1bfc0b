//! The builder of networks: it names parameters, draws their initial values, and counts shapes and FLOPs.

use super::{BatchNorm, Init, Layer, ParameterId, Parameters, Role, WeightForm, Window};
use crate::random::{ChaCha8Rng, Purpose, normal, stream, uniform};
use crate::{Error, Result};

/// Shape of one sample, `[channels, height, width]`.
pub type Shape = [usize; 3];

/// Adds parameters under hierarchical names and counts the FLOPs of the layers that use them.
///
/// The initial values of a parameter depend on the seed and its name only. A name that exists already is shared.
pub struct NetworkBuilder {
    /// The parameters added so far.
    pub parameters: Parameters,
    /// Floating-point operations of one sample so far: two for each multiply-add.
    pub flops: u64,
    seed: u64,
    /// If set, weights start uniform in `±bound`, and biases at most `bound` from their usual start.
    uniform_bound: Option<f32>,
    scopes: Vec<String>,
    /// First scope of running statistics, if it is not that of the other parameters.
    statistics_scope: Option<String>,
}

impl NetworkBuilder {
    /// Returns a builder that adds to `parameters`.
    pub fn new(parameters: Parameters, seed: u64) -> Self {
        Self { parameters, flops: 0, seed, uniform_bound: None, scopes: Vec::new(), statistics_scope: None }
    }

    /// Makes all weights added from here on start uniform in `±bound`, and all biases at most `bound` from where they would
    /// start otherwise.
    pub fn set_uniform_bound(&mut self, bound: f32) {
        self.uniform_bound = Some(bound);
    }

    pub(crate) fn uniform_bound(&self) -> f32 {
        self.uniform_bound.unwrap_or(0.0)
    }

    /// Calls `build` with `name.` before the names of all parameters that it adds.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn scope<T>(&mut self, name: impl Into<String>, build: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.scopes.push(name.into());
        let part = build(self);
        self.scopes.pop();
        part
    }

    /// Calls `build` in the scope `name`, whose parameters exist already and are shared. Running statistics are not shared:
    /// they are added in the scope `own_name`.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn shared_scope<T>(
        &mut self,
        name: impl Into<String>,
        own_name: impl Into<String>,
        build: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.statistics_scope = Some(own_name.into());
        let part = self.scope(name, build);
        self.statistics_scope = None;
        part
    }

    /// Adds a layer with `out` output channels, and a bias that starts at `bias` if it is given; returns the shape of the
    /// output too. Without a `window` the layer is dense.
    ///
    /// # Errors
    /// [`Error::Shape`] if the window does not fit into the input.
    pub fn add_layer(
        &mut self,
        input: Shape,
        out: usize,
        window: Option<Window>,
        init: Init,
        bias: Option<f32>,
    ) -> Result<(Layer, Shape)> {
        self.add_layer_of_form(input, out, window, WeightForm::Full, init, bias)
    }

    /// Adds a layer as [`NetworkBuilder::add_layer`] does, whose array holds the weights in a form.
    ///
    /// # Errors
    /// [`Error::Shape`] if the window does not fit into the input.
    pub fn add_layer_of_form(
        &mut self,
        input: Shape,
        out: usize,
        window: Option<Window>,
        form: WeightForm,
        init: Init,
        bias: Option<f32>,
    ) -> Result<(Layer, Shape)> {
        let [channels, height, width] = input;
        let (output, shape) = match window {
            None => ([out, 1, 1], vec![out, channels * height * width]),
            Some(w) => match (w.output_size(height), w.output_size(width)) {
                (Some(h), Some(v)) => ([out, h, v], form.shape([out, channels, w.size, w.size])),
                _ => return Err(self.window_error(input, w)),
            },
        };
        let fan_in: usize = shape[1..].iter().product();
        let fan_out = fan_in / shape[1] * out;
        let deviation = match init {
            Init::He(factor) => factor * (2.0 / fan_in as f64).sqrt(),
            Init::Glorot => (2.0 / (fan_in + fan_out) as f64).sqrt(),
            Init::Uniform => 1.0 / (fan_in as f64).sqrt(),
        } as f32;
        let bound = self.uniform_bound;
        let draw = |rng: &mut ChaCha8Rng| match (bound, init) {
            (Some(bound), _) => bound * (2.0 * uniform(rng) - 1.0),
            (None, Init::Uniform) => deviation * (2.0 * uniform(rng) - 1.0),
            _ => deviation * normal(rng),
        };
        let weight = self.add_parameter("weight", shape, Role::Weight, draw);
        let bias = bias.map(|value| self.add_bias(out, value));
        let multiply_adds = output.iter().fold(fan_in as u64, |all, &side| all.saturating_mul(side as u64));
        self.flops = self.flops.saturating_add(multiply_adds.saturating_mul(2));
        Ok((Layer { weight, bias, window, form, channels: [channels, out] }, output))
    }

    fn add_bias(&mut self, out: usize, value: f32) -> ParameterId {
        let bound = self.uniform_bound();
        self.add_parameter("bias", vec![out], Role::Bias, |rng| match bound {
            0.0 => value,
            _ => value + bound * (2.0 * uniform(rng) - 1.0),
        })
    }

    /// Adds a weight of the given shape and a bias of `out` values, both uniform in `±bound`.
    pub(crate) fn add_weight_and_bias(&mut self, shape: Vec<usize>, out: usize) -> [ParameterId; 2] {
        let bound = self.uniform_bound();
        let weight = self.add_parameter("weight", shape, Role::Weight, |rng| bound * (2.0 * uniform(rng) - 1.0));
        [weight, self.add_bias(out, 0.0)]
    }

    /// Adds an embedding of `count` numbers as `size` values each, uniform in `±bound`. Number 0 is embedded as zeros.
    pub(crate) fn add_embedding(&mut self, [count, size]: [usize; 2]) -> ParameterId {
        let mut drawn = 0;
        let bound = self.uniform_bound();
        self.add_parameter("weight", vec![count, size], Role::Weight, |rng| {
            drawn += 1;
            if drawn <= size { 0.0 } else { bound * (2.0 * uniform(rng) - 1.0) }
        })
    }

    /// Adds a batch normalization whose shift starts at the given value.
    pub fn add_batch_norm(&mut self, channels: usize, shift: f32) -> BatchNorm {
        let shape = || vec![channels];
        BatchNorm {
            scale: self.add_parameter("scale", shape(), Role::Norm, |_| 1.0),
            shift: self.add_parameter("shift", shape(), Role::Norm, |_| shift),
            mean: self.add_parameter("mean", shape(), Role::Statistic, |_| 0.0),
            variance: self.add_parameter("variance", shape(), Role::Statistic, |_| 1.0),
        }
    }

    fn window_error(&self, input: Shape, window: Window) -> Error {
        Error::Shape {
            name: format!("{}, {1}x{1} window", self.scopes.join("."), window.size),
            found: input.to_vec(),
            expected: vec![input[0], window.size, window.size],
        }
    }

    fn add_parameter(
        &mut self,
        last: &str,
        shape: Vec<usize>,
        role: Role,
        mut draw: impl FnMut(&mut ChaCha8Rng) -> f32,
    ) -> ParameterId {
        let mut parts = self.scopes.clone();
        if let (Role::Statistic, Some(own)) = (role, &self.statistics_scope) {
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
