//! [`Model`], a network with its parameters that can be trained.

use burn::tensor::{Tensor, TensorData};

use super::config::ModelConfig;
use super::layers::Layers;
use super::resolve::ResolvedConfig;
use crate::device::DeviceInfo;
use crate::kernel::{Backend, FeatureMap};
use crate::nn::{
    Block, BlockActivations, BlockId, ForwardContext, Logits, Network, NetworkBuilder, Outline, Parameters,
    RecurrentState, Samples, Shape, Stage, Step, tensor_to_vec, unit_loss_gradients,
};
use crate::{Error, Result};

/// Maximum number of trainable values (16 GiB). A configuration with more is taken for a mistake.
const MAX_PARAMETERS: u64 = 1 << 32;
/// Maximum number of values of a sample.
const MAX_INPUT_SIZE: usize = 1 << 28;

/// A network built from a [`ModelConfig`], with its parameters.
#[derive(Clone, Debug)]
pub struct Model {
    config: ModelConfig,
    outline: Outline,
    layers: Layers,
    /// The parameters of all layers.
    pub parameters: Parameters,
}

impl Model {
    /// Builds a network for samples of shape `[channels, height, width]`. Equal arguments give equal parameters.
    ///
    /// # Errors
    /// [`Error::Config`] if a value of the configuration cannot be used, [`Error::Shape`] if a window does not fit into its
    /// input.
    ///
    /// # Examples
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use unrolled::model::{Model, ModelConfig, ModelKind};
    /// use unrolled::nn::{Network, RecurrentState, Route, Samples};
    ///
    /// let config = ModelConfig::new(ModelKind::Resnet).with_depth(8).with_width(4);
    /// let model = Model::new(&config, [3, 8, 8], 10, 42, &Device::flex())?;
    /// assert_eq!(model.outline().name, "resnet-8 residual, width 4");
    ///
    /// let samples = Samples { values: vec![0.0; 2 * 3 * 8 * 8], shape: [2, 3, 8, 8] };
    /// let route = Route::identity(model.outline());
    /// let logits = model.forward_along(&route, &samples, &mut RecurrentState::default())?;
    /// assert_eq!(logits.values.len(), 2 * 10);
    /// # Ok::<(), unrolled::Error>(())
    /// ```
    pub fn new(
        config: &ModelConfig,
        input: Shape,
        classes: usize,
        seed: u64,
        backend: impl Into<Backend>,
    ) -> Result<Self> {
        let backend = backend.into();
        // Shapes alone first: a network that is too large is refused before any value is drawn.
        Self::uninitialized(config, input, classes, &backend)?;
        Self::build(config, input, classes, NetworkBuilder::new(Parameters::new(backend), seed))
    }

    /// Builds the network without values. Every parameter has to be set before it is used.
    pub(crate) fn uninitialized(
        config: &ModelConfig,
        input: Shape,
        classes: usize,
        backend: impl Into<Backend>,
    ) -> Result<Self> {
        Self::build(config, input, classes, NetworkBuilder::new(Parameters::shapes_only(backend), 0))
    }

    fn build(config: &ModelConfig, input: Shape, classes: usize, mut builder: NetworkBuilder) -> Result<Self> {
        let size = input.iter().fold(1_usize, |size, &side| size.saturating_mul(side));
        if !(1..=MAX_INPUT_SIZE).contains(&size) || classes == 0 {
            let what = format!("{input:?} and {classes} classes: no such samples are possible");
            return Err(Error::config("input [channels, height, width]", what));
        }
        let resolved = ResolvedConfig::new(config, input, classes)?;
        let (layers, outline) = Layers::new(&mut builder, &resolved, input, classes)?;
        if outline.parameters > MAX_PARAMETERS {
            let what = format!("{} trained values, more than {MAX_PARAMETERS}; lower model.width", outline.parameters);
            return Err(Error::config("model", what));
        }
        Ok(Self { config: ModelConfig::from(&resolved), outline, layers, parameters: builder.parameters })
    }

    /// Returns the number of trainable values of a configuration, without building the network.
    ///
    /// # Errors
    /// Those of [`Model::new`].
    pub fn count_parameters(config: &ModelConfig, input: Shape, classes: usize) -> Result<u64> {
        Ok(Self::uninitialized(config, input, classes, Backend::cpu())?.outline.parameters)
    }

    /// Returns the configuration with all its keys set.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Returns the shape of a sample, `[channels, height, width]`.
    pub fn input(&self) -> Shape {
        self.layers.input
    }

    /// Sets the names that the network's own file has for its blocks, [`BlockOutline::source_name`].
    ///
    /// [`BlockOutline::source_name`]: crate::nn::BlockOutline::source_name
    pub(crate) fn set_source_names(&mut self, name: impl Fn(BlockId) -> Option<String>) {
        for block in self.outline.stages.iter_mut().flat_map(|stage| &mut stage.blocks) {
            block.source_name = name(block.id);
        }
    }

    /// Computes the outputs before the softmax, `[batch, classes]`, from `[batch, channels, height, width]`.
    pub fn forward(&self, context: &mut ForwardContext, x: Tensor<4>) -> Tensor<2> {
        self.layers.forward(context, x)
    }

    /// Returns the name of the first part whose output is not finite: `stem`, a block, or `head`.
    pub fn find_non_finite(&self, context: &mut ForwardContext, x: Tensor<4>) -> String {
        let is_finite = |x: &FeatureMap| tensor_to_vec(x.clone().into_plain().inner()).iter().all(|v| v.is_finite());
        let mut x = self.layers.stem.forward(context, x.into());
        if !is_finite(&x) {
            return "stem".into();
        }
        for (s, stage) in self.layers.stages.iter().enumerate() {
            x = stage.enter(context, x);
            for (b, block) in stage.blocks.iter().enumerate() {
                x = block.forward(context, x);
                if !is_finite(&x) {
                    return BlockId { stage: s, block: b }.to_string();
                }
            }
        }
        "head".into()
    }

