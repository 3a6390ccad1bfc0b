//! The fused SGD step against the reference kernels.

use burn::tensor::{Device, Tensor, TensorData};
use unrolled::kernel::Kernels;
use unrolled::model::{Model, ModelConfig};
use unrolled::train::{Optimizer, TrainConfig};

/// Clipping sums the squares in a different order. Its factor may differ in the last place, and so may the products.
const CLIPPED: f32 = 1e-6;

/// Returns the parameters of a small network after some steps along made-up gradients. Their number is no multiple of the chunks
/// that the kernel works on.
fn parameters_after(kernels: Kernels, train: &TrainConfig) -> Vec<f32> {
    let device = Device::flex();
    let config: ModelConfig = toml::from_str("kind = 'mlp'\ndepth = 5\nwidth = 33").unwrap();
    let mut model = Model::new(&config, [1, 9, 9], 10, 0, &device).unwrap();
    model.parameters.set_kernels(kernels);
    let mut optimizer = Optimizer::new(train, &model.parameters);
    for step in 0..4u32 {
        let values = model.parameters.flatten();
        let count = values.dims()[0];
        let gradient = (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761 + step) >> 8) as f32 / 8e6 - 1.0);
        let gradient = Tensor::from_data(TensorData::new(gradient.collect::<Vec<f32>>(), [count]), &device);
        let values = optimizer.step(train, 0.05, values, gradient);
        model.parameters.unflatten(&values);
    }
    model.parameters.flatten().into_data().try_into_vec().unwrap()
}

#[test]
fn sgd_agrees_with_the_reference() {
    for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
        for weight_decay in [0.0, 1e-2] {
            for clip_norm in [0.0, 5.0, 1e6] {
                let train = TrainConfig { momentum, nesterov, weight_decay, clip_norm, ..TrainConfig::default() };
                let [native, reference] =
                    [Kernels::Native, Kernels::Reference].map(|kernels| parameters_after(kernels, &train));
                assert_eq!(native.len(), 7534);
                let largest = |all: &mut dyn Iterator<Item = f32>| all.fold(0.0, f32::max);
                let error = largest(&mut native.iter().zip(&reference).map(|(a, b)| (a - b).abs()));
                let most =
                    if clip_norm == 5.0 { CLIPPED * largest(&mut reference.iter().map(|w| w.abs())) } else { 0.0 };
                assert!(error <= most, "{momentum} {nesterov} {weight_decay} {clip_norm}: {error:e}");
            }
        }
    }
}

#[test]
fn flat_parameters_follow_the_arrays() {
    let device = Device::flex();
    let config: ModelConfig = toml::from_str("kind = 'mlp'\ndepth = 4\nwidth = 9").unwrap();
    let mut model = Model::new(&config, [1, 3, 3], 3, 0, &device).unwrap();
    let values = model.parameters.flatten().add_scalar(1.0);
    model.parameters.unflatten(&values);
    let (id, _) = model.parameters.iter().next().unwrap();
    let shape = model.parameters.get(id).shape.clone();
    let ones = vec![7.0; shape.iter().product()];
    model.parameters.set_values(id, &shape, ones).unwrap();
    let all: Vec<f32> = model.parameters.flatten().into_data().try_into_vec().unwrap();
    let each: Vec<f32> = model
        .parameters
        .iter()
        .filter(|(_, p)| p.is_trainable())
        .flat_map(|(_, parameter)| parameter.to_vec())
        .collect();
    assert_eq!(all, each);
    assert!(all.contains(&7.0));
}
