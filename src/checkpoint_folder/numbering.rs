//! Finds the layers of a network in the names of its arrays.

use std::collections::BTreeMap;

/// Arrays whose names are `PREFIX.N.REST` for some numbers `N`: those of a list of modules.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbering {
    /// What stands before the number, such as `model.layers`; empty for names that begin with the number.
    pub(super) prefix: String,
    /// For each number the places of its arrays in the list of names.
    pub(super) arrays: BTreeMap<usize, Vec<usize>>,
}

impl Numbering {
    /// Returns one more than the highest number.
    pub(super) fn depth(&self) -> usize {
        self.arrays.last_key_value().map_or(0, |(last, _)| last + 1)
    }

    /// Returns the first number without arrays below the highest one.
    pub(super) fn gap(&self) -> Option<usize> {
        (0..self.depth()).find(|number| !self.arrays.contains_key(number))
    }

    /// Returns the name of a layer: `model.layers.2`.
    pub(super) fn name(&self, number: usize) -> String {
        if self.prefix.is_empty() { number.to_string() } else { format!("{}.{number}", self.prefix) }
    }

    /// Splits the name of an array into the number of its layer and the rest; `None` for arrays of no layer.
    pub(super) fn split<'a>(&self, name: &'a str) -> Option<(usize, &'a str)> {
        let rest = match self.prefix.as_str() {
            "" => name,
            prefix => name.strip_prefix(prefix)?.strip_prefix('.')?,
        };
        let (number, rest) = rest.split_once('.')?;
        Some((index(number)?, rest))
    }
}

/// Returns the lists of modules that are in no other list, those with the most arrays first.
///
/// Lists within a layer, such as its experts, are part of the layer.
pub(super) fn find_numberings<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<Numbering> {
    let mut found: BTreeMap<String, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
    for (place, name) in names.into_iter().enumerate() {
        let parts: Vec<&str> = name.split('.').collect();
        // The last part names an array: a number there counts parameters of a list, not modules.
        let outermost = parts.iter().take(parts.len() - 1).enumerate().find_map(|(at, part)| Some((at, index(part)?)));
        if let Some((at, number)) = outermost {
            found.entry(parts[..at].join(".")).or_default().entry(number).or_default().push(place);
        }
    }
    let mut numberings: Vec<Numbering> =
        found.into_iter().map(|(prefix, arrays)| Numbering { prefix, arrays }).collect();
    let size = |numbering: &Numbering| numbering.arrays.values().map(Vec::len).sum::<usize>();
    numberings.sort_by_key(|numbering| std::cmp::Reverse(size(numbering)));
    numberings
}

/// Returns a number as names have it: decimal digits without leading zeros.
fn index(part: &str) -> Option<usize> {
    let is_plain = part == "0" || !part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { part.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_within_layers_are_part_of_the_layers() {
        let names = [
            "model.layers.0.experts.0.up",
            "model.layers.0.experts.1.up",
            "model.layers.1.norm",
            "model.norm.weight",
            "head.0.weight",
            "head.2.weight",
            "scales.0",
            "h.00.weight",
        ];
        let found = find_numberings(names);
        let prefixes: Vec<&str> = found.iter().map(|numbering| numbering.prefix.as_str()).collect();
        assert_eq!(prefixes, ["model.layers", "head"]);
        assert_eq!(found[0].arrays, BTreeMap::from([(0, vec![0, 1]), (1, vec![2])]));
        assert_eq!((found[0].gap(), found[1].gap(), found[1].depth()), (None, Some(1), 3));
        assert_eq!(found[0].split("model.layers.12.mlp.up"), Some((12, "mlp.up")));
        assert_eq!(found[0].split("model.layers_2.1.up"), None);
    }

    #[test]
    fn names_may_begin_with_the_number() {
        let found = find_numberings(["0.weight", "1.weight"]);
        assert_eq!((found[0].name(1).as_str(), found[0].split("1.weight")), ("1", Some((1, "weight"))));
    }
}
