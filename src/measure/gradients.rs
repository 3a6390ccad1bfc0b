//! Whether blocks step down the loss: the cosine between `F_k` and the negative gradient of the loss with respect to what
//! enters the block (Jastrzebski et al. 2018).

use serde::{Deserialize, Serialize};

use super::activations::dot;
use super::charts::{BlockAxis, block_table, estimate_cell, with_content, zero};
use super::cost::{Cost, CostModel, estimate_bytes};
use super::measurement::{AnalysisInput, Measurement, Presented, Scope};
use super::moments::RunningMean;
use super::probe::Probe;
use super::score::{Estimate, PerBlock};
use super::sentences::{counted, findings, finite_mean, number};
use crate::nn::{BlockId, Route};
use crate::report::{Axis, Chart, Column, Figure, Format, Mark, Scale, Section, Table};

/// The cosine of every block's residual with the negative gradient of the loss; above zero the block steps down the loss.
pub struct Gradients;

/// Running cosines of all blocks, stage by stage.
#[derive(Serialize, Deserialize)]
pub struct GradientProbe {
    stages: Vec<Vec<RunningMean>>,
}

impl Measurement for Gradients {
    type Output = PerBlock<Estimate>;
    type Probe = GradientProbe;

    const NAME: &'static str = "gradients";
    const ABOUT: &'static str = "Whether blocks step down the loss";

    fn why_not(&self, scope: &Scope) -> Option<String> {
        if scope.outline.is_language_model {
            // The loss of a word is no function of its own estimate alone.
            return Some("the loss of a word depends on the words before it".into());
        }
        if !scope.has_gradients {
            return Some("it has no gradients".into());
        }
        let keeps_shape = scope.outline.blocks().any(|(_, block)| block.keeps_shape());
        (!keeps_shape).then(|| "every block changes the shape".into())
    }

    fn probe(&self, scope: &Scope) -> Option<GradientProbe> {
        let stages = scope.outline.stages.iter();
        Some(GradientProbe { stages: stages.map(|s| vec![RunningMean::default(); s.blocks.len()]).collect() })
    }

    fn cost(&self, scope: &Scope) -> Cost {
        let run = CostModel::new(&scope.outline).sweep(&[Route::identity(&scope.outline)]);
        // Every step again, and back; every estimate is kept, and every residual.
        Cost { probe: 3 * run, bytes: 2 * estimate_bytes(&scope.outline).1, ..Cost::default() }
    }

    fn analyse(&self, scope: &Scope, observed: &AnalysisInput<GradientProbe>) -> PerBlock<Estimate> {
        let cosines = observed.probe.iter().flat_map(|probe| probe.stages.iter().flatten());
        let blocks = scope.outline.blocks().zip(cosines).filter(|(_, cosine)| !cosine.is_empty());
        blocks.map(|((id, _), cosine)| (id, cosine.estimate())).collect()
    }

    fn present(&self, networks: &[Presented<Self::Output>]) -> Section {
        if networks.iter().all(|network| network.output.is_empty()) {
            return Section::default();
        }
        let tables = vec![table(networks)];
        Section {
            title: "Steps down the loss".into(),
            about: vec![
                "The cosine between what a block adds, `F_k = a_k - a_(k-1)`, and the negative gradient of the loss \
                 with respect to the estimate that enters it, `-∂L/∂a_(k-1)`, averaged over the samples (Jastrzebski \
                 et al. 2018)."
                    .into(),
                "Above zero the block moves the estimate in a direction in which the loss falls. Samples whose \
                 gradient is zero are left out. Blocks that change the shape of the estimate have no cosine."
                    .into(),
            ],
            findings: findings(networks, &tables, sentence),
            figures: with_content([figure(networks)]),
            tables,
            ..Section::default()
        }
    }
}

type Networks<'a> = [Presented<'a, PerBlock<Estimate>>];

