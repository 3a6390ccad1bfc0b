//! Sizes for the sides of inputs that a file leaves free and that no data sets.
//!
//! Sides of one name have one size. Sides can depend on one another: in a decoder with a cache the mask is as long as the
//! past and the new positions together. Such a name can be an expression, such as `past_length + length`. Where names do not
//! say it, sizes are tried.

use std::collections::HashMap;

use super::declaration::Dimension;
use super::linked_graph::Graph;

/// The sides of an image that a file leaves free, where the caller gives none.
const DEFAULT_IMAGE_SIDE: usize = 224;
/// Height and width of images that are tried where a graph does not take those of the default: lines of text, as readers of
/// text take them, and squares.
const OTHER_IMAGE_SIDES: [[usize; 2]; 7] = [[48, 320], [32, 320], [32, 100], [64, 256], [32, 32], [64, 64], [640, 640]];
/// The length of a sequence that a file leaves free, where the caller gives none.
const DEFAULT_SEQUENCE: usize = 16;
/// Assignments of sizes that are tried at most.
const MAX_TRIES: usize = 40;

/// The key of a side: its name, or the place of the input and the axis where it has none.
type Key = (String, usize, usize);

/// Sizes of sides that a file leaves free.
#[derive(Clone, Debug, Default)]
pub(super) struct FreeSides {
    sizes: HashMap<Key, usize>,
}

impl FreeSides {
    /// Returns the size of a free side of the input at `place`. `axis` does not count the batch.
    pub(super) fn size(&self, name: &str, place: usize, axis: usize) -> usize {
        self.sizes.get(&key(name, place, axis)).copied().unwrap_or(DEFAULT_SEQUENCE)
    }

    /// Returns assignments of sizes to the free sides of a graph, the most likely one first.
    pub(super) fn candidates(graph: &Graph) -> Vec<Self> {
        let mut sides: Vec<(Key, usize)> = Vec::new();
        // Which of them are heights, 0, and widths, 1.
        let mut image_axes: Vec<(Key, usize)> = Vec::new();
        for (place, &input) in graph.inputs.iter().enumerate() {
            let dims = graph.values[input].dims.get(1..).unwrap_or_default();
            let default = if dims.len() == 3 { DEFAULT_IMAGE_SIDE } else { DEFAULT_SEQUENCE };
            for (axis, dim) in dims.iter().enumerate() {
                let Dimension::Free(name) = dim else { continue };
                let key = key(name, place, axis);
                if dims.len() == 3 && axis > 0 {
                    image_axes.push((key.clone(), axis - 1));
                }
                if sides.iter().all(|(known, _)| *known != key) {
                    sides.push((key, default));
                }
            }
        }
        let mut sizes: HashMap<Key, usize> = sides.iter().cloned().collect();
        let expressions: Vec<(Key, usize)> =
            sides.iter().filter_map(|(key, _)| Some((key.clone(), evaluate(&key.0, &sizes)?))).collect();
        sizes.extend(expressions);
        let sum = |of: usize, one: usize, other: usize| {
            let mut sizes = sizes.clone();
            let total = sizes[&sides[one].0] + sizes[&sides[other].0];
            sizes.insert(sides[of].0.clone(), total);
            Self { sizes }
        };
        let places = 0..sides.len();
        let sums = places.clone().flat_map(|of| places.clone().map(move |one| (of, one)));
        let sums = sums.flat_map(|(of, one)| (one + 1..sides.len()).map(move |other| (of, one, other)));
        let sums = sums.filter(|(of, one, other)| of != one && of != other);
        let first = Self { sizes: sizes.clone() };
        let image = |other: &[usize; 2]| {
            let of_image = image_axes.iter().map(|(key, axis)| (key.clone(), other[*axis]));
            Self { sizes: sizes.clone().into_iter().chain(of_image).collect() }
        };
        let images = OTHER_IMAGE_SIDES.iter().filter(|_| !image_axes.is_empty()).map(image);
        std::iter::once(first)
            .chain(images)
            .chain(sums.map(|(of, one, other)| sum(of, one, other)))
            .take(MAX_TRIES)
            .collect()
    }
}

fn key(name: &str, place: usize, axis: usize) -> Key {
    if name.is_empty() { (String::new(), place, axis) } else { (name.to_owned(), 0, 0) }
}

/// Returns the value of a name that is a sum of other names and numbers; `None` for other names.
fn evaluate(name: &str, sizes: &HashMap<Key, usize>) -> Option<usize> {
    let terms: Vec<&str> = name.split('+').map(str::trim).collect();
    let size = |term: &&str| {
        let named = sizes.get(&key(term, 0, 0)).copied();
        named.or_else(|| term.parse().ok())
    };
    let all = if terms.len() > 1 { terms.iter().map(size).collect::<Option<Vec<usize>>>()? } else { return None };
    all.into_iter().try_fold(0_usize, usize::checked_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_sums_have_the_sizes_of_their_terms() {
        let sizes = [("past", 16), ("new", 3)].map(|(name, size)| (key(name, 0, 0), size)).into();
        assert_eq!(evaluate("past + new", &sizes), Some(19));
        assert_eq!(evaluate("past+1", &sizes), Some(17));
        assert_eq!(evaluate("past", &sizes), None);
        assert_eq!(evaluate("past + other", &sizes), None);
    }
}
