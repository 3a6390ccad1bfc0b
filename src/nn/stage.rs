//! A stage: a run of blocks of the same dimensionality.

use super::{Block, BlockConfig, BlockId, ForwardContext, NetworkBuilder, Shape, Window};
use crate::kernel::{FeatureMap, WindowOptions};
use crate::{Error, Result};

/// Max pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The pooling window.
    pub window: Window,
    /// Whether a last window that reaches over the edge counts, as in Caffe, or is dropped, as by default in PyTorch.
    pub ceil_mode: bool,
}

impl Pool {
    /// Pools `[batch, channels, height, width]` to `[batch, channels, height', width']`.
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        let Window { size, stride, padding } = self.window;
        x.max_pool(size, WindowOptions { stride, padding }, self.ceil_mode)
    }

    fn output_size(&self, side: usize) -> Option<usize> {
        let whole = self.window.output_size(side)?;
        let rest = side + 2 * self.window.padding - self.window.size;
        Some(whole + usize::from(self.ceil_mode && !rest.is_multiple_of(self.window.stride)))
    }

    /// Returns the shape of the output for an input shape. `name` names the layer in the error.
    ///
    /// # Errors
    /// [`Error::Shape`] if the window does not fit into the input.
    pub fn output_shape(&self, name: &str, [channels, height, width]: Shape) -> Result<Shape> {
        match (self.output_size(height), self.output_size(width)) {
            (Some(h), Some(w)) => Ok([channels, h, w]),
            _ => Err(Error::Shape {
                name: format!("{name}, pooling by {}", self.window.size),
                found: vec![channels, height, width],
                expected: vec![channels, self.window.size, self.window.size],
            }),
        }
    }
}

/// The configuration of a [`Stage`].
#[derive(Clone, Debug, PartialEq)]
pub struct StageConfig {
    /// The configuration of each block. They differ in stride and survival only.
    pub blocks: Vec<BlockConfig>,
    /// Pooling before the first block.
    pub pool: Option<Pool>,
    /// Probability of dropping a unit of the first block's input.
    pub dropout: f64,
    /// Whether the blocks share their parameters. Each block still has normalization statistics of its own, and a first
    /// block that changes the shape has parameters of its own.
    pub shares_weights: bool,
}

/// A run of blocks of the same dimensionality, with the pooling and dropout before it.
#[derive(Clone, Debug)]
pub struct Stage {
    pool: Option<Pool>,
    dropout: f64,
    /// The blocks in order.
    pub blocks: Vec<Block>,
}

impl Stage {
    /// Builds the stage with this index, from 0, and calls `on_block` after each block; returns the shape of the estimates
    /// too.
    ///
    /// # Errors
    /// [`Error::Shape`] if a window does not fit into its input, [`Error::Config`] if a shortcut cannot be built.
    pub fn new(
        builder: &mut NetworkBuilder,
        stage: usize,
        input: Shape,
        config: &StageConfig,
        mut on_block: impl FnMut(&NetworkBuilder, &Block),
    ) -> Result<(Self, Shape)> {
        let name = |block: usize| BlockId { stage, block }.to_string();
        let mut shape = match &config.pool {
            Some(pool) => pool.output_shape(&format!("stage{}", stage + 1), input)?,
            None => input,
        };
        let mut blocks: Vec<Block> = Vec::new();
        for (k, block) in config.blocks.iter().enumerate() {
            let first_shared = usize::from(blocks.first().is_some_and(Block::changes_shape));
            let (block, output) = if config.shares_weights && k > first_shared {
                builder.shared_scope(name(first_shared), name(k), |b| Block::new(b, shape, *block))?
            } else {
                builder.scope(name(k), |b| Block::new(b, shape, *block))?
            };
            shape = output;
            on_block(builder, &block);
            blocks.push(block);
        }
        let stage = Self { pool: config.pool, dropout: config.dropout, blocks };
        Ok((stage, shape))
    }

    /// Computes pooling and dropout, the layers before the first block.
    pub fn enter(&self, context: &mut ForwardContext, x: FeatureMap) -> FeatureMap {
        let x = match &self.pool {
            Some(pool) => pool.forward(x),
            None => x,
        };
        context.dropout(x, self.dropout)
    }
}
