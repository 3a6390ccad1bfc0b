//! The patches that excite a filter most (Figure 4) by brute force, and receptive fields by changing pixels.

use std::sync::Arc;

use burn::tensor::Device;
use unrolled::data::{DataSpec, Dataset, ResizeCrop, Split};
use unrolled::kernel::Kernels;
use unrolled::measure::{EvalSet, Patches};
use unrolled::model::{Model, ModelConfig, ModelKind};
use unrolled::nn::{BlockId, BodyKind, Network, Samples, Wiring};

use crate::common::measured;

fn digits(samples: usize, batch: usize) -> EvalSet {
    let spec: DataSpec = "digits".parse().unwrap();
    let dataset = Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap().limit(samples);
    let normalization = dataset.normalization();
    EvalSet::new(Arc::new(dataset), normalization, batch)
}

/// The estimates of every block, `[stage][block]`, each `[batch, units]`.
fn estimates(model: &Model, samples: &Samples) -> Vec<Vec<Vec<f32>>> {
    let mut estimate = model.stem(samples).unwrap();
    let stages = model.outline().stages.iter().enumerate().map(|(stage, outline)| {
        estimate = model.enter_stage(stage, estimate.clone()).unwrap();
        let blocks = (0..outline.blocks.len()).map(|block| {
            estimate = model.block(BlockId { stage, block }, estimate.clone()).unwrap();
            model.values(&estimate).0
        });
        blocks.collect()
    });
    stages.collect()
}

#[test]
fn patches_are_those_of_a_search_through_all_activations() {
    const SAMPLES: usize = 40;
    let resnet = ModelConfig::new(ModelKind::Resnet).with_depth(14).with_width(4).with_wiring(Wiring::Highway);
    let mlp = ModelConfig::new(ModelKind::Mlp).with_depth(4).with_width(6).with_wiring(Wiring::Residual);
    for config in [resnet, mlp] {
        let model = Model::new(&config, [1, 8, 8], 10, 3, &Device::flex()).unwrap();
        let source = digits(SAMPLES, 7);
        let found = measured(&model, &source, &["patches"], 0).require::<Patches>().unwrap();
        let whole = digits(SAMPLES, SAMPLES).batches().unwrap().next().unwrap().unwrap();
        let all = estimates(&model, &Samples { values: whole.images, shape: whole.shape });
        let mut compared = 0;
        for (s, (stage, outline)) in all.iter().zip(&model.outline().stages).enumerate() {
            let [channels, height, width] = outline.shape[..] else { panic!("three sides") };
            let positions = height * width;
            let unit = |estimate: &[f32], sample: usize, channel: usize, position: usize| {
                estimate[(sample * channels + channel) * positions + position]
            };
            let peak = |estimate: &[f32], sample: usize, channel: usize| {
                (0..positions).map(|p| unit(estimate, sample, channel, p)).fold(f32::NEG_INFINITY, f32::max)
            };
            let spread = |channel: usize| {
                let peaks: Vec<f64> =
                    (0..SAMPLES).map(|n| f64::from(peak(&stage[stage.len() - 1], n, channel))).collect();
                let mean = peaks.iter().sum::<f64>() / SAMPLES as f64;
                peaks.iter().map(|p| (p - mean) * (p - mean)).sum::<f64>()
            };
            let filter = (0..channels).max_by(|&a, &b| spread(a).total_cmp(&spread(b))).unwrap();
            for (b, estimate) in stage.iter().enumerate() {
                let ours = &found[&BlockId { stage: s, block: b }];
                assert_eq!((ours.filter, ours.patches.len()), (filter, 9));
                let mut order: Vec<usize> = (0..SAMPLES).collect();
                order.sort_by(|&m, &n| peak(estimate, n, filter).total_cmp(&peak(estimate, m, filter)));
                for (patch, &sample) in ours.patches.iter().zip(&order) {
                    assert_eq!(patch.sample, sample, "{s} {b}");
                    let value = unit(estimate, sample, filter, patch.row * width + patch.column);
                    // Batches of another size may sum in another order.
                    assert!((value - peak(estimate, sample, filter)).abs() < 1e-5 * value.abs().max(1.0));
                    assert!((value - patch.activation).abs() < 1e-5 * value.abs().max(1.0));
                    let mut image = [0.0; 64];
                    source.dataset.sample(sample, &mut image).unwrap();
                    let mut pixels = Vec::new();
                    for row in patch.top..patch.top + patch.height {
                        for column in patch.left..patch.left + patch.width {
                            pixels.push((255.0 * image[8 * row + column]).round() as u8);
                        }
                    }
                    assert_eq!(picture(patch.picture.as_deref().unwrap()), pixels);
                    compared += 1;
                }
            }
        }
        assert_eq!(compared, 9 * found.len());
    }
}

