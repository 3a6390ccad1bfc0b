//! Words from their characters: narrow convolutions over the characters, and the greatest value over time.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::norm::{give, lanes, take};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{SendPtr, parallel_chunks, uninit};
use super::simd::{Isa, LANES, Lanes, Work, dispatch};

/// The characters of some words, each of which is computed once however often it occurs.
#[derive(Debug)]
pub(super) struct UniqueWords {
    /// Characters of one word; 0 stands for none, behind the last one.
    length: usize,
    /// The different words, one behind the other.
    characters: Vec<u32>,
    /// Which of them every sample is.
    samples: Vec<usize>,
}

impl UniqueWords {
    /// From the characters of every sample, `length` each.
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

    fn different(&self) -> usize {
        self.characters.len() / self.length
    }

    fn word(&self, place: usize) -> &[u32] {
        &self.characters[place * self.length..(place + 1) * self.length]
    }
}

/// `tanh(max over s of Σ_j table[character s + j][filter's tap j] + bias)` for filters of 1, 2, … characters, each of which has as many
/// maps as `maps` says. A convolution of embedded characters is such a sum: its table is embedding times weights, and
/// what was a product becomes a sum of rows.
///
/// Inputs: the table, `[characters, Σ width·maps]`, in which a filter's taps lie one behind the other, and no character,
/// 0, is a row of zeros; and the bias, `[Σ maps]`. Output: `[samples, Σ maps]`.
#[derive(Debug)]
pub(super) struct CharCnn {
    pub words: Arc<UniqueWords>,
    pub maps: Vec<usize>,
    /// For the way back, of every word and map: the output, and where the filter has its greatest value.
    saved: OnceLock<[Vec<f32>; 2]>,
}

impl CharCnn {
    pub(super) fn new(words: UniqueWords, maps: &[usize]) -> Self {
        Self { words: Arc::new(words), maps: maps.to_vec(), saved: OnceLock::new() }
    }

    /// Maps of all filters.
    fn out(&self) -> usize {
        self.maps.iter().sum()
    }

    /// Of every filter its width, its maps, and where they begin in the output and in a row of the table.
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

#[derive(Clone, Copy)]
struct Filter {
    width: usize,
    maps: usize,
    out: usize,
    row: usize,
}

impl Operation for CharCnn {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let [table, bias] = inputs else { unreachable!("two inputs") };
        let (out, different) = (self.out(), self.words.different());
        let mut saved = [uninit(different * out), uninit(different * out)];
        let shared = saved.each_mut().map(|values| SendPtr::new(values));
        let filters = self.filters();
        parallel_chunks(different, self.words.length * table.shape[1], |words| {
            let range = words.start * out..words.end * out;
            // SAFETY: every part has its own words.
            let [values, places] = shared.map(|all| unsafe { all.part(range.clone()) });
            let words = words.map(|word| self.words.word(word)).collect();
            let (row, table, bias) = (table.shape[1], table.values, bias.values);
            dispatch(Isa::best(), Forward { words, filters: &filters, table, row, bias, out, values, places });
        });
        let mut all = Vec::with_capacity(self.words.samples.len() * out);
        for &word in &self.words.samples {
            all.extend_from_slice(&saved[0][word * out..(word + 1) * out]);
        }
        self.saved.get_or_init(|| saved);
        vec![Output { shape: vec![self.words.samples.len(), out], values: all }]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, wanted: &[bool]) -> Vec<Output> {
        let out = self.out();
        let [values, places] = self.saved.get().expect("forward came before");
        let mut of_words = vec![0.0; values.len()];
        for (&word, gradient) in self.words.samples.iter().zip(gradient.values.chunks_exact(out)) {
            let to = &mut of_words[word * out..(word + 1) * out];
            to.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
        }
        of_words.iter_mut().zip(values).for_each(|(gradient, y)| *gradient *= 1.0 - y * y);
        let mut bias = vec![0.0; out];
        for gradient in of_words.chunks_exact(out) {
            bias.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
        }
        let table = self.back_to_table(&of_words, places, inputs[0].shape);
        let outputs = [table, bias].into_iter().zip(inputs).zip(wanted).filter(|(_, wanted)| **wanted);
        outputs.map(|((values, input), _)| Output { values, shape: input.shape.to_vec() }).collect()
    }
}

impl CharCnn {
    /// What every word's gradient adds to the rows of the characters that made its greatest values.
    fn back_to_table(&self, of_words: &[f32], places: &[f32], shape: &[usize]) -> Vec<f32> {
        let (out, row) = (self.out(), shape[1]);
        let mut table = vec![0.0; shape[0] * row];
        for (word, (gradient, places)) in of_words.chunks_exact(out).zip(places.chunks_exact(out)).enumerate() {
            let characters = self.words.word(word);
            for filter in self.filters() {
                for map in 0..filter.maps {
                    let start = places[filter.out + map] as usize;
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

struct Forward<'a> {
    words: Vec<&'a [u32]>,
    filters: &'a [Filter],
    table: &'a [f32],
    row: usize,
    bias: &'a [f32],
    out: usize,
    values: &'a mut [f32],
    places: &'a mut [f32],
}

impl Work for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let rows = self.values.chunks_exact_mut(self.out).zip(self.places.chunks_exact_mut(self.out));
        for (word, (values, places)) in self.words.iter().zip(rows) {
            let length = word.iter().position(|&c| c == 0).unwrap_or(word.len());
            for filter in self.filters {
                // Behind the word all windows are alike: nothing but what is no character.
                let windows = (word.len() + 1 - filter.width).min(length + 1);
                for first in (0..filter.maps).step_by(LANES) {
                    let count = LANES.min(filter.maps - first);
                    let (most, place) = greatest::<L>(self.table, self.row, word, windows, filter, first, count);
                    let range = filter.out + first..filter.out + first + count;
                    let sum = most.add(take(self.bias, range.clone()));
                    give(sum.tanh(), values, range.clone());
                    give(place, places, range);
                }
            }
        }
    }
}

/// The greatest sum of some maps over all windows, and where it is; the first of equals.
#[inline(always)]
fn greatest<L: Lanes>(
    table: &[f32],
    row: usize,
    word: &[u32],
    windows: usize,
    filter: &Filter,
    first: usize,
    count: usize,
) -> (L, L) {
    let (mut most, mut place) = (L::splat(f32::NEG_INFINITY), L::splat(0.0));
    for start in 0..windows {
        let mut sum = L::splat(0.0);
        for tap in 0..filter.width {
            let character = word[start + tap] as usize;
            if character == 0 {
                continue;
            }
            let at = character * row + filter.row + tap * filter.maps + first;
            sum = sum.add(if at + LANES <= table.len() { lanes(&table[at..]) } else { take(table, at..at + count) });
        }
        let here = L::splat(start as f32);
        let gain = if start == 0 { L::splat(1.0) } else { sum.sub(most) };
        place = place.add(here.sub(place).where_positive(gain));
        most = most.max(sum);
    }
    (most, place)
}