/// Returns the mean cosine, and how many cosines are above and below zero.
fn sentence(network: &Presented<PerBlock<Estimate>>) -> Option<String> {
    let cosines = network.output.values().filter(|cosine| cosine.value.is_finite());
    let cosines: Vec<&Estimate> = cosines.collect();
    let mean = finite_mean(cosines.iter().map(|cosine| cosine.value))?;
    let above = cosines.iter().filter(|cosine| cosine.value > cosine.ci95).count();
    let below = cosines.iter().filter(|cosine| cosine.value < -cosine.ci95).count();
    Some(format!(
        "The mean cosine of the blocks is {}. The interval of a cosine lies above zero for {above} of {}, and below zero \
         for {below}.",
        number(mean, Format::Fixed3),
        counted(cosines.len(), "block"),
    ))
}

fn figure(networks: &Networks) -> Figure {
    let y = Axis::new("`cos(F_k, -∂L/∂a_(k-1))`", Scale::Including(vec![0.0]));
    let cosine = |network: &Presented<PerBlock<Estimate>>, id| network.output.get(&id).copied();
    let chart = BlockAxis::new(networks).chart(networks, y, Mark::Line, cosine);
    Figure::new("gradients", "").panel(Chart { references: vec![zero()], ..chart })
}

fn table(networks: &Networks) -> Table {
    let columns = vec![Column::new("cosine", "`cos(F, -∂L/∂a)`", Format::Fixed3)];
    block_table(("gradients", "Cosine of every block"), networks, columns, |network, id| {
        Some(vec![estimate_cell(*network.output.get(&id)?)])
    })
}

impl Probe for GradientProbe {
    fn needs_gradients(&self) -> bool {
        true
    }

    fn gradient(&mut self, block: BlockId, residual: &[f32], gradient: &[f32], units: usize) {
        let cosines = &mut self.stages[block.stage][block.block];
        for (f, g) in residual.chunks_exact(units).zip(gradient.chunks_exact(units)) {
            let sizes = (dot(f, f) * dot(g, g)).sqrt();
            // A sample that is predicted with certainty has no gradient, and no direction.
            if sizes > 0.0 {
                cosines.add((-dot(f, g) / sizes).clamp(-1.0, 1.0));
            }
        }
    }

    fn merge(&mut self, other: Self) {
        let pairs = self.stages.iter_mut().flatten().zip(other.stages.iter().flatten());
        pairs.for_each(|(own, other)| own.merge(other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, estimate, outline, presented, score};
    use crate::nn::Outline;

    fn cosines(outline: &Outline, first: f64) -> PerBlock<Estimate> {
        let blocks = outline.blocks().filter(|(_, block)| block.keeps_shape()).enumerate();
        blocks.map(|(place, (id, _))| (id, estimate(first + 0.1 * place as f64))).collect()
    }

    #[test]
    fn cosines_of_all_networks_share_a_chart_with_zero() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[3, 2]), score(0.9));
        let mut second = cosines(&deep, -0.1);
        second[3].value = f64::NAN;
        let networks = presented(vec![(&shallow, &whole, cosines(&shallow, 0.1)), (&deep, &whole, second)]);
        let section = Gradients.present(&networks);
        assert_is_complete(&section);
        assert_eq!((section.tables[0].rows.len(), section.tables[0].columns.len()), (7, 3));
        let texts: Vec<_> = section.findings.iter().map(|finding| finding.text.as_str()).collect();
        let first = "The mean cosine of the blocks is 0.200. The interval of a cosine lies above zero for 3 of 3 blocks, and \
                     below zero for 0.";
        let second = "The mean cosine of the blocks is 0.000. The interval of a cosine lies above zero for 1 of 3 blocks, \
                      and below zero for 1.";
        assert_eq!(texts[..2], [first, second]);
        assert!(texts[2].starts_with("1 figure of the table is not finite"), "{texts:?}");
    }
}