/// The grey values of a picture where it is not transparent: what lies beyond the sample is.
fn picture(uri: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = uri.strip_prefix("data:image/png;base64,").unwrap().trim_end_matches('=');
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        bits = bits << 6 | LETTERS.iter().position(|&other| other == letter).unwrap() as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    let image = image::load_from_memory(&bytes).unwrap().to_rgba8();
    image.pixels().filter(|pixel| pixel[3] > 0).map(|pixel| pixel[0]).collect()
}

/// A ramp with all samples alike but for the pixels that `change` names.
fn images(shape: [usize; 3], changes: &[(usize, f32)]) -> Samples {
    let size: usize = shape.iter().product();
    let image: Vec<f32> = (0..size).map(|i| (0.7 * i as f64).sin() as f32).collect();
    let mut values = image.repeat(1 + changes.len());
    for (copy, &(pixel, by)) in changes.iter().enumerate() {
        // Of all channels.
        let plane = shape[1] * shape[2];
        (0..shape[0]).for_each(|channel| values[(copy + 1) * size + channel * plane + pixel] += by);
    }
    Samples { values, shape: [1 + changes.len(), shape[0], shape[1], shape[2]] }
}

#[test]
fn a_unit_sees_its_receptive_field_and_nothing_else() {
    let resnet = ModelConfig::new(ModelKind::Resnet).with_depth(8).with_width(8);
    let imagenet = ModelConfig {
        blocks: Some(vec![1, 2]),
        body: Some(BodyKind::Bottleneck),
        ..ModelConfig::new(ModelKind::Imagenet)
    };
    let cases = [
        (resnet.clone().with_wiring(Wiring::Residual), [1, 20, 20]),
        (resnet.with_wiring(Wiring::Full), [3, 17, 24]),
        (imagenet.with_width(8), [3, 40, 40]),
        // Without gates: such large changes would shut them all.
        (ModelConfig::new(ModelKind::HighwayMnist).with_width(24).with_wiring(Wiring::Residual), [1, 28, 28]),
    ];
    let mut partial = 0;
    for (config, shape) in cases {
        let mut model = Model::new(&config, shape, 10, 1, &Device::flex()).unwrap();
        // Fast convolutions compute several outputs from one tile: a change by 1e4 beside a window leaves its rounding there.
        model.parameters.set_kernels(Kernels::Reference);
        let [_, height, width] = shape;
        // Every pixel changed by itself, far up and far down.
        let changes: Vec<(usize, f32)> =
            (0..height * width).flat_map(|pixel| [1e4, -1e4].map(|by| (pixel, by))).collect();
        let all = estimates(&model, &images(shape, &changes));
        for (stage, outline) in all.iter().zip(&model.outline().stages) {
            let [channels, rows, columns] = outline.shape[..] else { panic!("three sides") };
            for (estimate, block) in stage.iter().zip(&outline.blocks).take(2) {
                let field = block.receptive_field.unwrap();
                for (row, column) in [(0, 0), (rows / 2, columns / 2), (rows - 1, 0), (rows - 1, columns - 1)] {
                    let unit = |copy: usize| -> Vec<f32> {
                        let at = |c: usize| ((copy * channels + c) * rows + row) * columns + column;
                        (0..channels).map(|c| estimate[at(c)]).collect()
                    };
                    let differs = |pixel: usize| unit(1 + 2 * pixel) != unit(0) || unit(2 + 2 * pixel) != unit(0);
                    let (across, down) = (field.rows(column, width), field.rows(row, height));
                    for pixel in 0..height * width {
                        let inside = down.contains(&(pixel / width)) && across.contains(&(pixel % width));
                        assert!(inside || !differs(pixel), "{} at {row}, {column} sees pixel {pixel}", block.id);
                    }
                    for corner in [
                        (down.start, across.start),
                        (down.start, across.end - 1),
                        (down.end - 1, across.start),
                        (down.end - 1, across.end - 1),
                    ] {
                        let (y, x) = corner;
                        assert!(differs(y * width + x), "{} at {row}, {column} does not see {corner:?}", block.id);
                    }
                    partial += usize::from(down.len() < height && across.len() < width);
                }
            }
        }
    }
    assert!(partial > 20, "{partial} units see a part of their sample only");
    let mlp = Model::new(&ModelConfig::new(ModelKind::Mlp), [1, 8, 8], 10, 1, &Device::flex()).unwrap();
    assert!(mlp.outline().stages[0].blocks[0].receptive_field.is_none());
}
