//! What a network of a known layout was trained on: the scale of its samples, and its classes.

use std::path::Path;

use super::layout::Layout;
use super::options::OpenOptions;
use super::recognise::Recognised;
use crate::data::{Normalization, cifar_class_names};
use crate::model::{Metadata, Model, StemKind};
use crate::nn::{ActivationOrder, Network};

/// Mean and deviation of ImageNet's training pixels, which the CIFAR ResNets of three stages use too.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// Those of CIFAR-10, with the deviations (of single images, averaged) that networks of four stages are trained with.
const CIFAR: ([f32; 3], [f32; 3]) = ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]);
/// Those of CIFAR-10 as Wide ResNets have them, in steps of 1/255.
const WIDE: ([f32; 3], [f32; 3]) =
    ([125.3 / 255.0, 123.0 / 255.0, 113.9 / 255.0], [63.0 / 255.0, 62.1 / 255.0, 66.7 / 255.0]);

/// The card of a network that somebody else trained, or that lost it.
///
/// The error says which option is needed.
pub(super) fn card(
    path: &Path,
    model: &Model,
    network: &Recognised,
    layout: &Layout,
    options: &OpenOptions,
) -> Result<Metadata, String> {
    // What is given is written over this.
    let is_given = options.mean.is_some() && options.std.is_some();
    let customary = layout.is_foreign().then(|| normalization(model)).flatten();
    let known = customary.or(is_given.then(|| Normalization::uniform(0.0, 1.0)));
    let Some(Normalization { mean, std }) = known else {
        return Err("how its samples were normalized is not in it: give --mean and --std".into());
    };
    Ok(Metadata {
        model: model.config().clone(),
        input: network.input,
        classes: class_names(model).unwrap_or_else(|| numbers(network.classes)),
        characters: None,
        mean,
        std,
        data: path.display().to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}

fn normalization(model: &Model) -> Option<Normalization> {
    let outline = model.outline();
    let config = model.config();
    if outline.input[0] != 3 {
        return None;
    }
    let (mean, std) = match (config.stem, outline.stages.len()) {
        (Some(StemKind::Conv7x7Pool), _) => IMAGENET,
        (Some(StemKind::Conv3x3), 3) if config.order == ActivationOrder::Pre => WIDE,
        (Some(StemKind::Conv3x3), 3) => IMAGENET,
        (Some(StemKind::Conv3x3), 4) => CIFAR,
        _ => return None,
    };
    Some(Normalization { mean: mean.to_vec(), std: std.to_vec() })
}

/// The names of the classes, where the layout tells them.
pub(super) fn class_names(model: &Model) -> Option<Vec<String>> {
    let outline = model.outline();
    if outline.input == [3, 32, 32] { cifar_class_names(outline.classes) } else { None }
}
