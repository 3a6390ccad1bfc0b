//! Measurements of any [`crate::nn::Network`]: how its blocks refine one estimate, and what it costs to do without them.
//! Nothing here names a kind of network, prints, or writes.

mod ablation;
mod altered;
mod early_exit;
mod estimation;
mod fitted;
mod gates;
mod gradient;
mod influence;
mod iteration;
mod lesion;
mod moments;
mod patches;
mod readout;
mod score;
mod shuffle;
mod softmax;
mod sweep;
mod theory;
mod together;
mod tour;
mod walk;
mod work;

pub use estimation::EstimationProbe;
pub use fitted::FittedProbe;
pub use gates::GateProbe;
pub use gradient::GradientProbe;
pub use influence::InfluenceProbe;
pub use lesion::{lesion, lesions};
pub use patches::PatchProbe;
pub use score::{EvalSet, Prediction, mean, samples, score};
pub use shuffle::{kendall_tau, orders, rank_correlation, shuffle};
pub use sweep::sweep;
pub use theory::TheoryProbe;
pub use walk::{Baseline, Probe, StageActivations, walk};

use crate::Result;
use crate::nn::{BlockOutline, Outline};
use crate::nn::{Network, Route};
use crate::report::{Measurements, Score};
use ablation::MeanSteps;
use tour::{Along, Beside, Tour};
use work::Work;

/// Which measurements to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Estimation error (Eq. 1, Figure 3).
    Estimation,
    /// The patches that excite a filter most (Figure 4).
    Patches,
    /// Every block left out in turn.
    Lesion,
    /// Blocks exchanged within their stages.
    Shuffle,
    /// Gate activity.
    Gates,
    /// How much every block and every run of blocks changes the estimate.
    Influence,
    /// Whether blocks step down the loss; for networks that know gradients.
    Gradients,
    /// What can be read out after every block.
    Readouts,
    /// What a block adds replaced by what says nothing.
    Ablation,
    /// Several blocks left out at random.
    Several,
    /// Pairs of blocks left out together.
    Pairs,
    /// The last block of every stage applied again.
    Repeats,
    /// Indices of convergence, recurrence and divergence.
    Iteration,
    /// What Section 3 predicts.
    Theory,
}

impl Only {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 14] = [
        Self::Estimation,
        Self::Patches,
        Self::Lesion,
        Self::Shuffle,
        Self::Gates,
        Self::Influence,
        Self::Gradients,
        Self::Readouts,
        Self::Ablation,
        Self::Several,
        Self::Pairs,
        Self::Repeats,
        Self::Iteration,
        Self::Theory,
    ];

    /// Those of Section 4 of the paper that the demo takes: its networks are dense and see no patches, only samples.
    pub const PAPER: [Self; 4] = [Self::Estimation, Self::Lesion, Self::Shuffle, Self::Gates];

    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// What it shows, in one line.
    pub fn what(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Estimation => ("estimation", "How far every block's estimate is from its stage's last"),
            Self::Patches => ("patches", "What excites one filter of a stage most, block by block"),
            Self::Lesion => ("lesion", "Every block left out in turn"),
            Self::Shuffle => ("shuffle", "Blocks exchanged within their stages"),
            Self::Gates => ("gates", "How open the gates are"),
            Self::Influence => ("influence", "How much every block, and every run of blocks, changes the estimate"),
            Self::Gradients => ("gradients", "Whether blocks step down the loss"),
            Self::Readouts => ("readouts", "What the network would answer if it stopped after a block"),
            Self::Ablation => ("ablation", "What a block adds replaced by its mean, or by another sample's"),
            Self::Several => ("several", "More and more blocks left out at random"),
            Self::Pairs => ("pairs", "Pairs of blocks left out, and what they cost beyond their members"),
            Self::Repeats => ("repeats", "The last block of every stage applied again"),
            Self::Iteration => {
                ("iteration", "Whether a stage converges, its blocks are alike, and its last one can go on")
            }
            Self::Theory => {
                ("theory", "Zero-mean residuals, falling variance and optimal gates, as Section 3 predicts")
            }
        }
    }
}

impl std::str::FromStr for Only {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|only| only.name() == name);
        found.ok_or_else(|| crate::Error::unknown("measurement", name, Self::ALL.map(Self::name)))
    }
}

impl Only {
    /// Whether a network has what it measures.
    pub fn fits(self, network: &impl Network) -> bool {
        let outline = network.outline();
        let mut blocks = outline.stages.iter().flat_map(|stage| &stage.blocks);
        match self {
            Self::Lesion | Self::Several => !lesion::removable(outline).is_empty(),
            Self::Pairs => lesion::removable(outline).windows(2).any(|pair| pair[0].stage == pair[1].stage),
            Self::Gates => blocks.any(|block| block.wiring.is_gated()),
            // What a word loses is no function of its own estimate alone.
            Self::Gradients => {
                !outline.is_language_model && network.has_gradients() && blocks.any(BlockOutline::keeps_shape)
            }
            Self::Influence | Self::Theory => blocks.any(BlockOutline::keeps_shape),
            Self::Repeats => !together::last_blocks(outline).is_empty(),
            // A word is no picture.
            Self::Patches => !outline.is_language_model,
            _ => true,
        }
    }

