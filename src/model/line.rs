//! The line of stem, stages and head that a network is.

use burn::tensor::Tensor;

use super::ends::{Head, Stem};
use super::plan::{self, Plan};
use super::resolve::Resolved;
use crate::Result;
use crate::nn::{Block, BlockId, Builder, ForwardContext, Shape, Stage};
use crate::nn::{BlockOutline, Outline, ReceptiveField, StageOutline};

/// The parts of a network; the arrays they work with lie in its [`Parameters`](crate::nn::Parameters).
#[derive(Clone, Debug)]
pub(super) struct Layers {
    pub input: Shape,
    pub stem: Stem,
    pub stages: Vec<Stage>,
    pub head: Head,
}

impl Layers {
    pub(super) fn new(
        builder: &mut Builder,
        config: &Resolved,
        input: Shape,
        classes: usize,
    ) -> Result<(Self, Outline)> {
        let plan = plan::plan(config);
        if let Some(spread) = plan.spread {
            builder.set_spread(spread);
        }
        let (stem, mut shape) = Stem::new(builder, input, &plan)?;
        let stem_parameters = builder.parameters.trained();
        let (stages, outlines) = Self::make_stages(builder, &plan, stem.field(), &mut shape)?;
        let before_head = builder.parameters.trained();
        let head = Head::new(builder, shape, classes, &plan)?;
        let parameters = builder.parameters.trained();
        let outline = Outline {
            name: describe(config),
            input: input.to_vec(),
            classes,
            is_language_model: config.words.is_some(),
            parameters,
            flops: builder.flops,
            stem_parameters,
            head_parameters: parameters - before_head,
            stages: outlines,
        };
        Ok((Self { input, stem, stages, head }, outline))
    }

    /// The stages for what leaves the stem, whose units see `field`; `shape` becomes that of the last estimate.
    fn make_stages(
        builder: &mut Builder,
        plan: &Plan,
        mut field: Option<ReceptiveField>,
        shape: &mut Shape,
    ) -> Result<(Vec<Stage>, Vec<StageOutline>)> {
        let (mut stages, mut outlines) = (Vec::new(), Vec::new());
        for (s, stage_plan) in plan.stages.iter().enumerate() {
            let mut blocks = Vec::new();
            let mut before = (builder.parameters.trained(), builder.flops);
            if let Some(pool) = &stage_plan.pool {
                field = field.map(|field| pool.window.field(field));
            }
            let built = |builder: &Builder, block: &Block, _| {
                let now = (builder.parameters.trained(), builder.flops);
                field = block.field(field);
                blocks.push(BlockOutline {
                    id: BlockId { stage: s, block: blocks.len() },
                    source_name: None,
                    wiring: block.wiring(),
                    body: block.describe_body(),
                    shortcut: block.skip_kind(),
                    parameters: now.0 - before.0,
                    flops: now.1 - before.1,
                    receptive_field: field,
                    why_not_removable: block.why_not_removable().map(Into::into),
                });
                before = now;
            };
            let (stage, output) = Stage::new(builder, s + 1, *shape, stage_plan, built)?;
            *shape = output;
            outlines.push(StageOutline { name: format!("stage{}", s + 1), shape: shape.to_vec(), blocks });
            stages.push(stage);
        }
        Ok((stages, outlines))
    }

    /// The outputs before the softmax, `[batch, classes]`.
    pub(super) fn forward(&self, pass: &mut ForwardContext, x: Tensor<4>) -> Tensor<2> {
        let mut x = self.stem.forward(pass, x.into());
        for stage in &self.stages {
            x = stage.enter_stage(pass, x);
            for block in &stage.blocks {
                x = block.forward(pass, x);
            }
        }
        self.head.forward(pass, x)
    }
}

/// Such as `mlp-50 highway, width 64`, `resnet-26 residual, width 16 x 10` where the stages are wider than the stem, or
/// `char-lm 2 highway, width 525`.
fn describe(config: &Resolved) -> String {
    let kind = config.kind.name();
    if config.words.is_some() {
        let blocks: usize = config.blocks.iter().sum();
        return match blocks {
            0 => format!("{kind} without blocks, width {}", config.width),
            _ => format!("{kind} {blocks} {}, width {}", config.wiring, config.width),
        };
    }
    let depth = format!("-{}", config.depth());
    let kind = kind.strip_suffix(&depth).unwrap_or(kind);
    let widen = if config.widen > 1 { format!(" x {}", config.widen) } else { String::new() };
    format!("{kind}{depth} {}, width {}{widen}", config.wiring, config.width)
}
