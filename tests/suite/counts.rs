//! Exact parameter counts: the papers' rounded ones, and torchvision's where it has the network.

use burn::tensor::Device;
use unrolled::model::{Model, ModelConfig, ModelKind};

fn count(kind: ModelKind, depth: usize, side: usize, classes: usize) -> u64 {
    let config = ModelConfig::new(kind).with_depth(depth);
    let model = Model::new(&config, [3, side, side], classes, 0, &Device::flex()).unwrap();
    unrolled::nn::Network::outline(&model).parameters
}

/// Table 6 of He et al. 2015: 0.27 M, 0.46 M, 0.66 M, 0.85 M, 1.7 M.
#[test]
fn small_resnets() {
    for (depth, expected) in [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)] {
        assert_eq!(count(ModelKind::Resnet, depth, 32, 10), expected, "ResNet-{depth}");
    }
}

/// The counts of torchvision's models of these names.
#[test]
fn imagenet_resnets() {
    let published = [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160), (152, 60_192_808)];
    for (depth, expected) in published {
        assert_eq!(count(ModelKind::Imagenet, depth, 224, 1000), expected, "ResNet-{depth}");
    }
}