    /// Copies samples to a tensor on the network's device.
    ///
    /// # Errors
    /// [`Error::Shape`] if the samples do not have the shape that the network takes.
    pub fn tensor(&self, samples: &Samples) -> Result<Tensor<4>> {
        if samples.shape[1..] != self.layers.input {
            return Err(Error::Shape {
                name: "samples [channels, height, width]".into(),
                found: samples.shape[1..].to_vec(),
                expected: self.layers.input.to_vec(),
            });
        }
        let data = TensorData::new(samples.values.clone(), samples.shape);
        Ok(Tensor::from_data(data, self.parameters.device()))
    }

    /// Returns the stages in order.
    pub(super) fn stages(&self) -> &[Stage] {
        &self.layers.stages
    }

    /// Whether the stem ends in a ReLU.
    pub(super) fn stem_ends_in_relu(&self) -> bool {
        self.layers.stem.ends_in_relu()
    }

    fn block_at(&self, id: BlockId) -> &Block {
        &self.layers.stages[id.stage].blocks[id.block]
    }

    fn context(&self) -> ForwardContext<'_> {
        ForwardContext::inference(&self.parameters)
    }
}

impl Network for Model {
    type Estimate = FeatureMap;

    fn outline(&self) -> &Outline {
        &self.outline
    }

    fn device(&self) -> Option<DeviceInfo> {
        Some(DeviceInfo::new(self.parameters.device()))
    }

    /// Returns a CRC-32 of the outline and of the values of all parameters.
    fn fingerprint(&self) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        sum.update(format!("{:?}", self.outline).as_bytes());
        for (_, parameter) in self.parameters.iter() {
            parameter.to_vec().iter().for_each(|value| sum.update(&value.to_le_bytes()));
        }
        sum.finalize()
    }

    fn stem(&self, samples: &Samples) -> Result<FeatureMap> {
        Ok(self.layers.stem.forward(&mut self.context(), self.tensor(samples)?.into()))
    }

    fn enter_stage(&self, stage: usize, estimate: FeatureMap) -> Result<FeatureMap> {
        Ok(self.layers.stages[stage].enter(&mut self.context(), estimate))
    }

    fn block_activations(&self, id: BlockId, estimate: FeatureMap) -> Result<BlockActivations<FeatureMap>> {
        Ok(self.block_at(id).block_activations(&mut self.context(), estimate))
    }

    fn block(&self, id: BlockId, estimate: FeatureMap) -> Result<FeatureMap> {
        Ok(self.block_at(id).forward(&mut self.context(), estimate))
    }

    fn shortcut(&self, id: BlockId, estimate: FeatureMap) -> Result<FeatureMap> {
        match self.block_at(id).why_not_removable() {
            Some(why) => Err(Error::unsupported(id, format!("cannot be left out: {why}"))),
            None => Ok(self.block_at(id).forward_shortcut(&mut self.context(), estimate)),
        }
    }

    fn head(&self, estimate: FeatureMap, state: &mut RecurrentState) -> Result<Logits> {
        let mut context = self.context().with_state(std::mem::take(state));
        let logits = self.layers.head.forward(&mut context, estimate);
        *state = context.state().clone();
        let classes = logits.dims()[1];
        Ok(Logits::new(tensor_to_vec(logits), classes))
    }

    fn head_gradient(&self, estimate: &FeatureMap, labels: &[u32]) -> Result<Option<FeatureMap>> {
        // The loss of a sample then depends on the previous samples too.
        if self.layers.head.is_recurrent() {
            return Ok(None);
        }
        let constants = self.parameters.as_constants();
        let x = Tensor::from_inner(estimate.clone().into_plain()).require_grad();
        let logits = self.layers.head.forward(&mut ForwardContext::inference(&constants), x.clone().into());
        let shape = logits.dims();
        let gradients = unit_loss_gradients(&tensor_to_vec(logits.clone().inner()), labels);
        let gradients = Tensor::<2>::from_data(TensorData::new(gradients, shape), constants.device());
        Ok(x.grad(&(logits * gradients).sum().backward()).map(FeatureMap::from))
    }

    fn backward_step(&self, step: Step, entering: &FeatureMap, gradient: &FeatureMap) -> Result<Option<FeatureMap>> {
        let constants = self.parameters.as_constants();
        let mut context = ForwardContext::inference(&constants);
        let x = Tensor::from_inner(entering.clone().into_plain()).require_grad();
        let entered = FeatureMap::from(x.clone());
        let y = match step {
            Step::Enter(stage) => self.layers.stages[stage].enter(&mut context, entered),
            Step::Run(id) | Step::Repeat(id) => self.block_at(id).forward(&mut context, entered),
            Step::Shortcut(id) => self.block_at(id).forward_shortcut(&mut context, entered),
        };
        let product = y.into_plain() * Tensor::from_inner(gradient.clone().into_plain());
        Ok(x.grad(&product.sum().backward()).map(FeatureMap::from))
    }

    fn has_gradients(&self) -> bool {
        true
    }

    fn values(&self, estimate: &FeatureMap) -> (Vec<f32>, usize) {
        let channels = estimate.dims()[1];
        (tensor_to_vec(estimate.clone().into_plain()), channels)
    }

    fn rebuild(&self, like: &FeatureMap, values: Vec<f32>) -> FeatureMap {
        Tensor::<4>::from_data(TensorData::new(values, like.dims()), self.parameters.device()).into()
    }
}
