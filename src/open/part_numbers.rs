//! The numbers of stage, block and layer in names of arrays.

/// The numbers in the name of a part, from 1; 0 for those that the name does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PartNumbers {
    pub stage: usize,
    pub block: usize,
    pub layer: usize,
}

impl PartNumbers {
    /// Reads the numbers of a name; `None` where the name does not follow the pattern.
    pub(super) fn read(pattern: &str, name: &str) -> Option<Self> {
        let mut numbers = Self::default();
        let mut rest = name;
        for (n, part) in pattern.split('.').enumerate() {
            if n > 0 {
                rest = rest.strip_prefix('.')?;
            }
            let (found, after) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
            rest = after;
            let Some((before, variable)) = part.split_once('{') else {
                if found != part {
                    return None;
                }
                continue;
            };
            let number = number(found.strip_prefix(before)?)?;
            match variable {
                "s}" => numbers.stage = number,
                "s0}" => numbers.stage = number + 1,
                "k}" => numbers.block = number,
                "k0}" => numbers.block = number + 1,
                _ => numbers.layer = number,
            }
        }
        rest.is_empty().then_some(numbers)
    }

    /// Returns the name with these numbers.
    pub(super) fn write(self, pattern: &str) -> String {
        let Self { stage, block, layer } = self;
        [
            ("{s}", stage),
            ("{s0}", stage.saturating_sub(1)),
            ("{k}", block),
            ("{k0}", block.saturating_sub(1)),
            ("{n}", layer),
        ]
        .iter()
        .fold(pattern.to_owned(), |name, (variable, number)| name.replace(variable, &number.to_string()))
    }
}

/// Parses a number without sign and leading zeros, of at most six digits.
fn number(text: &str) -> Option<usize> {
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit()) && text.len() <= 6 && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain)
}
