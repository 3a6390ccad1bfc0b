//! The estimate of some samples: an array of the engine, or a feature map of the kernels.

use std::borrow::Cow;

use burn::tensor::{Device, Tensor as BurnTensor, TensorData};
use rten_tensor::Tensor;
use rten_tensor::prelude::*;

use super::ParseResult;
use crate::kernel::FeatureMap;
use crate::nn::tensor_to_vec;
use crate::text::excerpt;

/// The estimate of a chunk of the samples.
#[derive(Clone)]
pub(super) enum EstimateChunk {
    /// Of any shape.
    Array(Tensor<f32>),
    /// `[samples, channels, height, width]`.
    Map(FeatureMap),
}

impl EstimateChunk {
    /// Returns its shape, the samples first.
    pub(super) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Array(array) => array.shape().to_vec(),
            Self::Map(map) => map.dims().to_vec(),
        }
    }

    /// Returns its values, row-major.
    pub(super) fn to_vec(&self) -> Vec<f32> {
        match self {
            Self::Array(array) => array.to_vec(),
            Self::Map(map) => tensor_to_vec(map.clone().into_plain()),
        }
    }

    /// Returns it as an array of the engine.
    pub(super) fn to_array(&self) -> ParseResult<Cow<'_, Tensor<f32>>> {
        match self {
            Self::Array(array) => Ok(Cow::Borrowed(array)),
            Self::Map(_) => engine_array(&self.shape(), self.to_vec()).map(Cow::Owned),
        }
    }

    /// Returns it as a feature map; `None` where it has not four dimensions.
    pub(super) fn to_map(&self) -> Option<FeatureMap> {
        match self {
            Self::Array(array) => feature_map(array),
            Self::Map(map) => Some(map.clone()),
        }
    }
}

/// Returns an array of the engine as a feature map; `None` where it has not four dimensions.
pub(super) fn feature_map(array: &Tensor<f32>) -> Option<FeatureMap> {
    let shape: [usize; 4] = array.shape().try_into().ok()?;
    Some(BurnTensor::<4>::from_data(TensorData::new(array.to_vec(), shape), &Device::flex()).into())
}

/// Returns an array of the engine.
pub(super) fn engine_array(shape: &[usize], values: Vec<f32>) -> ParseResult<Tensor<f32>> {
    Tensor::try_from_data(shape, values).map_err(|e| excerpt(&e.to_string()))
}
