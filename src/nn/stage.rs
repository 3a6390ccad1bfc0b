//! A stage: a run of blocks of the same dimensionality.

use super::{Block, BlockConfig, Builder, ForwardContext, Shape, Window};
use crate::kernel::{FeatureMap, WindowOptions};
use crate::{Error, Result};

/// Maximum pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// What is pooled over.
    pub window: Window,
    /// Whether a last window that reaches over the edge counts, as in Caffe, or is left out, as in PyTorch.
    pub ceil: bool,
}

impl Pool {
    /// `[batch, channels, height, width]` to smaller height and width.
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        let Window { size, stride, padding } = self.window;
        x.max_pool(size, WindowOptions { stride, padding }, self.ceil)
    }

    fn side(&self, side: usize) -> Option<usize> {
        let whole = self.window.output(side)?;
        let rest = side + 2 * self.window.padding - self.window.size;
        Some(whole + usize::from(self.ceil && !rest.is_multiple_of(self.window.stride)))
    }

    /// The shape that comes out.
    ///
    /// # Errors
    /// [`Error::Shape`] where the window does not fit.
    pub fn output(&self, name: &str, [channels, height, width]: Shape) -> Result<Shape> {
        match (self.side(height), self.side(width)) {
            (Some(h), Some(w)) => Ok([channels, h, w]),
            _ => Err(Error::Shape {
                name: format!("{name}, pooling by {}", self.window.size),
                found: vec![channels, height, width],
                expected: vec![channels, self.window.size, self.window.size],
            }),
        }
    }
}

/// What a stage is built from.
#[derive(Clone, Debug, PartialEq)]
pub struct StageConfig {
    /// What its blocks are built from, one entry a block; they differ in stride and survival alone.
    pub blocks: Vec<BlockConfig>,
    /// Pooling before the first block.
    pub pool: Option<Pool>,
    /// Probability of dropping a unit of what enters the first block.
    pub dropout: f64,
    /// Whether the blocks share their parameters. Each keeps normalization statistics of its own, and a first block
    /// that changes the shape keeps its own parameters.
    pub shared: bool,
}

/// A run of blocks of the same dimensionality, and what stands before it.
#[derive(Clone, Debug)]
pub struct Stage {
    pool: Option<Pool>,
    dropout: f64,
    /// The blocks in order.
    pub blocks: Vec<Block>,
}

impl Stage {
    /// Builds stage `number`, counted from 1; returns the shape of its estimates too, and calls `built` after every block.
    ///
    /// # Errors
    /// [`Error::Shape`] where a window does not fit into what enters.
    pub fn new(
        builder: &mut Builder,
        number: usize,
        input: Shape,
        plan: &StageConfig,
        mut built: impl FnMut(&Builder, &Block, Shape),
    ) -> Result<(Self, Shape)> {
        let name = |k: usize| format!("stage{number}.block{}", k + 1);
        let mut shape = match &plan.pool {
            Some(pool) => pool.output(&format!("stage{number}"), input)?,
            None => input,
        };
        let mut blocks: Vec<Block> = Vec::new();
        for (k, block) in plan.blocks.iter().enumerate() {
            let first_shared = usize::from(blocks.first().is_some_and(Block::changes_shape));
            let (block, output) = if plan.shared && k > first_shared {
                builder.sharing(name(first_shared), name(k), |b| Block::new(b, shape, *block))?
            } else {
                builder.within(name(k), |b| Block::new(b, shape, *block))?
            };
            shape = output;
            built(builder, &block, shape);
            blocks.push(block);
        }
        let stage = Self { pool: plan.pool, dropout: plan.dropout, blocks };
        Ok((stage, shape))
    }

    /// What stands before the first block: pooling and dropout.
    pub fn enter_stage(&self, pass: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        let x = match &self.pool {
            Some(pool) => pool.forward(x),
            None => x,
        };
        pass.dropout(x, self.dropout)
    }
}
