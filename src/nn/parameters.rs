//! All parameters of a network in one list.
//!
//! Layers hold indices into the list. Two layers share a weight by holding the same index, and an optimizer, an average or a
//! file is a loop over the list.

use std::collections::HashMap;
use std::sync::Mutex;

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::DeviceFailure;
use crate::kernel::{Backend, Kernels, Weights};
use crate::{Error, Result};

/// Index of a parameter in [`Parameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParameterId(pub(crate) usize);

/// The role of a parameter in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Weight of a layer.
    Weight,
    /// Bias of a layer.
    Bias,
    /// Scale or shift of a normalization.
    Norm,
    /// Running mean or variance of a normalization, which gradients do not train.
    Statistic,
}

/// A named array of a network.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name in files and messages, such as `stage1.block2.body.layer1.weight`.
    pub name: String,
    /// Shape as in PyTorch: `[out, in, height, width]` for convolutions, `[out, in]` for dense layers.
    pub shape: Vec<usize>,
    /// Role in the layer.
    pub role: Role,
    /// Values, row-major.
    pub value: Tensor<1>,
}

impl Parameter {
    /// Whether gradients train the parameter.
    pub fn is_trainable(&self) -> bool {
        self.role != Role::Statistic
    }

    /// Copies the values to the host, row-major.
    pub fn to_vec(&self) -> Vec<f32> {
        tensor_to_vec(self.value.clone())
    }
}

/// Copies the values of a tensor of any rank to the host, row-major.
///
/// # Panics
/// With a [`DeviceFailure`] if the device failed to compute them.
pub(crate) fn tensor_to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // All tensors of this crate are f32, so the conversion cannot fail.
    tensor.into_data().try_into_vec().unwrap_or_else(|error| DeviceFailure::panic(error))
}

/// All parameters of a network, in the order in which the network was built.
#[derive(Clone, Debug)]
pub struct Parameters {
    entries: Vec<Parameter>,
    by_name: HashMap<String, ParameterId>,
    device: Device,
    kernels: Kernels,
    cache: WeightCache,
    /// All trainable values in one vector, until a single parameter changes.
    flat: Option<Tensor<1>>,
    shapes_only: bool,
}

/// The arrays of a layer: its weight, and the mean of the normalization that is folded into it.
type WeightKey = (ParameterId, Option<ParameterId>);

/// Weights that layers have prepared for the kernels, until a parameter changes. A clone of the parameters starts with an
/// empty cache.
#[derive(Debug, Default)]
struct WeightCache(Mutex<HashMap<WeightKey, Weights>>);

impl Clone for WeightCache {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Parameters {
    /// Returns an empty list on a backend.
    pub fn new(backend: impl Into<Backend>) -> Self {
        let backend = backend.into();
        let kernels = backend.kernels();
        Self {
            entries: Vec::new(),
            by_name: HashMap::new(),
            device: backend.device,
            kernels,
            cache: WeightCache::default(),
            flat: None,
            shapes_only: false,
        }
    }

    /// Returns an empty list that stores shapes and no values, for counting.
    pub(crate) fn shapes_only(backend: impl Into<Backend>) -> Self {
        Self { shapes_only: true, ..Self::new(backend) }
    }

    /// Adds a parameter and draws its values one by one. No other parameter may have this name.
    pub(crate) fn add(
        &mut self,
        name: String,
        shape: Vec<usize>,
        role: Role,
        draw: impl FnMut() -> f32,
    ) -> ParameterId {
        self.flat = None;
        let id = ParameterId(self.entries.len());
        let count = if self.shapes_only { 0 } else { shape.iter().product() };
        let values: Vec<f32> = std::iter::repeat_with(draw).take(count).collect();
        let value = Tensor::from_data(TensorData::new(values, [count]), &self.device);
        let before = self.by_name.insert(name.clone(), id);
        assert!(before.is_none(), "two parameters named {name}");
        self.entries.push(Parameter { name, shape, role, value });
        id
    }

    /// Returns the parameter of this name.
    pub fn find(&self, name: &str) -> Option<ParameterId> {
        self.by_name.get(name).copied()
    }

    /// Returns a parameter.
    pub fn get(&self, id: ParameterId) -> &Parameter {
        &self.entries[id.0]
    }

    /// Returns a parameter as a tensor of its shape.
    ///
    /// # Panics
    /// If its rank is not `D`.
    pub fn tensor<const D: usize>(&self, id: ParameterId) -> Tensor<D> {
        let entry = self.get(id);
        let shape: [usize; D] = entry.shape.as_slice().try_into().expect("rank of a parameter");
        entry.value.clone().reshape(shape)
    }

    /// Replaces the values of a parameter by as many others.
    pub fn set(&mut self, id: ParameterId, value: Tensor<1>) {
        debug_assert_eq!(value.dims(), self.entries[id.0].value.dims());
        self.invalidate(id);
        self.entries[id.0].value = value;
    }

