//! The patches of the data that excite one filter most, followed through the blocks of its stage (Figure 4).

mod present;

use serde::{Deserialize, Serialize};

use super::EvalSet;
use super::activations::BlockView;
use super::cost::Cost;
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::moments::Moments;
use super::probe::Probe;
use super::score::PerBlock;
use crate::nn::{ReceptiveField, StageOutline};
use crate::report::Section;
use crate::{Result, float_json, picture};

/// The nine patches of the data that excite one filter most, followed through its stage.
pub struct Patches;

/// One filter after one block (Figure 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockPatches {
    /// The channel, counted from 0; the same for all blocks of a stage.
    pub filter: usize,
    /// At most one a sample, the greatest activation first; of equal ones the earlier sample.
    pub patches: Vec<Patch>,
}

/// What a unit of the filter sees where it is excited most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// The sample's place in the data set, from 0.
    pub sample: usize,
    /// Its class.
    pub class: String,
    /// The unit's activation.
    #[serde(with = "float_json")]
    pub activation: f32,
    /// Row of the unit in the estimate.
    pub row: usize,
    /// Its column.
    pub column: usize,
    /// First row of the sample that the unit sees. Padding does not count.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// That part of the sample as the address of a PNG picture, `data:image/png;base64,…`; absent where the samples were not
    /// at hand, and in JSON for users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

/// As many patches as the paper shows.
const MOST: usize = 9;

/// Where every filter of every block is excited most.
///
/// The filter that is followed is the one whose greatest activation in a sample has the largest standard deviation over the
/// samples, after the last block of the stage: it says most about what it is excited by.
#[derive(Serialize, Deserialize)]
pub struct PatchProbe {
    stages: Vec<Stage>,
}

#[derive(Serialize, Deserialize)]
struct Stage {
    /// `[block][filter]`: the greatest activation first. No filters where it is not known what they see.
    best: Vec<Vec<Vec<Place>>>,
    /// The greatest activation of every filter in a sample, after the last block.
    peaks: Moments,
}

/// Where a filter is excited most in a sample.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Place {
    sample: usize,
    label: u32,
    position: usize,
    activation: f32,
}

impl Place {
    /// Whether it comes before another: the greater activation, and of equal ones the earlier sample.
    fn precedes(&self, other: &Self) -> bool {
        self.activation > other.activation || (self.activation >= other.activation && self.sample < other.sample)
    }
}

/// Puts a place where it belongs among the best.
fn insert(best: &mut Vec<Place>, place: Place) {
    let rank = best.partition_point(|other| !place.precedes(other));
    if rank < MOST {
        best.insert(rank, place);
        best.truncate(MOST);
    }
}

impl Measurement for Patches {
    type Output = PerBlock<BlockPatches>;
    type Probe = PatchProbe;

