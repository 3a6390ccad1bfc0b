use burn::tensor::Device;

use super::*;
use crate::nn::{Samples, Wiring};
use crate::random::{Purpose, normal, stream};

fn table(text: &str) -> ModelConfig {
    toml::from_str(text).unwrap()
}

/// Builds a network with random values in all parameters and statistics. The initial statistics are all equal, so that an
/// exchange of two of them would go unnoticed.
fn network(config: &ModelConfig, input: [usize; 3]) -> Model {
    let mut model = Model::new(config, input, 5, 3, &Device::flex()).unwrap();
    let entries: Vec<_> =
        model.parameters.iter().map(|(id, p)| (id, p.name.clone(), p.shape.clone(), p.to_vec())).collect();
    for (place, (id, name, shape, values)) in entries.into_iter().enumerate() {
        let mut rng = stream(7, Purpose::SelfCheck, &[place as u64]);
        let change = |v: f32| {
            let by = 0.2 * normal(&mut rng);
            if name.ends_with("variance") { (v + by).abs() } else { v + by }
        };
        model.parameters.set_values(id, &shape, values.into_iter().map(change).collect()).unwrap();
    }
    model
}

fn samples([channels, height, width]: [usize; 3]) -> Samples {
    let mut rng = stream(1, Purpose::SelfCheck, &[]);
    let shape = [3, channels, height, width];
    Samples { values: (0..shape.iter().product()).map(|_| normal(&mut rng)).collect(), shape }
}

fn bits(model: &Model, route: &Route, samples: &Samples) -> Vec<u32> {
    Network::forward_along(model, route, samples, &mut crate::nn::RecurrentState::default())
        .unwrap()
        .values
        .iter()
        .map(|v| v.to_bits())
        .collect()
}

/// The slimmed network has the outputs of the route, and these differ from the outputs of the whole network.
#[test]
fn a_slimmed_network_has_the_outputs_of_its_route() {
    let cases = [
        ("kind = 'mlp'\ndepth = 6\nwidth = 8", [1, 4, 4], "2,4-5"),
        ("kind = 'mlp'\ndepth = 6\nwidth = 8\nwiring = 'highway'", [1, 4, 4], "1,3"),
        ("kind = 'mlp'\ndepth = 5\nwidth = 8\norder = 'pre'", [1, 4, 4], "2-3"),
        ("kind = 'mlp'\ndepth = 5\nwidth = 8\nwiring = 'plain'", [1, 4, 4], "2,4"),
        ("kind = 'resnet'\ndepth = 20\nwidth = 4", [3, 8, 8], "2-3 / 1,3 / 1"),
        ("kind = 'resnet'\ndepth = 20\nwidth = 4\norder = 'pre'\nshortcut = 'projection'", [3, 8, 8], "3 / 1,3 / 1-2"),
        ("kind = 'resnet'\ndepth = 20\nwidth = 4\nwiring = 'full'\ngate = '1x1'", [3, 8, 8], "1,3 / 1-2 / 1,3"),
        ("kind = 'resnet'\nblocks = [3, 3]\nwidth = 4\nlayer_dropout = 0.5", [3, 8, 8], "2 / 1,3"),
        ("kind = 'resnet'\ndepth = 20\nwidth = 4\nshare_weights = true", [3, 8, 8], "2-3 / 1,3 / 1,3"),
        ("kind = 'imagenet'\ndepth = 50\nwidth = 4", [3, 32, 32], "1,3 / 1-2,4 / 1,6 / 1-3"),
        ("kind = 'highway-110'\ndepth = 14\nwidth = 4", [3, 8, 8], "2 / 1 / 1-2"),
        ("kind = 'highway-mnist'\nwidth = 4", [1, 28, 28], "2 / 1,3 / 2-3"),
    ];
    for (text, input, route) in cases {
        let model = network(&table(text), input);
        let (route, samples) = (Route::parse(route, model.outline()).unwrap(), samples(input));
        let slim = model.slimmed(&route).unwrap();
        let whole = Route::identity(slim.outline());
        assert_eq!(bits(&slim, &whole, &samples), bits(&model, &route, &samples), "{text}");
        assert_ne!(bits(&slim, &whole, &samples), bits(&model, &Route::identity(model.outline()), &samples), "{text}");
        let counts: Vec<usize> = slim.outline().stages.iter().map(|s| s.blocks.len()).collect();
        assert_eq!(counts, route.stages().iter().map(Vec::len).collect::<Vec<_>>(), "{text}");
        // A slimmed network can be slimmed again.
        assert_eq!(bits(&slim.slimmed(&whole).unwrap(), &whole, &samples), bits(&slim, &whole, &samples), "{text}");
    }
}

#[test]
fn a_route_that_reorders_and_repeats_blocks_can_be_permanent() {
    let model = network(&table("kind = 'mlp'\ndepth = 5\nwidth = 8\nwiring = 'residual'"), [1, 4, 4]);
    let (route, samples) = (Route::parse("3,1,1,4", model.outline()).unwrap(), samples([1, 4, 4]));
    let slim = model.slimmed(&route).unwrap();
    assert_eq!(bits(&slim, &Route::identity(slim.outline()), &samples), bits(&model, &route, &samples));
}

#[test]
fn a_block_that_is_not_prunable_is_refused_with_the_reason() {
    let error = |text: &str, input, route: &str| {
        let model = network(&table(text), input);
        model.slimmed(&Route::parse(route, model.outline()).unwrap()).err().map(|e| e.to_string())
    };
    let resnet = "kind = 'resnet'\ndepth = 14\nwidth = 4";
    for (text, route, expected) in [
        (
            resnet,
            "1-2 / 2 / 1-2",
            "stage2.block1: cannot be left out for good: it changes the shape, so that its shortcut would have to stay",
        ),
        (resnet, "- / 1-2 / 1-2", "stage1: would be left without blocks; keep at least one"),
        (
            "kind = 'resnet'\ndepth = 14\nwidth = 4\nwiring = 'plain'",
            "1-2 / 1-2 / 2",
            "stage3.block1: cannot be left out for good: a plain block that changes the shape has no shortcut",
        ),
        (
            "kind = 'resnet'\ndepth = 14\nwidth = 4\norder = 'pre'\nlast_relu = 'sum'",
            "2 / 1-2 / 1-2",
            "stage1.block1: cannot be left out for good: the ReLU after its sum would have to stay, as no ReLU precedes it",
        ),
    ] {
        assert_eq!(error(text, [3, 8, 8], route).as_deref(), Some(expected));
    }
    // A block that keeps the shape is prunable in every wiring.
    for wiring in [Wiring::Plain, Wiring::COnly, Wiring::TOnly] {
        let model = network(&table(resnet).with_wiring(wiring), [3, 8, 8]);
        assert_eq!(model.why_not_prunable(BlockId { stage: 1, block: 1 }), None);
    }
}
