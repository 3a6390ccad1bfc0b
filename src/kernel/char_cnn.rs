//! Word vectors from characters: narrow convolutions over the characters of a word, and the maximum over positions.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use super::memory::{assume_init, uninit};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{Chunks, parallel_chunks};
use super::simd::{self, F32x16, LANES, Simd, SimdOp};

/// The different words of a batch. Each is computed once, however often it occurs.
#[derive(Debug)]
pub(super) struct UniqueWords {
    /// Characters of a word. Character 0 fills up words that are shorter.
    length: usize,
    /// The characters of the words, one word after the other.
    characters: Vec<u32>,
    /// The word of every sample.
    samples: Vec<usize>,
}

impl UniqueWords {
    /// Returns the words of samples of `length` characters each.
    pub(super) fn new(characters: &[u32], length: usize) -> Self {
        let mut places = HashMap::new();
        let mut words = Self { length, characters: Vec::new(), samples: Vec::new() };
        for word in characters.chunks_exact(length) {
            let next = places.len();
            let place = *places.entry(word).or_insert(next);
            if place == next {
                words.characters.extend(word);
            }
            words.samples.push(place);
        }
        words
    }

    fn count(&self) -> usize {
        self.characters.len() / self.length
    }

    fn word(&self, place: usize) -> &[u32] {
        &self.characters[place * self.length..(place + 1) * self.length]
    }
}

/// `tanh(max over s of Σ_j table[character s + j][tap j of the filter] + bias)` for filters of 1, 2, … characters.
///
/// A convolution of embedded characters is such a sum: the table is the product of embedding and weights, so that each product
/// of the convolution becomes the sum of rows of the table.
///
/// Inputs: the table, `[characters, Σ width·maps]`, in which the taps of a filter lie side by side and row 0 is zero; and the
/// bias, `[Σ maps]`. Output: `[samples, Σ maps]`.
#[derive(Debug)]
pub(super) struct CharCnn {
    words: UniqueWords,
    /// The number of maps of each filter.
    maps: Vec<usize>,
    saved: OnceLock<Saved>,
}

/// What the backward pass needs of the forward pass, `[words, Σ maps]` each.
#[derive(Debug)]
struct Saved {
    outputs: Vec<f32>,
    /// The positions at which the filters have their maxima.
    positions: Vec<f32>,
}

impl CharCnn {
    pub(super) fn new(words: UniqueWords, maps: &[usize]) -> Self {
        Self { words, maps: maps.to_vec(), saved: OnceLock::new() }
    }

    /// Returns the number of maps of all filters.
    fn out(&self) -> usize {
        self.maps.iter().sum()
    }

    fn filters(&self) -> Vec<Filter> {
        let (mut out, mut row) = (0, 0);
        let filters = self.maps.iter().enumerate().map(|(k, &maps)| {
            let filter = Filter { width: k + 1, maps, out, row };
            out += maps;
            row += filter.width * maps;
            filter
        });
        filters.collect()
    }
}

/// A convolution filter.
#[derive(Clone, Copy)]
struct Filter {
    /// Characters of its window.
    width: usize,
    maps: usize,
    /// Where its maps begin in the output.
    out: usize,
    /// Where its taps begin in a row of the table.
    row: usize,
}

impl Operation for CharCnn {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let [table, bias] = inputs else { unreachable!("two inputs") };
        let (out, count) = (self.out(), self.words.count());
        let (mut outputs, mut positions) = (uninit(count * out), uninit(count * out));
        let chunks = [Chunks::new(&mut outputs, out), Chunks::new(&mut positions, out)];
        let filters = self.filters();
        parallel_chunks(count, self.words.length * table.shape[1], chunks, |words, [outputs, positions]| {
            simd::run(Forward {
                words: words.map(|word| self.words.word(word)).collect(),
                filters: &filters,
                table: table.values,
                row: table.shape[1],
                bias: bias.values,
                out,
                outputs: outputs.values,
                positions: positions.values,
            });
        });
        // SAFETY: `Forward` wrote every map of every word to both.
        let (outputs, positions) = unsafe { (assume_init(outputs), assume_init(positions)) };
        let mut values = Vec::with_capacity(self.words.samples.len() * out);
        for &word in &self.words.samples {
            values.extend_from_slice(&outputs[word * out..(word + 1) * out]);
        }
        self.saved.get_or_init(|| Saved { outputs, positions });
        vec![Output { shape: vec![self.words.samples.len(), out], values }]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let out = self.out();
        let Saved { outputs, positions } = self.saved.get().expect("forward came before");
        // The gradients of the words' sums, before tanh.
        let mut gradients = vec![0.0; outputs.len()];
        for (&word, gradient) in self.words.samples.iter().zip(gradient.values.chunks_exact(out)) {
            let to = &mut gradients[word * out..(word + 1) * out];
            to.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
        }
        gradients.iter_mut().zip(outputs).for_each(|(gradient, y)| *gradient *= 1.0 - y * y);
        let mut bias = vec![0.0; out];
        for gradient in gradients.chunks_exact(out) {
            bias.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
        }
        let table = self.table_gradient(&gradients, positions, inputs[0].shape);
        let outputs = [table, bias].into_iter().zip(inputs).zip(wanted).filter(|(_, wanted)| **wanted);
        outputs.map(|((values, input), _)| Output { values, shape: input.shape.to_vec() }).collect()
    }
}

