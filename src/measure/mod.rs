//! Measurements of any [`crate::nn::Network`]: how its blocks refine one estimate, and what it costs to do without them.
//! Nothing here names a kind of network, prints, or writes.

mod estimation;
mod gates;
mod lesion;
mod moments;
mod score;
mod shuffle;
mod sweep;
mod walk;

pub use estimation::EstimationProbe;
pub use gates::GateProbe;
pub use lesion::{lesion, lesions};
pub use score::{Answer, Source, mean, samples, score};
pub use shuffle::{kendall_tau, orders, shuffle};
pub use sweep::sweep;
pub use walk::{Probe, walk};

use crate::Result;
use crate::nn::{Network, Route};
use crate::report::{BlockGates, Estimation, Lesion, PerBlock, Score, Shuffle};

/// Which measurements to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// Estimation error (Eq. 1, Figure 3).
    Estimation,
    /// Every block left out in turn.
    Lesion,
    /// Blocks exchanged within their stages.
    Shuffle,
    /// Gate activity.
    Gates,
}

impl Only {
    /// All of them, in the order in which they are reported.
    pub const ALL: [Self; 4] = [Self::Estimation, Self::Lesion, Self::Shuffle, Self::Gates];

    /// The name that the command line uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Estimation => "estimation",
            Self::Lesion => "lesion",
            Self::Shuffle => "shuffle",
            Self::Gates => "gates",
        }
    }

    /// What it shows, in one line.
    pub fn what(self) -> &'static str {
        match self {
            Self::Estimation => "How far every block's estimate is from its stage's last",
            Self::Lesion => "Every block left out in turn",
            Self::Shuffle => "Blocks exchanged within their stages",
            Self::Gates => "How open the gates are",
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

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The network as it is.
    pub baseline: Score,
    /// See [`EstimationProbe`].
    pub estimation: Option<PerBlock<Estimation>>,
    /// See [`lesion()`].
    pub lesion: Option<PerBlock<Lesion>>,
    /// See [`orders`].
    pub shuffle: Option<Vec<Shuffle>>,
    /// See [`GateProbe`].
    pub gates: Option<PerBlock<BlockGates>>,
}

/// Takes the measurements: everything that only looks in one pass, all routes in one sweep.
///
/// `progress` hears of finished and of all runs of one sample along one route.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn measure<N: Network>(
    network: &N,
    source: &Source,
    only: &[Only],
    seed: u64,
    mut progress: impl FnMut(u64, u64),
) -> Result<Measured> {
    let outline = network.outline();
    let wants = |what| only.contains(&what);
    let cuts = if wants(Only::Lesion) { lesions(outline) } else { Vec::new() };
    let orders = if wants(Only::Shuffle) { orders(outline, seed) } else { Vec::new() };
    let (names, mut routes): (Vec<String>, Vec<Route>) = cuts.into_iter().unzip();
    routes.extend(orders.iter().map(|order| order.route.clone()));

    let total = source.dataset.len() as u64 * (1 + routes.len() as u64);
    let mut done = 0;
    let mut advance = |samples| {
        done += samples;
        progress(done, total);
    };
    let mut estimation = wants(Only::Estimation).then(|| EstimationProbe::new(outline, source.dataset.len() as u64));
    let mut gates = wants(Only::Gates).then(|| GateProbe::new(outline));
    let mut probes: Vec<&mut dyn Probe<N>> = Vec::new();
    probes.extend(estimation.as_mut().map(|p| p as &mut dyn Probe<N>));
    probes.extend(gates.as_mut().map(|p| p as &mut dyn Probe<N>));

    let whole = walk(network, source, &mut probes, &mut advance)?;
    let answers = sweep(network, source, &routes, &mut advance)?;
    let (cut, shuffled) = answers.split_at(names.len());
    Ok(Measured {
        baseline: score(&whole),
        estimation: estimation.map(|probe| probe.finish(outline)),
        lesion: wants(Only::Lesion).then(|| lesion::all(&whole, names, cut)),
        shuffle: wants(Only::Shuffle).then(|| orders.iter().zip(shuffled).map(|(o, a)| shuffle(o, a)).collect()),
        gates: gates.map(GateProbe::finish),
    })
}

/// Runs a whole network over all samples.
///
/// # Errors
/// Where the samples do not fit the network, or cannot be read.
pub fn evaluate(network: &impl Network, source: &Source, progress: impl FnMut(u64)) -> Result<Score> {
    Ok(score(&walk(network, source, &mut [], progress)?))
}
