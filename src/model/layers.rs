//! The layers of a network: stem, stages and head, and the outline made as they are built.

use burn::tensor::Tensor;

use super::head::Head;
use super::layers_config::LayersConfig;
use super::name::describe;
use super::resolve::ResolvedConfig;
use super::stem::Stem;
use crate::Result;
use crate::nn::{
    Block, BlockId, BlockOutline, ForwardContext, NetworkBuilder, Outline, ReceptiveField, Shape, Stage, StageOutline,
};

/// The layers of a network. Their arrays are in its [`Parameters`](crate::nn::Parameters).
#[derive(Clone, Debug)]
pub(super) struct Layers {
    pub input: Shape,
    pub stem: Stem,
    pub stages: Vec<Stage>,
    pub head: Head,
}

impl Layers {
    /// Builds the layers for samples of a shape; returns their outline too.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if a window does not fit into its input.
    pub(super) fn new(
        builder: &mut NetworkBuilder,
        resolved: &ResolvedConfig,
        input: Shape,
        classes: usize,
    ) -> Result<(Self, Outline)> {
        let config = LayersConfig::from(resolved);
        if let Some(bound) = config.uniform_bound {
            builder.set_uniform_bound(bound);
        }
        let (stem, mut shape) = Stem::new(builder, input, &config)?;
        let stem_parameters = builder.parameters.trainable_count();
        let (stages, outlines) = Self::new_stages(builder, &config, stem.receptive_field(), &mut shape)?;
        let before_head = builder.parameters.trainable_count();
        let head = Head::new(builder, shape, classes, &config)?;
        let parameters = builder.parameters.trainable_count();
        let outline = Outline {
            name: describe(resolved),
            input: input.to_vec(),
            classes,
            is_language_model: resolved.char_lm.is_some(),
            parameters,
            flops: builder.flops,
            stem_parameters,
            head_parameters: parameters - before_head,
            stages: outlines,
        };
        Ok((Self { input, stem, stages, head }, outline))
    }

    /// Builds the stages for an estimate of the given receptive field and `shape`, which becomes that of the last estimate.
    fn new_stages(
        builder: &mut NetworkBuilder,
        config: &LayersConfig,
        mut receptive_field: Option<ReceptiveField>,
        shape: &mut Shape,
    ) -> Result<(Vec<Stage>, Vec<StageOutline>)> {
        let (mut stages, mut outlines) = (Vec::new(), Vec::new());
        for (s, stage_config) in config.stages.iter().enumerate() {
            let mut blocks = Vec::new();
            let mut before = (builder.parameters.trainable_count(), builder.flops);
            if let Some(pool) = &stage_config.pool {
                receptive_field = receptive_field.map(|field| field.after_window(pool.window));
            }
            let on_block = |builder: &NetworkBuilder, block: &Block| {
                let now = (builder.parameters.trainable_count(), builder.flops);
                receptive_field = block.receptive_field(receptive_field);
                blocks.push(BlockOutline {
                    id: BlockId { stage: s, block: blocks.len() },
                    source_name: None,
                    wiring: block.wiring(),
                    body: block.describe_body(),
                    shortcut: block.shortcut(),
                    parameters: now.0 - before.0,
                    flops: now.1 - before.1,
                    receptive_field,
                    why_not_removable: block.why_not_removable().map(Into::into),
                });
                before = now;
            };
            let (stage, output) = Stage::new(builder, s, *shape, stage_config, on_block)?;
            *shape = output;
            outlines.push(StageOutline { name: format!("stage{}", s + 1), shape: shape.to_vec(), blocks });
            stages.push(stage);
        }
        Ok((stages, outlines))
    }

    /// Computes the outputs before the softmax, `[batch, classes]`, from `[batch, channels, height, width]`.
    pub(super) fn forward(&self, context: &mut ForwardContext, x: Tensor<4>) -> Tensor<2> {
        let mut x = self.stem.forward(context, x.into());
        for stage in &self.stages {
            x = stage.enter(context, x);
            for block in &stage.blocks {
                x = block.forward(context, x);
            }
        }
        self.head.forward(context, x)
    }
}
