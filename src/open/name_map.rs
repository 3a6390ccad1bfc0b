//! Writes a model with the names, shapes and element types that the arrays of a file have.

use std::collections::BTreeMap;

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, TensorView};

use super::layout::{KnownArrays, Layout};
use super::state_dict::{ElementType, StateDict, StoredArray};
use crate::model::{Model, StemKind};
use crate::nn::{ActivationOrder, BlockId, BodyKind, Network};
use crate::{Error, Result};

/// The names that a file has for the arrays of a network, without the prefix of all names.
///
/// They serve a network of fewer blocks too: its blocks are numbered from the first on, so that it needs no other names.
#[derive(Clone, Debug)]
pub struct NameMap {
    layout: &'static Layout,
    /// The arrays by their native names.
    arrays: BTreeMap<String, ArrayFormat>,
    /// Name and value of the counter of training steps of each normalization, by the name of the normalization.
    counters: BTreeMap<String, (String, i64)>,
}

/// How a file stores an array.
#[derive(Clone, Debug)]
struct ArrayFormat {
    name: String,
    shape: Vec<usize>,
    element: ElementType,
}

impl NameMap {
    /// Collects the names of a file whose arrays a layout knows.
    pub(super) fn of(layout: &'static Layout, arrays: &KnownArrays, state: &StateDict) -> Self {
        let written = |array: &StoredArray| match state.head_array(&array.name) {
            Some(_) => array.name.clone(),
            None => state.kept_prefix.clone() + &array.name,
        };
        let format = |array: &StoredArray| ArrayFormat {
            name: written(array),
            shape: array.shape.clone(),
            element: array.element.clone(),
        };
        let counters = state.arrays.iter().filter(|array| layout.is_counter(&array.name)).filter_map(|array| {
            let name = written(array);
            let (part, _) = name.rsplit_once('.')?;
            Some((part.to_owned(), (name.clone(), array.counter()?)))
        });
        Self {
            layout,
            arrays: arrays.iter().map(|(native, array)| (native.clone(), format(array))).collect(),
            counters: counters.collect(),
        }
    }

    /// Returns the name of the layout, such as `resnet`.
    pub fn layout(&self) -> &'static str {
        self.layout.name
    }

    /// Returns the name that a file of this layout has for a block, such as `layer1.0`.
    pub fn block_name(&self, id: BlockId) -> Option<String> {
        self.layout.block_name(id)
    }

    /// Encodes a model as safetensors with the names of the file. Arrays that the file stores in 16 bits are stored so where
    /// that loses nothing, and all others as f32, the type in which they are computed.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an array that the file has no name for.
    pub fn to_bytes(&self, model: &Model) -> Result<Vec<u8>> {
        let failed = |e: safetensors::SafeTensorError| {
            Error::unsupported("safetensors", format!("the network cannot be written: {e}"))
        };
        let mut arrays: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (_, parameter) in model.parameters.iter() {
            let format = self.arrays.get(&parameter.name).ok_or_else(|| {
                Error::unsupported(&parameter.name, format!("the layout {} has no name for it", self.layout.name))
            })?;
            let (dtype, bytes) = encode(parameter.to_vec(), &format.element);
            arrays.push((format.name.clone(), dtype, format.shape.clone(), bytes));
            let counter = format.name.rsplit_once('.').and_then(|(part, _)| self.counters.get(part));
            // A counter is written once, with one of the four arrays of its normalization.
            if let Some((name, value)) = counter.filter(|_| parameter.name.ends_with(".mean")) {
                arrays.push((name.clone(), Dtype::I64, Vec::new(), value.to_le_bytes().to_vec()));
            }
        }
        let views: std::result::Result<Vec<_>, _> = arrays
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect();
        // Transformers refuses files without this entry.
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        safetensors::serialize(views.map_err(failed)?, Some(metadata)).map_err(failed)
    }

    /// Returns how the usual code of the layout constructs a model, such as `ResNet(BasicBlock, [2, 2, 2], num_classes=10)`.
    pub fn constructor(&self, model: &Model) -> String {
        let outline = model.outline();
        let config = model.config();
        let blocks: Vec<usize> = outline.stages.iter().map(|stage| stage.blocks.len()).collect();
        let classes = outline.classes;
        let block = if config.body == Some(BodyKind::Bottleneck) { "Bottleneck" } else { "BasicBlock" };
        let is_large = config.stem == Some(StemKind::Conv7x7Pool);
        let groups = config.groups.unwrap_or(1);
        let widths = match config.bottleneck_width {
            Some(width) => format!(", groups={groups}, width_per_group={}", width / groups),
            None => String::new(),
        };
        match self.layout.name {
            "resnet" if is_large && config.order == ActivationOrder::Post => {
                format!("torchvision.models.resnet.ResNet({block}, layers={blocks:?}, num_classes={classes}{widths})")
            }
            "resnet-d" => format!(
                "timm.models.resnet.ResNet({block}, layers={blocks:?}, num_classes={classes}) with the arguments that it had"
            ),
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

/// Encodes values in an element type, or as f32 where that type would change a value.
fn encode(values: Vec<f32>, element: &ElementType) -> (Dtype, Vec<u8>) {
    let count = values.len();
    let exact: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let (narrow_type, stored_type) = match element {
        ElementType::F16 => (DType::F16, Dtype::F16),
        ElementType::BF16 => (DType::BF16, Dtype::BF16),
        _ => return (Dtype::F32, exact),
    };
    let narrow = TensorData::new(values, [count]).convert_dtype(narrow_type);
    let again = narrow.clone().convert_dtype(DType::F32);
    if again.as_bytes() == exact { (stored_type, narrow.as_bytes().to_vec()) } else { (Dtype::F32, exact) }
}
