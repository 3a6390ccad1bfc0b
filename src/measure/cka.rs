//! Similarity of the representations of all blocks of a stage: linear centred kernel alignment (Kornblith et al. 2019).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::activations::{BatchOutputs, BlockView};
use super::charts::{row_table, stage_maps, with_content};
use super::cost::{Cost, channel_bytes};
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::probe::Probe;
use crate::nn::BlockId;
use crate::report::{Cell, Column, Figure, Finding, Format, HeatMap, RowKey, Section, Table};

/// Linear CKA between all blocks of a stage: 1 where two blocks' estimates have the same similarities between samples.
pub struct Cka;

/// The similarity of two blocks of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockSimilarity {
    /// The earlier block.
    pub first: BlockId,
    /// The later one, or the same.
    pub second: BlockId,
    /// Linear CKA of the channels' averages over positions, with the unbiased estimator of HSIC (Song et al. 2012); it may be
    /// a little below 0 or above 1. NaN where a block does not vary.
    #[serde(with = "crate::float_json")]
    pub cka: f64,
}

/// Of more samples than this the first ones are compared: the work grows with their square.
const MOST_SAMPLES: usize = 1_000;
/// The unbiased estimator needs more than three samples.
const LEAST_SAMPLES: usize = 4;

/// The channels' averages of the first samples, after every block.
#[derive(Default, Serialize, Deserialize)]
pub struct CkaProbe {
    /// The place of every sample in the data set.
    samples: Vec<usize>,
    /// `[samples, channels]`, row-major, of every block, stage by stage.
    features: Vec<Vec<Vec<f32>>>,
}

impl Measurement for Cka {
    type Output = Vec<BlockSimilarity>;
    type Probe = CkaProbe;

    const NAME: &'static str = "cka";
    const ABOUT: &'static str = "How alike the representations of a stage's blocks are (linear CKA)";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        (scope.samples < LEAST_SAMPLES).then(|| format!("at least {LEAST_SAMPLES} samples are needed"))
    }

    fn probe(&self, scope: &Scope) -> Option<CkaProbe> {
        let stages = scope.outline.stages.iter();
        let features = stages.map(|stage| vec![Vec::new(); stage.blocks.len()]).collect();
        Some(CkaProbe { samples: Vec::new(), features })
    }

    fn cost(&self, scope: &Scope) -> Cost {
        let samples = scope.samples.min(MOST_SAMPLES) as u64;
        let stages = scope.outline.stages.iter().map(|stage| {
            let (blocks, channels) = (stage.blocks.len() as u64, stage.shape[0] as u64);
            samples * samples * (2 * channels * blocks + 4 * blocks * blocks)
        });
        Cost {
            analysis: stages.sum(),
            kept: channel_bytes(&scope.outline, samples as usize),
            ..Cost::of_probe(&scope.outline, |_, _| 50)
        }
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<CkaProbe>) -> Vec<BlockSimilarity> {
        let Some(probe) = &observed.probe else { return Vec::new() };
        // Shards put their samples together in any order.
        let mut places: Vec<usize> = (0..probe.samples.len()).collect();
        places.sort_by_key(|&place| probe.samples[place]);
        let stages = scope.outline.stages.iter().zip(&probe.features);
        let similarities = stages.flat_map(|(stage, features)| {
            let kernels: Vec<Vec<f64>> = features.par_iter().map(|block| kernel(block, &places)).collect();
            let pairs = (0..kernels.len()).flat_map(|i| (i..kernels.len()).map(move |j| (i, j)));
            let pairs: Vec<(usize, usize)> = pairs.collect();
            let own = pairs.into_par_iter().map(|(i, j)| {
                let hsic = |i: usize, j: usize| hsic(&kernels[i], &kernels[j], places.len());
                let cka = hsic(i, j) / (hsic(i, i) * hsic(j, j)).sqrt();
                BlockSimilarity { first: stage.blocks[i].id, second: stage.blocks[j].id, cka }
            });
            own.collect::<Vec<_>>()
        });
        similarities.collect()
    }

    fn present(&self, networks: &[Presented<Vec<BlockSimilarity>>]) -> Section {
        let columns = ["first", "second"].map(|name| Column::new(name, name, Format::Text));
        let cka = Column::new("cka", "CKA", Format::Fixed3);
        let row = |pair: &BlockSimilarity| vec![pair.first.into(), pair.second.into(), Cell::Number(pair.cka)];
        let named = ("cka", "Linear CKA of all pairs of blocks of a stage");
        let columns = [columns.to_vec(), vec![cka]].concat();
        let table =
            row_table(named, RowKey::Other, networks, columns, |network| network.output.iter().map(row).collect());
        let table = Table { brief_rows: Some(10), ..table };
        Section {
            title: "How alike the blocks of a stage are".into(),
            about: vec![
                "Linear centred kernel alignment (CKA) compares two blocks by the similarities that their estimates give \
                 to pairs of samples (Kornblith et al. 2019): 1 where these are the same up to scale and rotation, 0 where \
                 they have nothing in common. An estimate is described by its channels' averages over positions; the \
                 estimator of HSIC is the unbiased one (Song et al. 2012)."
                    .into(),
                "Where a stage refines one estimate, neighbours are alike and similarity falls smoothly with distance. A \
                 new representation shows as a border between two blocks."
                    .into(),
            ],
            findings: networks.iter().filter_map(finding).collect(),
            figures: with_content([figure(networks)]),
            tables: vec![table],
            ..Section::default()
        }
    }
}

