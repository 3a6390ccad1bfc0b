//! Removes wrappers and prefixes from the names of arrays.

use std::collections::BTreeMap;

use super::state_dict::StateDict;

/// Keys under which training programs store the network, the most common first. An average of the weights is another
/// network than the weights: its keys come last.
const WRAPPERS: [&str; 16] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "net_state_dict",
    "module",
    "_orig_mod",
    "weights",
    "params",
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "params_ema",
    "ema",
];

/// Removes the parts that all names begin with. Where a file holds a wrapper and other things, keeps what is in the wrapper.
pub(super) fn strip(mut state: StateDict) -> StateDict {
    while let Some(wrapper) = wrapper(&state) {
        let start = format!("{wrapper}.");
        let mut others: BTreeMap<String, usize> = BTreeMap::new();
        state.arrays.retain_mut(|array| match array.name.strip_prefix(&start) {
            Some(rest) => {
                array.name = rest.to_owned();
                true
            }
            None => {
                *others.entry(format!("{}{}", state.prefix, first(&array.name))).or_default() += 1;
                false
            }
        });
        state.others.extend(others);
        state.prefix += &start;
    }
    state
}

/// Returns the first part of a name.
fn first(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// Returns the part to remove next.
fn wrapper(state: &StateDict) -> Option<String> {
    let head = first(&state.arrays.first()?.name);
    let inside = |wrapper: &str, name: &str| name.strip_prefix(wrapper).is_some_and(|rest| rest.starts_with('.'));
    if state.arrays.iter().all(|array| inside(head, &array.name)) {
        return Some(head.to_owned());
    }
    let holds = |wrapper: &&str| state.arrays.iter().any(|array| inside(wrapper, &array.name));
    WRAPPERS.into_iter().find(holds).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::state_dict::{ElementType, StoredArray};

    #[test]
    fn prefixes_and_wrappers_are_removed() {
        for (names, prefix, kept, others) in [
            (&["conv1.weight", "fc.weight"][..], "", 2, 0),
            (&["module.conv1.weight", "module.fc.weight"], "module.", 2, 0),
            (&["_orig_mod.module.conv1.weight", "_orig_mod.module.fc.bias"], "_orig_mod.module.", 2, 0),
            (&["state_dict.module.a.b", "state_dict.module.c.d", "optimizer.state.0.x"], "state_dict.module.", 2, 1),
            (&["model.a.b", "model.c.d", "ema.a.b", "ema.c.d"], "model.", 2, 1),
            (&["ema.a.b", "ema.c.d", "optimizer.0"], "ema.", 2, 1),
            (&["weight", "bias"], "", 2, 0),
            (&[], "", 0, 0),
        ] {
            let array = |name: &&str| StoredArray::new(name.to_string(), vec![1], ElementType::F32, || Ok(vec![0; 4]));
            let state = strip(StateDict::new(names.iter().map(array).collect()));
            assert_eq!((state.prefix.as_str(), state.arrays.len(), state.others.len()), (prefix, kept, others));
        }
    }
}
