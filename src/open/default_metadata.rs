//! Metadata of a network whose file has none: the normalization and the classes that are customary for it.

use std::path::Path;

use super::OpenOptions;
use super::infer_config::InferredNetwork;
use super::layout::Layout;
use crate::data::{Normalization, cifar_class_names};
use crate::model::{Metadata, Model, StemKind};
use crate::nn::{ActivationOrder, Network};

/// Mean and standard deviation of ImageNet's training pixels, which CIFAR ResNets of three stages use too.
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
/// Mean of CIFAR-10's training pixels and the average standard deviation of single images, which networks of four stages
/// use.
const CIFAR: ([f32; 3], [f32; 3]) = ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]);
/// Mean and standard deviation of CIFAR-10's training pixels in steps of 1/255, as Wide ResNets use them.
const WIDE: ([f32; 3], [f32; 3]) =
    ([125.3 / 255.0, 123.0 / 255.0, 113.9 / 255.0], [63.0 / 255.0, 62.1 / 255.0, 66.7 / 255.0]);

/// Returns the metadata of a network whose file has none.
///
/// The error says which option is needed.
pub(super) fn metadata(
    path: &Path,
    model: &Model,
    network: &InferredNetwork,
    layout: &Layout,
    options: &OpenOptions,
) -> Result<Metadata, String> {
    // The given values replace these later.
    let is_given = options.mean.is_some() && options.std.is_some();
    let customary = layout.is_foreign().then(|| normalization(model)).flatten();
    let known = customary.or(is_given.then(|| Normalization::uniform(0.0, 1.0)));
    let Some(Normalization { mean, std }) = known else {
        return Err("how its samples were normalized is not in it: give mean and std".into());
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

/// Returns numbers as names of classes.
fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}

/// Returns the normalization that networks of this shape are usually trained with.
fn normalization(model: &Model) -> Option<Normalization> {
    let outline = model.outline();
    let config = model.config();
    if outline.input[0] != 3 {
        return None;
    }
    let (mean, std) = match (config.stem, outline.stages.len()) {
        (Some(stem), _) if stem.has_pool() => IMAGENET,
        (Some(StemKind::Conv3x3), 3) if config.order == ActivationOrder::Pre => WIDE,
        (Some(StemKind::Conv3x3), 3) => IMAGENET,
        (Some(StemKind::Conv3x3), 4) => CIFAR,
        _ => return None,
    };
    Some(Normalization { mean: mean.to_vec(), std: std.to_vec() })
}

/// Returns the names of the classes, where the shape of the samples and the number of classes tell them.
pub(super) fn class_names(model: &Model) -> Option<Vec<String>> {
    let outline = model.outline();
    if outline.input == [3, 32, 32] { cifar_class_names(outline.classes) } else { None }
}