impl Probe for CkaProbe {
    fn block(&mut self, block: &BlockView) {
        let features = &mut self.features[block.id.stage][block.id.block];
        let kept = block.stage.samples.iter().enumerate().filter(|(_, sample)| **sample < MOST_SAMPLES);
        kept.for_each(|(row, _)| features.extend(block.stage.channel_means(row)));
    }

    fn batch(&mut self, outputs: &BatchOutputs) {
        self.samples.extend(outputs.samples.iter().filter(|sample| **sample < MOST_SAMPLES));
    }

    fn merge(&mut self, other: Self) {
        self.samples.extend(other.samples);
        let blocks = self.features.iter_mut().flatten().zip(other.features.into_iter().flatten());
        blocks.for_each(|(own, features)| own.extend(features));
    }
}

/// Returns the inner products of all pairs of samples, `[samples, samples]`, with zeros on the diagonal.
fn kernel(features: &[f32], places: &[usize]) -> Vec<f64> {
    let n = places.len();
    let channels = features.len().checked_div(n).unwrap_or(0);
    let row = |place: usize| &features[places[place] * channels..(places[place] + 1) * channels];
    let mut kernel = vec![0.0; n * n];
    for (i, j) in (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))) {
        let product = super::activations::dot(row(i), row(j));
        (kernel[i * n + j], kernel[j * n + i]) = (product, product);
    }
    kernel
}

/// Returns the unbiased estimate of the Hilbert-Schmidt independence criterion of two kernels without diagonals:
/// `[tr(KL) + 1ᵀK1·1ᵀL1/((n-1)(n-2)) - 2/(n-2)·1ᵀKL1] / (n(n-3))` (Song et al. 2012).
fn hsic(k: &[f64], l: &[f64], n: usize) -> f64 {
    let sums = |kernel: &[f64]| -> Vec<f64> { kernel.chunks_exact(n.max(1)).map(|row| row.iter().sum()).collect() };
    let (of_k, of_l) = (sums(k), sums(l));
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let total = |sums: &[f64]| sums.iter().sum::<f64>();
    let m = n as f64;
    let pairs = total(&of_k) * total(&of_l) / ((m - 1.0) * (m - 2.0));
    (product(k, l) + pairs - 2.0 / (m - 2.0) * product(&of_k, &of_l)) / (m * (m - 3.0))
}

