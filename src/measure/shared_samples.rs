//! Predictions for samples that several processes share.

use super::sample_order::SampleList;
use super::{EvalSet, Prediction};
use crate::data::Shard;
use crate::ranks::Ranks;
use crate::{Error, Result};

/// Returns the part of the samples that a rank takes; `None` for a process alone.
pub(crate) fn ranks_shard(ranks: &Ranks) -> Option<Shard> {
    (ranks.size() > 1).then(|| Shard { number: ranks.rank() + 1, of: ranks.size() })
}

/// Returns predictions for all samples, `[route][sample]` in the data set's order, from those for the samples of this rank.
///
/// # Errors
/// [`Error::Mismatch`] where the ranks have not seen every sample once.
pub(super) fn of_all_ranks(
    data: &EvalSet,
    list: &SampleList,
    own: Vec<Vec<Prediction>>,
) -> Result<Vec<Vec<Prediction>>> {
    if data.ranks.size() == 1 {
        return Ok(own);
    }
    let wrong = |e: postcard::Error| Error::mismatch("predictions of a rank", e.to_string());
    let bytes = postcard::to_stdvec(&(list.samples.to_vec(), &own)).map_err(wrong)?;
    let mut all = vec![vec![None; data.len()]; own.len()];
    for bytes in data.ranks.all_gather(bytes) {
        let (samples, routes): (Vec<usize>, Vec<Vec<Prediction>>) = postcard::from_bytes(&bytes).map_err(wrong)?;
        for (all, predictions) in all.iter_mut().zip(routes) {
            samples.iter().zip(predictions).for_each(|(&sample, prediction)| all[sample] = Some(prediction));
        }
    }
    let complete = |route: Vec<Option<Prediction>>| route.into_iter().collect::<Option<Vec<Prediction>>>();
    let complete: Option<Vec<Vec<Prediction>>> = all.into_iter().map(complete).collect();
    complete.ok_or_else(|| Error::mismatch("samples of all ranks", "not every sample was seen once"))
}
