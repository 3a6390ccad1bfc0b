//! All arrays of a network in one list. Layers hold indices into it, so that sharing a weight is holding the same
//! index, and an optimizer, an average or a file is a loop.

use std::collections::HashMap;
use std::sync::Mutex;

use burn::tensor::{Device, Tensor, TensorData};

use crate::kernel::{Backend, Kernels, Weights};
use crate::{Error, Result};

/// Which array of a [`Parameters`] list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParameterId(pub(crate) usize);

/// What an array is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Weight of a layer.
    Weight,
    /// Bias of a layer.
    Bias,
    /// Scale or shift of a normalization.
    Norm,
    /// Running mean or variance of a normalization: kept, but not trained by gradients.
    Statistic,
}

/// One array.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name in files and messages, such as `stage1.block2.body.layer1.weight`.
    pub name: String,
    /// Its shape; convolutions `[out, in, height, width]`, dense layers `[out, in]`, as in PyTorch.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// The values, row-major.
    pub value: Tensor<1>,
}

impl Parameter {
    /// Whether gradients train it.
    pub fn is_trained(&self) -> bool {
        self.role != Role::Statistic
    }

    /// The values on the host, row-major.
    pub fn host(&self) -> Vec<f32> {
        host(self.value.clone())
    }
}

/// The values of a tensor of any rank on the host, row-major.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // A tensor of this crate is always f32: the conversion cannot fail.
    tensor.into_data().try_into_vec().expect("f32 tensor")
}

/// All arrays of a network, in the order in which the network was built.
#[derive(Clone, Debug)]
pub struct Parameters {
    entries: Vec<Parameter>,
    by_name: HashMap<String, ParameterId>,
    device: Device,
    kernels: Kernels,
    kept: Kept,
    /// All trained values one behind the other, as long as none of them changes by itself.
    flat: Option<Tensor<1>>,
    shapes_only: bool,
}

/// What layers made of their arrays, until one changes; a copy of the list makes its own.
#[derive(Debug, Default)]
struct Kept(Mutex<HashMap<(ParameterId, Option<ParameterId>), Weights>>);