/// Names the two neighbouring blocks that are least alike.
fn finding(network: &Presented<Vec<BlockSimilarity>>) -> Option<Finding> {
    let neighbours = network.output.iter().filter(|pair| pair.first.block + 1 == pair.second.block);
    let least = neighbours.filter(|pair| pair.cka.is_finite()).min_by(|a, b| a.cka.total_cmp(&b.cka))?;
    let text = format!(
        "Of all neighbours, {} and {} are least alike: their CKA is {:.3}.",
        least.first, least.second, least.cka
    );
    Some(Finding { network: Some(network.place), text })
}

/// A heat map for each stage.
fn figure(networks: &[Presented<Vec<BlockSimilarity>>]) -> Figure {
    let map = |network: &Presented<Vec<BlockSimilarity>>, stage: usize| {
        let names: Vec<String> = network.outline.stages[stage].blocks.iter().map(|b| b.id.to_string()).collect();
        let mut values = vec![vec![None; names.len()]; names.len()];
        for pair in network.output.iter().filter(|pair| pair.first.stage == stage && pair.cka.is_finite()) {
            values[pair.first.block][pair.second.block] = Some(pair.cka);
            values[pair.second.block][pair.first.block] = Some(pair.cka);
        }
        (names.len() > 1).then(|| HeatMap {
            x_label: "block".into(),
            y_label: "block".into(),
            columns: names.clone(),
            rows: names,
            value_label: "CKA".into(),
            ends: Some([0.0, 1.0]),
            values,
            ..HeatMap::default()
        })
    };
    Figure { panels: stage_maps(networks, map), ..Figure::new("cka", "").shared() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of features with a kernel that is known: a rotation and a scale change nothing, noise has nothing in common.
    #[test]
    fn cka_is_1_of_a_rotation_and_near_0_of_noise() {
        let n = 60;
        let wave = |i: usize, k: usize| ((i * i * (k + 3) + 7 * i) as f32 * 0.61).sin();
        let one: Vec<f32> = (0..n).flat_map(|i| [wave(i, 0), wave(i, 1)]).collect();
        let turned: Vec<f32> = one.chunks(2).flat_map(|v| [3.0 * v[1], -3.0 * v[0]]).collect();
        let noise: Vec<f32> = (0..n).flat_map(|i| [wave(i, 11), wave(i, 29)]).collect();
        let places: Vec<usize> = (0..n).collect();
        let cka = |a: &[f32], b: &[f32]| {
            let (a, b) = (kernel(a, &places), kernel(b, &places));
            hsic(&a, &b, n) / (hsic(&a, &a, n) * hsic(&b, &b, n)).sqrt()
        };
        assert!((cka(&one, &turned) - 1.0).abs() < 1e-5, "{}", cka(&one, &turned));
        assert!(cka(&one, &noise).abs() < 0.2, "{}", cka(&one, &noise));
    }

    /// The estimator against its definition with centred kernels, for which the biased one is `tr(KHLH)/(n-1)²`: both agree as
    /// the number of samples grows.
    #[test]
    fn the_estimator_approaches_the_biased_one() {
        let n = 400;
        let x: Vec<f32> = (0..n).map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0).collect();
        let y: Vec<f32> = x.iter().map(|x| x + 0.3 * (9.0 * x).sin()).collect();
        let places: Vec<usize> = (0..n).collect();
        let unbiased = hsic(&kernel(&x, &places), &kernel(&y, &places), n);
        let mean = |v: &[f32]| v.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
        let (mx, my) = (mean(&x), mean(&y));
        let covariance: f64 = x.iter().zip(&y).map(|(a, b)| (f64::from(*a) - mx) * (f64::from(*b) - my)).sum();
        let biased = covariance * covariance / ((n - 1) * (n - 1)) as f64;
        assert!((unbiased / biased - 1.0).abs() < 0.02, "{unbiased} {biased}");
    }
}
