//! Starting a training from the weights of another network.

use crate::model::Model;
use crate::nn::Network;
use crate::{Error, Result};

/// The keys of `[model]` that change what a network computes without changing the names or shapes of its parameters.
const KEYS: [&str; 6] = ["wiring", "order", "last_relu", "last_norm", "norm", "shortcut"];

/// Copies the parameters and statistics of `source` to `model`, which must be the same network. The classifier may have
/// another number of classes; it then keeps its initial values.
///
/// Returns the names of the parameters that keep their initial values.
///
/// # Errors
/// [`Error::Config`] that names the first key in which the networks differ; [`Error::Mismatch`] or [`Error::Shape`] that names
/// the first parameter.
pub(super) fn copy_weights(source: &Model, model: &mut Model) -> Result<Vec<String>> {
    check_config(source, model)?;
    let names = |model: &Model| model.parameters.iter().map(|(_, p)| p.name.clone()).collect::<Vec<_>>();
    let (theirs, ours) = (names(source), names(model));
    let is_missing = |name: &&String, others: &[String]| !others.contains(name);
    let missing = ours.iter().find(|name| is_missing(name, &theirs));
    if let Some(name) = missing.or_else(|| theirs.iter().find(|name| is_missing(name, &ours))) {
        let (old, new) = (&source.outline().name, &model.outline().name);
        let why = format!("of {old}, the experiment has {new}: {name} is in one of them only");
        return Err(Error::mismatch("weights", why));
    }
    let other_classes = source.outline().classes != model.outline().classes;
    let ids: Vec<_> = model.parameters.iter().map(|(id, _)| id).collect();
    let mut new = Vec::new();
    for id in ids {
        let (name, shape) = (model.parameters.get(id).name.clone(), model.parameters.get(id).shape.clone());
        let Some(theirs) = source.parameters.find(&name) else { continue };
        let theirs = source.parameters.get(theirs);
        match theirs.shape == shape {
            true => model.parameters.set_values(id, &shape, theirs.to_vec())?,
            false if other_classes && name.starts_with("head") => new.push(name),
            false => return Err(Error::Shape { name, found: theirs.shape.clone(), expected: shape }),
        }
    }
    Ok(new)
}

fn check_config(source: &Model, model: &Model) -> Result<()> {
    let table =
        |model: &Model| toml::Table::try_from(model.config()).map_err(|e| Error::config("model", e.to_string()));
    let (theirs, ours) = (table(source)?, table(model)?);
    for key in KEYS {
        let show = |table: &toml::Table| table.get(key).map_or_else(|| "none".to_owned(), ToString::to_string);
        if theirs.get(key) != ours.get(key) {
            let what = format!("{}, but the weights are of a network with {}", show(&ours), show(&theirs));
            return Err(Error::config(format!("model.{key}"), what));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::model::{ModelConfig, ModelKind};
    use crate::nn::Wiring;

    fn model(wiring: Wiring, depth: usize, classes: usize, seed: u64) -> Model {
        let config = ModelConfig::new(ModelKind::Mlp).with_depth(depth).with_width(4).with_wiring(wiring);
        Model::new(&config, [1, 2, 2], classes, seed, &Device::flex()).unwrap()
    }

    #[test]
    fn the_same_network_takes_all_weights() {
        let (source, mut copy) = (model(Wiring::Highway, 4, 3, 1), model(Wiring::Highway, 4, 3, 2));
        assert!(copy_weights(&source, &mut copy).unwrap().is_empty());
        assert_eq!(source.fingerprint(), copy.fingerprint());
    }

    #[test]
    fn another_number_of_classes_takes_a_new_head() {
        let (source, mut copy) = (model(Wiring::Highway, 4, 3, 1), model(Wiring::Highway, 4, 5, 2));
        let head = |model: &Model| model.parameters.get(model.parameters.find("head.weight").unwrap()).to_vec();
        let before = head(&copy);
        assert_eq!(copy_weights(&source, &mut copy).unwrap(), ["head.weight", "head.bias"]);
        assert_eq!(head(&copy), before);
        let stem = |model: &Model| model.parameters.get(model.parameters.find("stem.weight").unwrap()).to_vec();
        assert_eq!(stem(&copy), stem(&source));
    }

    #[test]
    fn another_network_is_refused() {
        let source = model(Wiring::Residual, 4, 3, 1);
        let message = |mut other: Model| copy_weights(&source, &mut other).unwrap_err().to_string();
        let wiring = message(model(Wiring::Plain, 4, 3, 1));
        assert_eq!(wiring, "model.wiring: \"plain\", but the weights are of a network with \"residual\"");
        let depth = message(model(Wiring::Residual, 5, 3, 1));
        assert!(depth.contains("of mlp-4 residual, width 4, the experiment has mlp-5 residual"), "{depth}");
    }
}
