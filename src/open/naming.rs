//! Written in the form that came in: the names, shapes and element types of somebody else's file, for a network of
//! fewer blocks.

use std::collections::BTreeMap;

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, TensorView};

use super::arrays::{Array, Element, StateDict};
use super::layout::{Known, Layout};
use crate::model::{Model, StemKind};
use crate::nn::{ActivationOrder, BodyKind, Network};
use crate::{Error, Result};

/// How a file names a network's arrays, without what was taken off its names.
///
/// A network of fewer blocks has no other names than the whole: what is renumbered takes the place of what is gone.
#[derive(Clone, Debug)]
pub struct NameMap {
    layout: &'static Layout,
    /// By our names.
    arrays: BTreeMap<String, Place>,
    /// Counters of training steps by the names of the normalizations that they stand beside.
    counters: BTreeMap<String, (String, i64)>,
}

/// How an array stands in the file.
#[derive(Clone, Debug)]
struct Place {
    name: String,
    shape: Vec<usize>,
    element: Element,
}

impl NameMap {
    /// That of a file whose arrays a layout knows.
    pub(super) fn of(layout: &'static Layout, arrays: &Known, state: &StateDict) -> Self {
        let place = |array: &Array| Place {
            name: array.name.clone(),
            shape: array.shape.clone(),
            element: array.element.clone(),
        };
        let counters = state.arrays.iter().filter(|array| layout.is_counter(&array.name)).filter_map(|array| {
            let (part, _) = array.name.rsplit_once('.')?;
            Some((part.to_owned(), (array.name.clone(), array.counter()?)))
        });
        Self {
            layout,
            arrays: arrays.iter().map(|(ours, array)| (ours.clone(), place(array))).collect(),
            counters: counters.collect(),
        }
    }

    /// The layout's name.
    pub fn layout(&self) -> &'static str {
        self.layout.name
    }

    /// The bytes of a safetensors file of this naming. Values of 16 bits come back as such where that loses nothing;
    /// all others are f32, which is what they were computed with.
    ///
    /// # Errors
    /// [`Error::Usage`] for a network with more than the file had.
    pub fn to_bytes(&self, model: &Model) -> Result<Vec<u8>> {
        let failed = |e: safetensors::SafeTensorError| Error::Usage(format!("the network cannot be written: {e}"));
        let mut arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (_, parameter) in model.parameters.iter() {
            let place = self.arrays.get(&parameter.name).ok_or_else(|| {
                Error::Usage(format!("{}: the layout {} has no name for it", parameter.name, self.layout.name))
            })?;
            let (dtype, bytes) = encode(parameter.to_vec(), &place.element);
            arrays.push((place.name.clone(), dtype, place.shape.clone(), bytes));
            let counter = place.name.rsplit_once('.').and_then(|(part, _)| self.counters.get(part));
            // Beside one of the four arrays of a normalization.
            if let Some((name, value)) = counter.filter(|_| parameter.name.ends_with(".mean")) {
                arrays.push((name.clone(), Dtype::I64, Vec::new(), value.to_le_bytes().to_vec()));
            }
        }
        let views: std::result::Result<Vec<_>, _> = arrays
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect();
        // Some programs open no file that does not say for whom it is.
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        safetensors::serialize(views.map_err(failed)?, Some(metadata)).map_err(failed)
    }

    /// How the usual code of the layout builds the network: its depth, above all.
    pub fn builds(&self, model: &Model) -> String {
        let outline = model.outline();
        let config = model.config();
        let blocks: Vec<usize> = outline.stages.iter().map(|stage| stage.blocks.len()).collect();
        let classes = outline.classes;
        let block = if config.body == Some(BodyKind::Bottleneck) { "Bottleneck" } else { "BasicBlock" };
        let is_large = config.stem == Some(StemKind::Conv7x7Pool);
        match self.layout.name {
            "resnet" if is_large && config.order == ActivationOrder::Post => {
                format!("torchvision.models.resnet.ResNet({block}, layers={blocks:?}, num_classes={classes})")
            }
            "resnet" => format!("ResNet({block}, {blocks:?}, num_classes={classes}) of the code that it came from"),
            "wide-resnet" => {
                let widen = config.widen.unwrap_or(1);
                match blocks.iter().all(|count| *count == blocks[0]) {
                    true => {
                        format!("WideResNet(depth={}, num_classes={classes}, widen_factor={widen})", 6 * blocks[0] + 4)
                    }
                    false => format!(
                        "WideResNet(num_classes={classes}, widen_factor={widen}) with {blocks:?} in place of its one n for \
                         all stages: its depth makes equal stages alone"
                    ),
                }
            }
            _ => format!(
                "timm.models.resnetv2.ResNetV2(layers={blocks:?}, num_classes={classes}) with the arguments that it had"
            ),
        }
    }
}

/// Values as an element type that holds them without loss.
fn encode(values: Vec<f32>, element: &Element) -> (Dtype, Vec<u8>) {
    let count = values.len();
    let exact: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let (ours, theirs) = match element {
        Element::F16 => (DType::F16, Dtype::F16),
        Element::BF16 => (DType::BF16, Dtype::BF16),
        _ => return (Dtype::F32, exact),
    };
    let narrow = TensorData::new(values, [count]).convert_dtype(ours);
    let again = narrow.clone().convert_dtype(DType::F32);
    if again.as_bytes() == exact { (theirs, narrow.as_bytes().to_vec()) } else { (Dtype::F32, exact) }
}