impl Clone for Kept {
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
            kept: Kept::default(),
            flat: None,
            shapes_only: false,
        }
    }

    /// An empty list that keeps shapes and no values: for counting.
    pub(crate) fn shapes_only(backend: impl Into<Backend>) -> Self {
        Self { shapes_only: true, ..Self::new(backend) }
    }

    /// Adds an array whose values are drawn one by one; one of the same name must not be there.
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

    /// The array of this name.
    pub fn find(&self, name: &str) -> Option<ParameterId> {
        self.by_name.get(name).copied()
    }

    /// One array.
    pub fn get(&self, id: ParameterId) -> &Parameter {
        &self.entries[id.0]
    }

    /// One array as a tensor of its shape. Panics if the rank is not `D`.
    pub fn tensor<const D: usize>(&self, id: ParameterId) -> Tensor<D> {
        let entry = self.get(id);
        let shape: [usize; D] = entry.shape.as_slice().try_into().expect("rank of a parameter");
        entry.value.clone().reshape(shape)
    }

    /// Replaces the values of one array by as many others.
    pub fn set(&mut self, id: ParameterId, value: Tensor<1>) {
        debug_assert_eq!(value.dims(), self.entries[id.0].value.dims());
        self.changed(id);
        self.entries[id.0].value = value;
    }

    /// Replaces the values of one array by as many others from the host.
    ///
    /// # Errors
    /// [`Error::Shape`] if the shapes differ.
    pub fn set_host(&mut self, id: ParameterId, shape: &[usize], values: Vec<f32>) -> Result<()> {
        self.changed(id);
        let entry = &mut self.entries[id.0];
        if entry.shape != shape {
            return Err(Error::Shape {
                name: entry.name.clone(),
                found: shape.to_vec(),
                expected: entry.shape.clone(),
            });
        }
        let values_count = values.len();
        entry.value = Tensor::from_data(TensorData::new(values, [values_count]), &self.device);
        Ok(())
    }

    /// Forgets what was made of an array.
    fn changed(&mut self, id: ParameterId) {
        self.kept = Kept::default();
        if self.get(id).is_trained() {
            self.flat = None;
        }
    }

    /// Moves running statistics towards those of a batch, by a share of the way: `old·(1 - share) + new·share`.
    pub fn update_running_statistics(
        &mut self,
        statistics: Vec<(ParameterId, Tensor<1>)>,
        mut share: impl FnMut(ParameterId) -> f64,
    ) {
        for (id, new) in statistics {
            let share = share(id);
            let old = self.get(id).value.clone();
            self.set(id, old.mul_scalar(1.0 - share) + new.mul_scalar(share));
        }
    }

    /// All arrays in order.
    pub fn iter(&self) -> impl Iterator<Item = (ParameterId, &Parameter)> {
        self.entries.iter().enumerate().map(|(i, p)| (ParameterId(i), p))
    }

    /// The number of trained values.
    pub fn trained(&self) -> u64 {
        let count = |p: &Parameter| p.shape.iter().product::<usize>() as u64;
        self.entries.iter().filter(|p| p.is_trained()).map(count).sum()
    }

    /// What a layer makes of its weight and of the normalization with this mean, made once until any array changes.
    pub(crate) fn kept(&self, key: (ParameterId, Option<ParameterId>), make: impl FnOnce() -> Weights) -> Weights {
        // A thread that panicked while it made weights has put none in.
        let mut kept = self.kept.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.entry(key).or_insert_with(make).clone()
    }

    /// Returns the operations that compute with the arrays.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Returns the device of the arrays and the kernels that compute with them.
    pub fn backend(&self) -> Backend {
        Backend::new(self.device.clone(), self.kernels)
    }

    /// Sets the operations that compute with the arrays. Native kernels run on the CPU only.
    pub fn set_kernels(&mut self, kernels: Kernels) {
        self.kernels = kernels;
    }

    /// Where the arrays are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The same values as leaves of a gradient graph; statistics stay outside it.
    pub fn tracked(&self) -> Self {
        let mut tracked = self.constants();
        for entry in tracked.entries.iter_mut().filter(|entry| entry.is_trained()) {
            entry.value = entry.value.clone().require_grad();
        }
        tracked
    }

    /// The same values as constants of a gradient graph: for gradients with respect to estimates.
    pub fn constants(&self) -> Self {
        let mut constants = self.clone();
        constants.device = self.device.clone().autodiff();
        constants.flat = None;
        for entry in &mut constants.entries {
            entry.value = Tensor::from_inner(entry.value.clone());
        }
        constants
    }
}

/// All trained values as one vector, and back.
impl Parameters {
    /// All trained values, one array behind the other.
    pub fn flatten(&self) -> Tensor<1> {
        let each = || self.entries.iter().filter(|p| p.is_trained()).map(|p| p.value.clone()).collect();
        self.flat.clone().unwrap_or_else(|| Tensor::cat(each(), 0))
    }

    /// Replaces all trained values by those of one vector.
    pub fn unflatten(&mut self, values: &Tensor<1>) {
        self.kept = Kept::default();
        let mut start = 0;
        for entry in self.entries.iter_mut().filter(|p| p.is_trained()) {
            let end = start + entry.shape.iter().product::<usize>();
            entry.value = values.clone().slice(start..end);
            start = end;
        }
        self.flat = Some(values.clone());
    }

    /// The gradients of all trained values as one vector; zeros where a value had no part in the loss.
    pub fn gradient(&self, gradients: &burn::tensor::Gradients) -> Tensor<1> {
        let trained = self.entries.iter().filter(|p| p.is_trained());
        let each = trained.map(|p| p.value.grad(gradients).unwrap_or_else(|| p.value.clone().inner().zeros_like()));
        Tensor::cat(each.collect(), 0)
    }
}