impl CharCnn {
    /// Adds every word's gradient to the rows of the characters at the maxima.
    fn table_gradient(&self, gradients: &[f32], positions: &[f32], shape: &[usize]) -> Vec<f32> {
        let (out, row) = (self.out(), shape[1]);
        let mut table = vec![0.0; shape[0] * row];
        for (word, (gradient, positions)) in gradients.chunks_exact(out).zip(positions.chunks_exact(out)).enumerate() {
            let characters = self.words.word(word);
            for filter in self.filters() {
                for map in 0..filter.maps {
                    let start = positions[filter.out + map] as usize;
                    for tap in 0..filter.width {
                        let character = characters[start + tap] as usize;
                        if character > 0 {
                            table[character * row + filter.row + tap * filter.maps + map] += gradient[filter.out + map];
                        }
                    }
                }
            }
        }
        table
    }
}

/// The forward pass of some words.
struct Forward<'a> {
    words: Vec<&'a [u32]>,
    filters: &'a [Filter],
    table: &'a [f32],
    /// Values of a row of the table.
    row: usize,
    bias: &'a [f32],
    /// Maps of all filters.
    out: usize,
    outputs: &'a mut [MaybeUninit<f32>],
    positions: &'a mut [MaybeUninit<f32>],
}

impl SimdOp for Forward<'_> {
    type Output = ();

    /// Writes every value of the outputs and positions.
    #[inline(always)]
    fn eval<S: Simd>(self, simd: S) {
        let rows = self.outputs.chunks_exact_mut(self.out).zip(self.positions.chunks_exact_mut(self.out));
        for (word, (outputs, positions)) in self.words.iter().zip(rows) {
            let length = word.iter().position(|&c| c == 0).unwrap_or(word.len());
            for filter in self.filters {
                // Past the end of the word, all windows have the same sum: that of no characters.
                let windows = (word.len() + 1 - filter.width).min(length + 1);
                for first in (0..filter.maps).step_by(LANES) {
                    let count = LANES.min(filter.maps - first);
                    let (table, maps) = (self.table, [first, count]);
                    let (greatest, position) = max_over_windows(simd, table, self.row, word, windows, filter, maps);
                    let range = filter.out + first..filter.out + first + count;
                    let sum = greatest.add(simd.load_partial(&self.bias[range.clone()]));
                    simd.tanh(sum).store_partial(&mut outputs[range.clone()]);
                    position.store_partial(&mut positions[range]);
                }
            }
        }
    }
}

/// Returns the maximum over all windows of the sums of `count` maps from `first` on, and the first position at which each is.
#[inline(always)]
fn max_over_windows<S: Simd>(
    simd: S,
    table: &[f32],
    row: usize,
    word: &[u32],
    windows: usize,
    filter: &Filter,
    [first, count]: [usize; 2],
) -> (S::Vector, S::Vector) {
    let (mut greatest, mut position) = (simd.splat(f32::NEG_INFINITY), simd.splat(0.0));
    for start in 0..windows {
        let mut sum = simd.splat(0.0);
        for tap in 0..filter.width {
            let character = word[start + tap] as usize;
            if character == 0 {
                continue;
            }
            let at = character * row + filter.row + tap * filter.maps + first;
            // Lanes past `count` are not used.
            let fits = at + LANES <= table.len();
            sum = sum.add(if fits { simd.load(&table[at..]) } else { simd.load_partial(&table[at..at + count]) });
        }
        let here = simd.splat(start as f32);
        let gain = if start == 0 { simd.splat(1.0) } else { sum.sub(greatest) };
        position = position.add(here.sub(position).where_positive(gain));
        greatest = greatest.max(sum);
    }
    (greatest, position)
}
