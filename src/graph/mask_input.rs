//! The input of a graph that says which positions count.

use super::ParseResult;
use super::answer::AnswerReader;
use super::network::GraphInput;
use crate::nn::StageOutline;
use crate::text::excerpt;

/// An input that says which positions count.
#[derive(Clone, Debug)]
pub(super) struct MaskInput {
    /// Its index among the inputs.
    pub(super) index: usize,
    pub(super) name: String,
    /// Whether it has as many positions as the answers, and not as the estimates of a stage alone.
    pub(super) has_answer_positions: bool,
}

impl AnswerReader {
    /// Finds the input that says which positions count: that of the `given` name, or one whose name says so. `stages` are
    /// those of the network, whose estimates the mask may be for.
    ///
    /// # Errors
    /// An input that was given and does not exist, or has other positions than the answers and the estimates.
    pub(super) fn find_mask(
        &mut self,
        inputs: &[GraphInput],
        stages: &[StageOutline],
        given: Option<&str>,
    ) -> ParseResult<()> {
        // The channels are the first side.
        let of_stages = stages.iter().map(|stage| stage.shape.iter().skip(1).product::<usize>());
        let possible: Vec<usize> = std::iter::once(self.positions).chain(of_stages).collect();
        let mask = |index: usize| {
            let input = &inputs[index];
            let [length] = input.shape[..] else {
                return Err(format!("'{}' has shape {:?}, not one value a position", input.name, input.shape));
            };
            let has_answer_positions = length == self.positions;
            match possible.contains(&length) {
                true => Ok(MaskInput { index, name: input.name.clone(), has_answer_positions }),
                false => Err(format!("'{}' has {length} positions, {}", input.name, self.positions_text(&possible))),
            }
        };
        if let Some(name) = given {
            let all = || inputs.iter().map(|input| format!("'{}'", input.name)).collect::<Vec<_>>().join(", ");
            let index = inputs.iter().position(|input| input.name == name);
            let index = index
                .ok_or_else(|| format!("no input '{}', which is to be the mask; it takes {}", excerpt(name), all()))?;
            self.mask = Some(mask(index).map_err(|why| format!("the mask {why}"))?);
            return Ok(());
        }
        let indices: Vec<usize> = (0..inputs.len()).filter(|&index| is_mask_by_name(&inputs[index])).collect();
        let found: Vec<ParseResult<MaskInput>> = indices.into_iter().map(mask).collect();
        let fitting: Vec<&MaskInput> = found.iter().filter_map(|mask| mask.as_ref().ok()).collect();
        let of_answers: Vec<&MaskInput> = fitting.iter().copied().filter(|mask| mask.has_answer_positions).collect();
        match (of_answers.as_slice(), fitting.as_slice(), found.as_slice()) {
            ([mask], ..) | ([], [mask], _) => self.mask = Some((*mask).clone()),
            ([], [], [Err(why)]) => self.unfit_mask = Some(why.clone()),
            _ => {}
        }
        Ok(())
    }

    /// Returns a text such as `the network answers at 16 positions`, or for one answer a sample, how many its estimates have.
    fn positions_text(&self, possible: &[usize]) -> String {
        match (self.positions, possible) {
            (1, [_, first, ..]) => format!("the estimates of the network have {first}"),
            (positions, _) => format!("the network answers at {positions}"),
        }
    }
}

/// Returns whether the name of an input says that it marks the positions which count. What is not 0 in a padding mask, such
/// as PyTorch's `key_padding_mask`, marks those which do not.
fn is_mask_by_name(input: &GraphInput) -> bool {
    let name = input.name.to_lowercase();
    input.is_integer && input.shape.len() == 1 && name.contains("mask") && !name.contains("pad")
}
