//! A network that can be trained here.

use burn::tensor::{Tensor, TensorData};

use super::config::ModelConfig;
use super::line::Layers;
use super::resolve::resolve;
use crate::kernel::{Backend, FeatureMap};
use crate::nn::Outline;
use crate::nn::{
    Block, BlockActivations, BlockId, Builder, ForwardContext, Logits, Network, Parameters, RecurrentState, Samples,
    Shape, Stage, Step, loss_directions, parameters_host,
};
use crate::{Error, Result};

/// A network built from a [`ModelConfig`], with its parameters.
#[derive(Clone, Debug)]
pub struct Model {
    config: ModelConfig,
    outline: Outline,
    line: Layers,
    /// All arrays.
    pub parameters: Parameters,
}

impl Model {
    /// Builds a network for samples of a shape; equal arguments give equal parameters.
    ///
    /// # Errors
    /// [`Error::Config`] or [`Error::Shape`] for a configuration that makes no network.
    pub fn new(
        config: &ModelConfig,
        input: Shape,
        classes: usize,
        seed: u64,
        backend: impl Into<Backend>,
    ) -> Result<Self> {
        let backend = backend.into();
        // Shapes alone first: what is too large is found before it is drawn.
        Self::unset(config, input, classes, &backend)?;
        Self::built(config, input, classes, Builder::new(Parameters::new(backend), seed))
    }

    /// The network without values, for those of a file: every array has to be set before it is used.
    pub(crate) fn unset(
        config: &ModelConfig,
        input: Shape,
        classes: usize,
        backend: impl Into<Backend>,
    ) -> Result<Self> {
        Self::built(config, input, classes, Builder::new(Parameters::shapes_only(backend), 0))
    }

    fn built(config: &ModelConfig, input: Shape, classes: usize, mut builder: Builder) -> Result<Self> {
        let size = input.iter().fold(1_usize, |size, &side| size.saturating_mul(side));
        if !(1..=MOST_INPUT).contains(&size) || classes == 0 {
            let what = format!("{input:?} and {classes} classes: no such samples are possible");
            return Err(Error::config("input [channels, height, width]", what));
        }
        let resolved = resolve(config, input, classes)?;
        let (line, outline) = Layers::new(&mut builder, &resolved, input, classes)?;
        if outline.parameters > MOST_VALUES {
            let what = format!("{} trained values, more than {MOST_VALUES}; lower model.width", outline.parameters);
            return Err(Error::config("model", what));
        }
        Ok(Self { config: ModelConfig::from(&resolved), outline, line, parameters: builder.parameters })
    }

    /// The number of trained values that a configuration would have, without building it.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub fn count(config: &ModelConfig, input: Shape, classes: usize) -> Result<u64> {
        count(config, input, classes)
    }

    /// The configuration with nothing left open.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The outputs before the softmax, `[batch, classes]`, for `[batch, channels, height, width]`.
    pub fn forward(&self, pass: &mut ForwardContext, x: Tensor<4>) -> Tensor<2> {
        self.line.forward(pass, x)
    }

    /// The first place on the line whose values are not finite, for a message.
    pub fn first_not_finite(&self, pass: &mut ForwardContext, x: Tensor<4>) -> String {
        let is_finite = |x: &FeatureMap| parameters_host(x.clone().into_plain().inner()).iter().all(|v| v.is_finite());
        let mut x = self.line.stem.forward(pass, x.into());
        if !is_finite(&x) {
            return "stem".into();
        }
        for (s, stage) in self.line.stages.iter().enumerate() {
            x = stage.enter_stage(pass, x);
            for (b, block) in stage.blocks.iter().enumerate() {
                x = block.forward(pass, x);
                if !is_finite(&x) {
                    return BlockId { stage: s, block: b }.to_string();
                }
            }
        }
        "head".into()
    }

    /// A tensor of samples on this network's device.
    ///
    /// # Errors
    /// [`Error::Shape`] where the network takes samples of another shape.
    pub fn tensor(&self, samples: &Samples) -> Result<Tensor<4>> {
        if samples.shape[1..] != self.line.input {
            return Err(Error::Shape {
                name: "samples [channels, height, width]".into(),
                found: samples.shape[1..].to_vec(),
                expected: self.line.input.to_vec(),
            });
        }
        let data = TensorData::new(samples.values.clone(), samples.shape);
        Ok(Tensor::from_data(data, self.parameters.device()))
    }

    /// The parts in order, for [`Model::slimmed`].
    pub(super) fn stages(&self) -> &[Stage] {
        &self.line.stages
    }

    /// Whether what leaves the stem went through a ReLU.
    pub(super) fn stem_ends_in_relu(&self) -> bool {
        self.line.stem.ends_in_relu()
    }

    fn block_at(&self, at: BlockId) -> &Block {
        &self.line.stages[at.stage].blocks[at.block]
    }

    fn pass(&self) -> ForwardContext<'_> {
        ForwardContext::inference(&self.parameters)
    }
}

