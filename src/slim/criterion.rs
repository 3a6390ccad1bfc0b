//! Criteria that rank blocks: the block that matters least comes first.

use crate::measure::{
    Gates, Influence, InfluenceResult, Lesion, LesionResult, Measurements, PerBlock, Readouts, ReadoutsResult,
    rank_correlation,
};
use crate::nn::BlockId;
use crate::random::{Purpose, shuffle, stream};
use crate::{Error, Result};

use super::results::Ranking;

/// A criterion by which blocks are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// The loss without the block.
    Lesion,
    /// `1 - cos(a_(k-1), a_k)` (ShortGPT 2024).
    Influence,
    /// `arccos(cos(a_(k-1), a_k)) / π` (Gromov et al. 2024).
    Angle,
    /// `‖F‖ / ‖a_(k-1)‖` (Jastrzebski et al. 2018).
    L2Ratio,
    /// The decrease of the loss of a fitted linear read-out.
    ReadoutGain,
    /// The mean activity of the transform gate.
    Gate,
    /// Accuracy, and among equals loss, without the block and all blocks before it, measured again after each removal.
    Greedy,
    /// The last block of the network first: a control.
    Deepest,
    /// A random order: a control.
    Random,
}

/// The measurements that the criteria need.
pub(super) const MEASURED: [&str; 4] = ["lesion", "influence", "readouts", "gates"];

/// What was measured of the blocks, as far as the network has it.
pub(super) struct Figures {
    pub(super) lesion: Option<PerBlock<LesionResult>>,
    influence: Option<InfluenceResult>,
    readouts: Option<ReadoutsResult>,
    gates: Option<PerBlock<crate::measure::BlockGates>>,
}

impl Figures {
    pub(super) fn new(measured: &Measurements) -> Result<Self> {
        Ok(Self {
            lesion: measured.get::<Lesion>()?,
            influence: measured.get::<Influence>()?,
            readouts: measured.get::<Readouts>()?,
            gates: measured.get::<Gates>()?,
        })
    }
}

impl Criterion {
    /// All criteria.
    pub const ALL: [Self; 9] = [
        Self::Lesion,
        Self::Influence,
        Self::Angle,
        Self::L2Ratio,
        Self::ReadoutGain,
        Self::Gate,
        Self::Greedy,
        Self::Deepest,
        Self::Random,
    ];

    /// Returns the name in results and on the command line.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// Returns one line that says what it ranks by.
    pub fn about(self) -> &'static str {
        self.words().1
    }

    /// Returns name and description.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Lesion => ("lesion", "Loss without the block"),
            Self::Influence => ("influence", "How much the block turns the estimate, 1 - cos"),
            Self::Angle => ("angle", "The same as an angle"),
            Self::L2Ratio => ("l2-ratio", "Size of what the block adds over that of the estimate"),
            Self::ReadoutGain => ("readout-gain", "What the loss of a fitted linear read-out falls by"),
            Self::Gate => ("gate", "How open the transform gate is"),
            Self::Greedy => {
                ("greedy", "Accuracy without the block (the loss breaks ties), measured again after each removal")
            }
            Self::Deepest => ("deepest", "The last block first: a control"),
            Self::Random => ("random", "A random order: a control"),
        }
    }

    /// Returns the figure of a block, where the criterion has one for it.
    fn figure(self, measured: &Figures, block: BlockId) -> Option<f64> {
        let influence = || measured.influence.as_ref()?.influence.get(&block);
        match self {
            Self::Lesion => Some(measured.lesion.as_ref()?.get(&block)?.loss_cost.value),
            Self::Influence => Some(influence()?.block_influence.value),
            Self::L2Ratio => Some(influence()?.l2_ratio.value),
            Self::Angle => {
                let alone =
                    measured.influence.as_ref()?.runs.iter().find(|run| run.first == block && run.blocks == 1)?;
                Some(alone.angular_distance.value)
            }
            Self::ReadoutGain => {
                let readouts = &measured.readouts.as_ref()?.readouts;
                let loss = |place: usize| Some(readouts.get_index(place)?.1.linear?.score.loss);
                let place = readouts.get_index_of(&block)?;
                Some(loss(place.checked_sub(1)?)? - loss(place)?)
            }
            Self::Gate => Some(measured.gates.as_ref()?.get(&block)?.transform.as_ref()?.mean.value),
            Self::Greedy | Self::Deepest | Self::Random => None,
        }
    }

    /// Returns the figures of the candidates and their order; `None` where no candidate has a figure, and for `greedy`.
    pub(super) fn order(
        self,
        measured: &Figures,
        candidates: &[BlockId],
        seed: u64,
    ) -> Option<(PerBlock<f64>, Vec<BlockId>)> {
        let mut order = candidates.to_vec();
        match self {
            Self::Greedy => return None,
            Self::Deepest => order.reverse(),
            Self::Random => shuffle(&mut stream(seed, Purpose::RandomRanking, &[]), &mut order),
            _ => {
                let figure = |at: &BlockId| Some((*at, self.figure(measured, *at)?));
                let values: PerBlock<f64> = candidates.iter().filter_map(figure).collect();
                let of = |at: &BlockId| values.get(at).copied().filter(|v| !v.is_nan()).unwrap_or(f64::INFINITY);
                order.sort_by(|a, b| of(a).total_cmp(&of(b)));
                return (!values.is_empty()).then_some((values, order));
            }
        }
        Some((PerBlock::new(), order))
    }
}

impl std::str::FromStr for Criterion {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|criterion| criterion.name() == name);
        found.ok_or_else(|| Error::unknown("ranking", name, Self::ALL.map(Self::name)))
    }
}

/// Returns the rankings for the report, each with its rank correlation with every ranking.
pub(super) fn reported(orders: &[(Criterion, PerBlock<f64>, Vec<BlockId>)]) -> Vec<Ranking> {
    let tau = |one: &[BlockId], other: &[BlockId]| {
        let places: Vec<usize> = one.iter().filter_map(|at| other.iter().position(|o| o == at)).collect();
        rank_correlation(&places)
    };
    let ranking = |(criterion, values, order): &(Criterion, PerBlock<f64>, Vec<BlockId>)| Ranking {
        name: criterion.name().into(),
        values: values.clone(),
        order: order.clone(),
        kendall_tau: orders.iter().map(|(.., other)| tau(order, other)).collect(),
        score: None,
    };
    orders.iter().map(ranking).collect()
}