    /// What looks while the samples run through the whole network.
    fn probe<N: Network + 'static>(self, outline: &Outline, source: &EvalSet, seed: u64) -> Option<Box<dyn Probe<N>>> {
        match self {
            Self::Estimation => Some(Box::new(EstimationProbe::new(outline, source.dataset.len() as u64))),
            Self::Patches => Some(Box::new(PatchProbe::new(outline, source.dataset.clone()))),
            Self::Gates => Some(Box::new(GateProbe::new(outline))),
            Self::Influence => Some(Box::new(InfluenceProbe::new(outline))),
            Self::Gradients => Some(Box::new(GradientProbe::<N>::new(outline))),
            Self::Readouts if FittedProbe::suits(outline) => Some(Box::new(FittedProbe::new(outline, seed))),
            Self::Theory => Some(Box::new(TheoryProbe::new(outline))),
            _ => None,
        }
    }

    /// What runs along other routes.
    fn tour(self, outline: &Outline, samples: usize, seed: u64) -> Option<Tour> {
        match self {
            Self::Lesion => Some(lesion::tour(outline)),
            Self::Shuffle => Some(shuffle::tour(outline, seed)),
            Self::Readouts => Some(readout::tour(outline)),
            Self::Ablation => Some(ablation::tour(outline, samples)),
            Self::Several => Some(together::several(outline, seed)),
            Self::Pairs => Some(together::pairs(outline, seed)),
            Self::Repeats => Some(together::repeats(outline)),
            Self::Iteration => Some(iteration::tour(outline, seed)),
            _ => None,
        }
    }
}

/// Bytes that the estimates kept at once take, for each sample of a batch, with those that a block at work needs.
pub fn bytes_per_sample(outline: &Outline, only: &[Only]) -> u64 {
    let units = |shape: &[usize]| shape.iter().map(|&side| side as u64).product::<u64>();
    let stages = || outline.stages.iter().map(|s| units(&s.shape) * (s.blocks.len() as u64 + 1));
    let (largest, all) = (stages().max().unwrap_or(0), stages().sum::<u64>());
    let kept = |only: &Only| match only {
        Only::Theory => largest,
        Only::Gradients => 2 * all,
        _ => 0,
    };
    let widest = outline.stages.iter().map(|s| units(&s.shape)).max().unwrap_or(0).max(units(&outline.input));
    // A 3x3 convolution that unfolds its input holds nine copies of it beside input, output, gates and skip.
    let working = 16 * widest;
    // The estimates of the stage under way are kept once for all that look.
    size_of::<f32>() as u64 * (largest + only.iter().map(kept).sum::<u64>() + working).max(1)
}

/// Takes the measurements: everything that only looks in one pass, all routes in one sweep.
///
/// `progress` hears how much work is finished and how much there is in all, in FLOPs or what takes as long. What is measured is named by the
/// outline; whoever knows a file or the history of a training adds them.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn measure<N: Network + 'static>(
    network: &N,
    source: &EvalSet,
    only: &[Only],
    seed: u64,
    mut progress: impl FnMut(u64, u64),
) -> Result<Measurements> {
    let outline = network.outline();
    let only: Vec<Only> = only.iter().copied().filter(|only| only.fits(network)).collect();
    let samples = source.dataset.len();
    let tours: Vec<Tour> = only.iter().filter_map(|only| only.tour(outline, samples, seed)).collect();
    let legs: Vec<(Along, Route)> = tours.iter().flat_map(|tour| tour.legs.iter().cloned()).collect();
    let mut steps = MeanSteps::default();
    let mut probes: Vec<Box<dyn Probe<N> + '_>> = Vec::new();
    probes.extend(only.iter().filter_map(|only| only.probe(outline, source, seed)));
    if legs.iter().any(|leg| leg.0 == Along::MeanSteps) {
        probes.push(Box::new(&mut steps));
    }
    let work = Work::new(outline);
    let walked = work.walk(&only);
    let after = tour::work(&work, &legs);
    let fitted = if only.contains(&Only::Readouts) { FittedProbe::work(outline, samples) } else { 0 };
    let total = samples as u64 * (walked + after) + fitted;
    let mut done = 0;
    let mut advance = |work| {
        done += work;
        progress(done, total);
    };
    let whole = walk(network, source, &mut probes, |samples| advance(samples * walked))?;
    let mut measured = Measurements::new(outline.clone(), score(&whole.answers), seed);
    probes.into_iter().try_for_each(|probe| probe.finish(&whole, &mut measured, &mut advance))?;

    let beside = Beside { means: &steps.means(), seed };
    let answers = tour::run(network, source, &legs, &whole, &beside, &mut advance)?;
    let mut rest = answers.as_slice();
    for tour in tours {
        let (own, others) = rest.split_at(tour.legs.len());
        (tour.finish)(&whole, own, &mut measured);
        rest = others;
    }
    Ok(measured)
}

/// Runs a whole network over all samples.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn evaluate(network: &impl Network, source: &EvalSet, progress: impl FnMut(u64)) -> Result<Score> {
    Ok(score(&walk::through(network, source, &mut [], progress, drop)?))
}

/// What a whole network says of every sample: the labels of samples that have none.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn predictions(network: &impl Network, source: &EvalSet) -> Result<Vec<u32>> {
    Ok(walk::through(network, source, &mut [], |_| (), drop)?.iter().map(|answer| answer.prediction).collect())
}
