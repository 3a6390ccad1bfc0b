//! The stem of a language model: a convolutional network over the characters of a word (Kim et al. 2015; Section 5.2).

use burn::tensor::Tensor;

use super::parameters::tensor_to_vec;
use super::{ForwardContext, NetworkBuilder, ParameterId, Shape};
use crate::Result;
use crate::kernel::{self, FeatureMap};

/// Narrow convolutions over the embedded characters of a word, each followed by a maximum over the positions and tanh.
///
/// The filter of width `k` has `maps[k - 1]` outputs. One of them is
/// `y = tanh(max over s of (filter · characters s..s + k) + bias)`. Character 0 is the padding behind a word and is embedded
/// as zeros.
#[derive(Clone, Debug)]
pub struct CharCnn {
    embedding: ParameterId,
    /// Weight `[maps, embedding, width]` and bias `[maps]` of each filter.
    filters: Vec<[ParameterId; 2]>,
    maps: Vec<usize>,
    /// Number of characters in a sample.
    length: usize,
}

/// The configuration of a [`CharCnn`].
#[derive(Clone, Debug, PartialEq)]
pub struct CharCnnConfig {
    /// Number of different characters, including the padding.
    pub characters: usize,
    /// Number of values that a character is embedded as.
    pub embedding: usize,
    /// Number of outputs of the filters of width 1, 2, and so on.
    pub maps: Vec<usize>,
}

impl CharCnn {
    /// Builds the network for samples of shape `[1, 1, characters]`; returns the output shape `[Σ maps, 1, 1]` too.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if a sample has another shape, or fewer characters than the widest filter.
    pub fn new(builder: &mut NetworkBuilder, input: Shape, config: &CharCnnConfig) -> Result<(Self, Shape)> {
        let CharCnnConfig { characters, embedding: size, maps } = config;
        let [.., length] = input;
        if input[..2] != [1, 1] || length < maps.len() {
            return Err(crate::Error::Shape {
                name: "stem, filters over the characters of a word".into(),
                found: input.to_vec(),
                expected: vec![1, 1, length.max(maps.len())],
            });
        }
        let embedding = builder.scope("characters", |b| Ok(b.add_embedding([*characters, *size])))?;
        let mut filters = Vec::new();
        for (k, &maps) in maps.iter().enumerate() {
            let width = k + 1;
            let filter = builder
                .scope(format!("filter{width}"), |b| Ok(b.add_weight_and_bias(vec![maps, *size, width], maps)))?;
            filters.push(filter);
            builder.flops += 2 * (maps * size * width * (length + 1 - width)) as u64;
        }
        let out = maps.iter().sum();
        Ok((Self { embedding, filters, maps: maps.clone(), length }, [out, 1, 1]))
    }

    /// Computes `[samples, 1, 1, characters]`, the numbers of characters, → `[samples, Σ maps, 1, 1]`.
    pub fn forward(&self, context: &ForwardContext, x: FeatureMap) -> FeatureMap {
        let parameters = context.parameters;
        let characters: Vec<u32> = tensor_to_vec(x.into_plain()).into_iter().map(|c| c as u32).collect();
        let embedding = parameters.tensor::<2>(self.embedding);
        let size = embedding.dims()[1];
        // One column for each map and position in its filter: the product with the embedding is a table of what every
        // character contributes there.
        let taps = self.filters.iter().zip(&self.maps).enumerate().map(|(k, ([weight, _], &maps))| {
            parameters.tensor::<3>(*weight).permute([1, 2, 0]).reshape([size, (k + 1) * maps])
        });
        let table = embedding.matmul(Tensor::cat(taps.collect(), 1));
        let bias = Tensor::cat(self.filters.iter().map(|[_, bias]| parameters.get(*bias).value.clone()).collect(), 0);
        let values = kernel::char_cnn(parameters.kernels(), &characters, self.length, (table, bias), &self.maps);
        let [samples, out] = values.dims();
        values.reshape([samples, out, 1, 1]).into()
    }
}
