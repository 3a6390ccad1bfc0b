//! The patches of the data that excite one filter most, followed through the blocks of its stage (Figure 4).

use std::sync::Arc;

use super::moments::Moments;
use super::walk::{Baseline, Probe, StageActivations};
use crate::Result;
use crate::data::Dataset;
use crate::nn::{BlockActivations, BlockId, Network};
use crate::nn::{BlockOutline, Outline, StageOutline};
use crate::report::{Measurements, Patch, Patches, PerBlock};

/// As many patches as the paper shows.
const MOST: usize = 9;

/// Streams where every filter of every block is excited most, and cuts the patches of one filter a stage out at the end.
///
/// The filter is the one whose greatest activation in a sample has the largest standard deviation over the samples,
/// after the last block of the stage: it says most about what it is excited by.
pub struct PatchProbe {
    dataset: Arc<Dataset>,
    stages: Vec<Stage>,
    /// Samples before the batch under way.
    samples: usize,
}

struct Stage {
    /// `[block][filter]`: the greatest activation first. No filters where it is not known what they see.
    best: Vec<Vec<Vec<Place>>>,
    /// The greatest activation of every filter in a sample, after the last block.
    peaks: Moments,
}

/// Where a filter is excited most in a sample.
#[derive(Clone, Copy)]
struct Place {
    sample: usize,
    position: usize,
    activation: f32,
}

impl PatchProbe {
    /// For a network and the samples that it will see, in their order.
    pub fn new(outline: &Outline, dataset: Arc<Dataset>) -> Self {
        let is_image = dataset.arrays().is_none();
        let stage = |s: &StageOutline| Stage {
            best: vec![vec![Vec::new(); if is_image && is_known(s) { s.shape[0] } else { 0 }]; s.blocks.len()],
            peaks: Moments::default(),
        };
        Self { dataset, stages: outline.stages.iter().map(stage).collect(), samples: 0 }
    }

    /// The patches of one filter after one block.
    fn patches(&self, filter: usize, places: &[Place], stage: &StageOutline, block: &BlockOutline) -> Result<Patches> {
        let [channels, height, width] = self.dataset.shape();
        let mut image = vec![0.0; channels * height * width];
        let mut patches = Vec::new();
        for place in places {
            let (row, column) = (place.position / stage.shape[2], place.position % stage.shape[2]);
            let sees = |i, side| block.receptive_field.map_or(0..side, |field| field.rows(i, side));
            let (rows, columns) = (sees(row, height), sees(column, width));
            self.dataset.sample(place.sample, &mut image)?;
            let lines = image.chunks_exact(width).enumerate().filter(|(line, _)| rows.contains(&(line % height)));
            let pixels = lines.flat_map(|(_, line)| &line[columns.clone()]).map(|&x| (255.0 * x).round() as u8);
            patches.push(Patch {
                sample: place.sample,
                class: self.dataset.classes()[self.dataset.labels()[place.sample] as usize].clone(),
                activation: place.activation,
                row,
                column,
                top: rows.start,
                left: columns.start,
                height: rows.len(),
                width: columns.len(),
                pixels: pixels.collect(),
            });
        }
        Ok(Patches { filter, patches })
    }
}

impl<N: Network> Probe<N> for PatchProbe {
    fn block(&mut self, _: &N, at: BlockId, _: &BlockActivations<N::Estimate>, seen: &StageActivations) {
        let stage = &mut self.stages[at.stage];
        if stage.best[at.block].is_empty() {
            return;
        }
        let positions = seen.units() / seen.channels;
        let is_last = at.block + 1 == stage.best.len();
        for (n, sample) in seen.after().chunks_exact(seen.units()).enumerate() {
            let peak = |channel: &[f32]| {
                let greatest = |best: usize, place: usize| if channel[place] > channel[best] { place } else { best };
                let position = (0..positions).fold(0, greatest);
                Place { sample: self.samples + n, position, activation: channel[position] }
            };
            let peaks: Vec<Place> = sample.chunks_exact(positions).map(peak).collect();
            if is_last {
                stage.peaks.add(peaks.iter().map(|peak| f64::from(peak.activation)));
            }
            for (best, peak) in stage.best[at.block].iter_mut().zip(peaks) {
                let rank = best.partition_point(|other| other.activation >= peak.activation);
                if rank < MOST {
                    best.insert(rank, peak);
                    best.truncate(MOST);
                }
            }
        }
    }

    fn end(&mut self, _: &N, labels: &[u32]) -> Result<()> {
        self.samples += labels.len();
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Baseline, measured: &mut Measurements, _: &mut dyn FnMut(u64)) -> Result<()> {
        let mut all = PerBlock::new();
        for (outline, stage) in measured.outline.stages.iter().zip(&self.stages) {
            if stage.best.iter().all(Vec::is_empty) {
                continue;
            }
            let filter = most_varied(&stage.peaks.deviations());
            for (block, best) in outline.blocks.iter().zip(&stage.best) {
                let patches = self.patches(filter, &best[filter], outline, block)?;
                all.insert(block.name().to_owned(), patches);
            }
        }
        measured.patches = (!all.is_empty()).then_some(all);
        Ok(())
    }
}

/// Whether it is known what the units of a stage see: of a graph that others wrote it is not, unless a filter is one unit.
fn is_known(stage: &StageOutline) -> bool {
    match stage.shape[..] {
        [_, 1, 1] => true,
        [_, _, _] => stage.blocks.iter().all(|block| block.receptive_field.is_some()),
        _ => false,
    }
}

/// The first filter of the largest deviation; one that is not finite does not count.
fn most_varied(deviations: &[f64]) -> usize {
    let finite = deviations.iter().enumerate().filter(|(_, deviation)| deviation.is_finite());
    finite.rev().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(filter, _)| filter)
}