    const NAME: &'static str = "patches";
    const ABOUT: &'static str = "What excites one filter of a stage most, block by block";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        if !scope.is_image {
            return Some("its samples are no images".into());
        }
        (!scope.outline.stages.iter().any(is_known)).then(|| "it is not known what its units see".into())
    }

    fn probe(&self, scope: &Scope) -> Option<PatchProbe> {
        let stage = |s: &StageOutline| {
            let filters = if is_known(s) { s.shape[0] } else { 0 };
            Stage { best: vec![vec![Vec::new(); filters]; s.blocks.len()], peaks: Moments::default() }
        };
        Some(PatchProbe { stages: scope.outline.stages.iter().map(stage).collect() })
    }

    fn cost(&self, scope: &Scope) -> Cost {
        Cost::of_probe(&scope.outline, |_, _| 50)
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<PatchProbe>) -> PerBlock<BlockPatches> {
        let mut all = PerBlock::new();
        let stages = observed.probe.iter().flat_map(|probe| &probe.stages);
        for (outline, stage) in scope.outline.stages.iter().zip(stages) {
            if stage.best.iter().all(Vec::is_empty) {
                continue;
            }
            let filter = most_varied(&stage.peaks.deviations());
            for (block, best) in outline.blocks.iter().zip(&stage.best) {
                let patches = best[filter].iter().map(|place| patch(place, outline, block.receptive_field, scope));
                all.insert(block.id, BlockPatches { filter, patches: patches.collect() });
            }
        }
        all
    }

    fn illustrate(&self, scope: &Scope, output: &mut PerBlock<BlockPatches>, data: &EvalSet) -> Result<()> {
        let [channels, height, width] = data.dataset.shape();
        let mut image = vec![0.0; channels * height * width];
        for (id, block) in output.iter_mut() {
            let field = scope.outline.block(*id).receptive_field;
            for patch in &mut block.patches {
                data.dataset.sample(patch.sample, &mut image)?;
                let rows = patch.top..patch.top + patch.height;
                let columns = patch.left..patch.left + patch.width;
                let lines = image.chunks_exact(width).enumerate().filter(|(line, _)| rows.contains(&(line % height)));
                let pixels = lines.flat_map(|(_, line)| &line[columns.clone()]).map(|&x| (255.0 * x).round() as u8);
                let pixels: Vec<u8> = pixels.collect();
                // Where the patch stands in the frame.
                let offset = |i: usize, first: usize, side: usize| match field {
                    Some(field) if field.size < side => (first as isize - field.first_row(i)) as usize,
                    _ => first,
                };
                let offset = [offset(patch.row, patch.top, height), offset(patch.column, patch.left, width)];
                let shape = [channels, patch.height, patch.width];
                patch.picture =
                    picture::png_uri(&pixels, shape, [height, width].map(|side| frame(field, side)), offset);
            }
        }
        Ok(())
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        present::section(networks)
    }
}

impl Probe for PatchProbe {
    fn block(&mut self, block: &BlockView) {
        let stage = &mut self.stages[block.id.stage];
        if stage.best[block.id.block].is_empty() {
            return;
        }
        let activations = block.stage;
        let positions = activations.units() / activations.channels;
        let is_last = block.id.block + 1 == stage.best.len();
        for (n, estimate) in activations.after().chunks_exact(activations.units()).enumerate() {
            let peak = |channel: &[f32]| {
                let greatest = |best: usize, place: usize| if channel[place] > channel[best] { place } else { best };
                let position = (0..positions).fold(0, greatest);
                let (sample, label) = (activations.samples[n], activations.labels[n]);
                Place { sample, label, position, activation: channel[position] }
            };
            let peaks: Vec<Place> = estimate.chunks_exact(positions).map(peak).collect();
            if is_last {
                stage.peaks.add(peaks.iter().map(|peak| f64::from(peak.activation)));
            }
            stage.best[block.id.block].iter_mut().zip(peaks).for_each(|(best, peak)| insert(best, peak));
        }
    }

    fn merge(&mut self, other: Self) {
        for (own, other) in self.stages.iter_mut().zip(other.stages) {
            own.peaks.merge(&other.peaks);
            let filters = own.best.iter_mut().flatten().zip(other.best.into_iter().flatten());
            filters.for_each(|(own, best)| best.into_iter().for_each(|place| insert(own, place)));
        }
    }
}

/// Returns what the unit at a place sees, without its picture.
fn patch(place: &Place, stage: &StageOutline, field: Option<ReceptiveField>, scope: &Scope) -> Patch {
    let [_, height, width] = [0, 1, 2].map(|side| scope.outline.input[side]);
    let (row, column) = (place.position / stage.shape[2], place.position % stage.shape[2]);
    let sees = |i, side| field.map_or(0..side, |field: ReceptiveField| field.rows(i, side));
    let (rows, columns) = (sees(row, height), sees(column, width));
    Patch {
        sample: place.sample,
        class: scope.classes[place.label as usize].clone(),
        activation: place.activation,
        row,
        column,
        top: rows.start,
        left: columns.start,
        height: rows.len(),
        width: columns.len(),
        picture: None,
    }
}

/// Returns the side of the frame that a patch is shown in: the whole receptive field, or, where that is larger than a
/// sample, the sample.
fn frame(field: Option<ReceptiveField>, side: usize) -> usize {
    field.map_or(side, |field| field.size.min(side))
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