/// More trained values than this (16 GiB) are a mistake in a configuration.
const MOST_VALUES: u64 = 1 << 32;
/// So are larger samples.
const MOST_INPUT: usize = 1 << 28;

/// The number of trained values of a configuration, without building it.
pub(super) fn count(config: &ModelConfig, input: Shape, classes: usize) -> Result<u64> {
    Ok(Model::unset(config, input, classes, Backend::cpu())?.outline.parameters)
}

impl Network for Model {
    type Estimate = FeatureMap;

    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn stem(&self, samples: &Samples) -> Result<FeatureMap> {
        Ok(self.line.stem.forward(&mut self.pass(), self.tensor(samples)?.into()))
    }

    fn enter_stage(&self, stage: usize, estimate: FeatureMap) -> Result<FeatureMap> {
        Ok(self.line.stages[stage].enter_stage(&mut self.pass(), estimate))
    }

    fn block_activations(&self, at: BlockId, estimate: FeatureMap) -> Result<BlockActivations<FeatureMap>> {
        Ok(self.block_at(at).block_activations(&mut self.pass(), estimate))
    }

    fn block(&self, at: BlockId, estimate: FeatureMap) -> Result<FeatureMap> {
        Ok(self.block_at(at).forward(&mut self.pass(), estimate))
    }

    fn shortcut(&self, at: BlockId, estimate: FeatureMap) -> Result<FeatureMap> {
        match self.block_at(at).why_not_removable() {
            Some(why) => Err(Error::Usage(format!("{at} cannot be left out: {why}"))),
            None => Ok(self.block_at(at).skip(&mut self.pass(), estimate)),
        }
    }

    fn head(&self, estimate: FeatureMap, memory: &mut RecurrentState) -> Result<Logits> {
        let mut pass = self.pass().with_state(std::mem::take(memory));
        let logits = self.line.head.forward(&mut pass, estimate);
        *memory = pass.memory().clone();
        let classes = logits.dims()[1];
        Ok(Logits { values: parameters_host(logits), classes })
    }

    fn head_gradient(&self, estimate: &FeatureMap, labels: &[u32]) -> Result<Option<FeatureMap>> {
        // What a word loses is no function of its estimate alone.
        if self.line.head.remembers() {
            return Ok(None);
        }
        let constants = self.parameters.constants();
        let x = Tensor::from_inner(estimate.clone().into_plain()).require_grad();
        let logits = self.line.head.forward(&mut ForwardContext::inference(&constants), x.clone().into());
        let shape = logits.dims();
        let directions = loss_directions(&parameters_host(logits.clone().inner()), labels);
        let directions = Tensor::<2>::from_data(TensorData::new(directions, shape), constants.device());
        Ok(x.grad(&(logits * directions).sum().backward()).map(FeatureMap::from))
    }

    fn backward_step(&self, step: Step, entering: &FeatureMap, gradient: &FeatureMap) -> Result<Option<FeatureMap>> {
        let constants = self.parameters.constants();
        let mut pass = ForwardContext::inference(&constants);
        let x = Tensor::from_inner(entering.clone().into_plain()).require_grad();
        let entered = FeatureMap::from(x.clone());
        let y = match step {
            Step::Enter(stage) => self.line.stages[stage].enter_stage(&mut pass, entered),
            Step::Run(at) | Step::Again(at) => self.block_at(at).forward(&mut pass, entered),
            Step::Shortcut(at) => self.block_at(at).skip(&mut pass, entered),
        };
        let along = y.into_plain() * Tensor::from_inner(gradient.clone().into_plain());
        Ok(x.grad(&along.sum().backward()).map(FeatureMap::from))
    }

    fn has_gradients(&self) -> bool {
        true
    }

    fn rebuild(&self, like: &FeatureMap, values: Vec<f32>) -> FeatureMap {
        Tensor::<4>::from_data(TensorData::new(values, like.dims()), self.parameters.device()).into()
    }

    fn values(&self, estimate: &FeatureMap) -> (Vec<f32>, usize) {
        let channels = estimate.dims()[1];
        (parameters_host(estimate.clone().into_plain()), channels)
    }
}