    /// Replaces the values of a parameter by values from the host, row-major.
    ///
    /// # Errors
    /// [`Error::Shape`] if `shape` is not that of the parameter.
    pub fn set_values(&mut self, id: ParameterId, shape: &[usize], values: Vec<f32>) -> Result<()> {
        self.invalidate(id);
        let entry = &mut self.entries[id.0];
        if entry.shape != shape {
            return Err(Error::Shape {
                name: entry.name.clone(),
                found: shape.to_vec(),
                expected: entry.shape.clone(),
            });
        }
        let count = values.len();
        entry.value = Tensor::from_data(TensorData::new(values, [count]), &self.device);
        Ok(())
    }

    /// Clears what was computed from a parameter that changes.
    fn invalidate(&mut self, id: ParameterId) {
        self.cache = WeightCache::default();
        if self.get(id).is_trainable() {
            self.flat = None;
        }
    }

    /// Updates running statistics with those of a batch: `old·(1 - m) + new·m` with the momentum `m` of each.
    pub fn update_running_statistics(
        &mut self,
        statistics: Vec<(ParameterId, Tensor<1>)>,
        mut momentum: impl FnMut(ParameterId) -> f64,
    ) {
        for (id, new) in statistics {
            let momentum = momentum(id);
            let old = self.get(id).value.clone();
            self.set(id, old.mul_scalar(1.0 - momentum) + new.mul_scalar(momentum));
        }
    }

    /// Returns all parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = (ParameterId, &Parameter)> {
        self.entries.iter().enumerate().map(|(i, p)| (ParameterId(i), p))
    }

    /// Returns the number of trainable values.
    pub fn trainable_count(&self) -> u64 {
        let count = |p: &Parameter| p.shape.iter().product::<usize>() as u64;
        self.entries.iter().filter(|p| p.is_trainable()).map(count).sum()
    }

    /// Returns the weights of a layer as the kernels take them. They are made once and cached until a parameter changes.
    pub(crate) fn cached_weights(&self, key: WeightKey, make: impl FnOnce() -> Weights) -> Weights {
        // A thread that panicked in `make` has inserted nothing: the map is intact.
        let mut cache = self.cache.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cache.entry(key).or_insert_with(make).clone()
    }

    /// Returns which kernels compute with the parameters.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Returns the device of the arrays and the kernels that compute with them.
    pub fn backend(&self) -> Backend {
        Backend::new(self.device.clone(), self.kernels)
    }

    /// Sets the kernels. Native kernels run on the CPU only.
    pub fn set_kernels(&mut self, kernels: Kernels) {
        self.kernels = kernels;
    }

    /// Returns the device of the parameters.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns a copy for training: trainable parameters are leaves of a gradient graph, statistics are constants.
    pub fn require_grad(&self) -> Self {
        let mut leaves = self.as_constants();
        for entry in leaves.entries.iter_mut().filter(|entry| entry.is_trainable()) {
            entry.value = entry.value.clone().require_grad();
        }
        leaves
    }

    /// Returns a copy whose values are constants of a gradient graph, for gradients with respect to estimates.
    pub fn as_constants(&self) -> Self {
        let mut constants = self.clone();
        constants.device = self.device.clone().autodiff();
        constants.flat = None;
        for entry in &mut constants.entries {
            entry.value = Tensor::from_inner(entry.value.clone());
        }
        constants
    }
}

/// Conversion between the trainable values and one vector.
impl Parameters {
    /// Returns all trainable values in one vector, in the order of the list.
    pub fn flatten(&self) -> Tensor<1> {
        let each = || self.entries.iter().filter(|p| p.is_trainable()).map(|p| p.value.clone()).collect();
        self.flat.clone().unwrap_or_else(|| Tensor::cat(each(), 0))
    }

    /// Replaces all trainable values by those of a vector in the order of [`Parameters::flatten`].
    pub fn unflatten(&mut self, values: &Tensor<1>) {
        self.cache = WeightCache::default();
        let mut start = 0;
        for entry in self.entries.iter_mut().filter(|p| p.is_trainable()) {
            let end = start + entry.shape.iter().product::<usize>();
            entry.value = values.clone().slice(start..end);
            start = end;
        }
        self.flat = Some(values.clone());
    }

    /// Returns the gradients of all trainable values in one vector. A parameter that the loss does not depend on has zeros.
    pub fn gradient(&self, gradients: &burn::tensor::Gradients) -> Tensor<1> {
        let trained = self.entries.iter().filter(|p| p.is_trainable());
        let each = trained.map(|p| p.value.grad(gradients).unwrap_or_else(|| p.value.clone().inner().zeros_like()));
        Tensor::cat(each.collect(), 0)
    }
}
