//! The stem of a language model: words from their characters (Kim et al. 2015; Section 5.2).

use burn::tensor::Tensor;

use super::parameters::host;
use super::{Builder, ForwardContext, ParameterId, Role, Shape};
use crate::Result;
use crate::kernel::{self, FeatureMap};

/// `y = tanh(max over s of (filter · characters s, s + 1, …) + bias)` for every map of every filter: narrow convolutions
/// over a word's embedded characters, one filter each of 1, 2, … characters.
///
/// Character 0 is none: it stands behind the last one and is embedded as zeros.
#[derive(Clone, Debug)]
pub struct CharCnn {
    embedding: ParameterId,
    /// Weight `[maps, embedding, width]` and bias `[maps]` of every filter.
    filters: Vec<[ParameterId; 2]>,
    maps: Vec<usize>,
    length: usize,
}

/// What [`CharCnn`] is built from.
#[derive(Clone, Debug, PartialEq)]
pub struct CharCnnConfig {
    /// Different characters, none among them.
    pub characters: usize,
    /// Values that stand for a character.
    pub embedding: usize,
    /// Maps of the filters of 1, 2, … characters.
    pub maps: Vec<usize>,
}

impl CharCnn {
    /// For words of at most so many characters; returns the shape of what comes out too, `[Σ maps, 1, 1]`.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] where the words are shorter than the widest filter.
    pub fn new(builder: &mut Builder, input: Shape, plan: &CharCnnConfig) -> Result<(Self, Shape)> {
        let CharCnnConfig { characters, embedding: size, maps } = plan;
        let [.., length] = input;
        if input[..2] != [1, 1] || length < maps.len() {
            return Err(crate::Error::Shape {
                name: "stem, filters over the characters of a word".into(),
                found: input.to_vec(),
                expected: vec![1, 1, length.max(maps.len())],
            });
        }
        let embedding = builder.embedding("characters", [*characters, *size]);
        let mut filters = Vec::new();
        for (k, &maps) in maps.iter().enumerate() {
            let width = k + 1;
            let [weight, bias] =
                builder.within(format!("filter{width}"), |b| Ok(b.weights(vec![maps, *size, width], maps)))?;
            filters.push([weight, bias]);
            builder.flops += 2 * (maps * size * width * (length + 1 - width)) as u64;
        }
        let char_cnn = Self { embedding, filters, maps: maps.clone(), length };
        let out = maps.iter().sum();
        Ok((char_cnn, [out, 1, 1]))
    }

    /// `[samples, 1, 1, characters]` of numbers of characters to `[samples, Σ maps, 1, 1]`.
    pub fn forward(&self, pass: &ForwardContext, x: FeatureMap) -> FeatureMap {
        let parameters = pass.parameters;
        let characters: Vec<u32> = host(x.into_plain()).into_iter().map(|c| c as u32).collect();
        let embedding = parameters.tensor::<2>(self.embedding);
        let size = embedding.dims()[1];
        // Every tap's weights as columns: what a filter makes of a character in that place.
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

impl Builder {
    /// Values that stand for numbers, `[numbers, values]`; those of number 0 are zeros.
    fn embedding(&mut self, name: &str, [count, size]: [usize; 2]) -> ParameterId {
        let mut drawn = 0;
        let spread = self.spread();
        self.within(name, |b| {
            Ok(b.parameter("weight", vec![count, size], Role::Weight, |rng| {
                drawn += 1;
                if drawn <= size { 0.0 } else { spread * (2.0 * crate::random::uniform(rng) - 1.0) }
            }))
        })
        .expect("an array needs nothing")
    }
}
