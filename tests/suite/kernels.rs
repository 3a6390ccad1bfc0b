//! Native kernels against the reference kernels: values and all gradients, over random shapes.

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use proptest::prelude::*;
use unrolled::kernel::{self, Carry, Epilogue, FeatureMap, Kernels, Weights, WindowOptions};

/// Both sum some hundred terms in f32, in different orders.
const TOLERANCE: f32 = 1e-5;

/// Returns values that depend on the seed only. None is near 0, where rounding could change the result of a ReLU.
fn draw<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let value = (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        value + 0.1f32.copysign(value)
    };
    let values: Vec<f32> = std::iter::repeat_with(next).take(shape.iter().product()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn max_abs(values: &[f32]) -> f32 {
    values.iter().fold(1e-3, |most, value| most.max(value.abs()))
}

/// Checks that two arrays agree, relative to `max_abs`.
fn assert_close(what: &str, native: &[f32], reference: &[f32], max_abs: f32) -> Result<(), TestCaseError> {
    prop_assert_eq!(native.len(), reference.len(), "{}", what);
    for (a, b) in native.iter().zip(reference) {
        prop_assert!((a - b).abs() <= TOLERANCE * max_abs, "{}: {} and {} of {}", what, a, b, max_abs);
    }
    Ok(())
}

/// Normalized values are rounded by some 1e-7. Closer to 0 than this, rounding may put them on either side of a ReLU's kink.
const KINK: f64 = 2e-6;

/// Returns whether a normalized value of [`convolution_case`] is at the kink of the ReLU.
fn has_kink([n, c, h, w]: [usize; 4]) -> bool {
    let [x, scale, shift] = [host(draw([n, c, h, w], 1)), host(draw([c], 3)), host(draw([c], 4))];
    let area = h * w;
    (0..c).any(|c_at| {
        let of = |image: usize| x[(image * c + c_at) * area..][..area].iter().map(|&x| f64::from(x));
        let values: Vec<f64> = (0..n).flat_map(of).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let factor = f64::from(scale[c_at]) / (variance + 1e-5).sqrt();
        values.iter().any(|x| ((x - mean) * factor + f64::from(shift[c_at])).abs() < KINK)
    })
}

fn weights(weight: Tensor<4>, bias: Option<Tensor<1>>) -> Weights {
    let shape = weight.dims();
    Weights::new(weight.flatten(0, 3), shape, bias)
}

/// Returns the gradients of a weighted sum of an output.
fn gradients_of(output: &Tensor<4>) -> Gradients {
    (output.clone() * draw(output.dims(), 99)).sum().backward()
}

/// What a convolution has besides its weights.
#[derive(Clone, Copy, Debug)]
struct Extras {
    bias: bool,
    /// Whether there is a residual, and whether a ReLU is pending on it.
    residual: Option<bool>,
}

/// Convolves with a 1x1 identity, which brings values into the blocked layout.
fn to_blocked(kernels: Kernels, x: &Tensor<4>, next: Epilogue) -> FeatureMap {
    let c = x.dims()[1];
    let eye = Tensor::<2>::eye(c, &x.device()).reshape([c, c, 1, 1]);
    FeatureMap::from(x.clone()).convolve(kernels, weights(eye, None), WindowOptions { stride: 1, padding: 0 }, next)
}

/// Runs batch normalization, ReLU and a convolution; returns values and all gradients.
fn convolution_case(
    kernels: Kernels,
    [n, c, h, w, out, size]: [usize; 6],
    stride: WindowOptions,
    extras: Extras,
) -> Vec<Vec<f32>> {
    let (x, weight) = (draw([n, c, h, w], 1).require_grad(), draw([out, c, size, size], 2).require_grad());
    let (scale, shift) = (draw([c], 3).require_grad(), draw([c], 4).require_grad());
    let bias = draw([out], 5).require_grad();
    let map = to_blocked(kernels, &x, Epilogue::Normalization);
    let (map, [mean, variance]) = map.normalize_batch(scale.clone(), shift.clone());
    let both = weights(weight.clone(), extras.bias.then(|| bias.clone()));
    let side = |length: usize| (length + 2 * stride.padding - size) / stride.stride + 1;
    let residual = draw([n, out, side(h), side(w)], 6).require_grad();
    let next = extras.residual.map_or(Epilogue::None, |relu| {
        let map = to_blocked(kernels, &residual, Epilogue::None);
        Epilogue::Sum(if relu { map.relu() } else { map })
    });
    let output = map.relu().convolve(kernels, both, stride, next).into_plain();
    let gradients = gradients_of(&output);
    let mut all = vec![host(output), host(mean), host(variance)];
    all.push(host(x.grad(&gradients).unwrap()));
    all.push(host(weight.grad(&gradients).unwrap()));
    all.extend([scale, shift].map(|p| host(p.grad(&gradients).unwrap())));
    all.extend(bias.grad(&gradients).map(host));
    all.extend(residual.grad(&gradients).map(host));
    all
}

/// Runs `t·h + c·x` of one wiring, with a batch normalization of h; returns values and all gradients.
fn combine_case(kernels: Kernels, wiring: usize, [n, c, h, w]: [usize; 4], relu: bool) -> Vec<Vec<f32>> {
    let inputs: [Tensor<4>; 4] = std::array::from_fn(|i| draw([n, c, h, w], 10 + i as u64).require_grad());
    let (scale, shift) = (draw([c], 3).require_grad(), draw([c], 4).require_grad());
    let map = |i: usize| to_blocked(kernels, &inputs[i], Epilogue::None);
    let (new, _) = map(0).normalize_batch(scale.clone(), shift.clone());
    let (transform, carried) = match wiring {
        0 => (None, None),
        1 => (None, Some((Carry::Identity, map(3)))),
        2 => (Some(map(1)), Some((Carry::OneMinusTransform, map(3)))),
        3 => (Some(map(1)), Some((Carry::Gate(map(2)), map(3)))),
        4 => (Some(map(1)), Some((Carry::Identity, map(3)))),
        _ => (None, Some((Carry::Gate(map(2)), map(3)))),
    };
    let output = FeatureMap::combine(new, transform, carried, relu).into_plain();
    let gradients = gradients_of(&output);
    let mut all = vec![host(output)];
    all.extend(inputs.into_iter().filter_map(|input| input.grad(&gradients)).map(host));
    all.extend([scale, shift].map(|p| host(p.grad(&gradients).unwrap())));
    all
}

/// Runs `t·h + c·x` of dense layers of x, as one fused operation or layer by layer; returns values and all gradients.
fn dense_block_case(
    kernels: Kernels,
    fused: bool,
    wiring: usize,
    [n, units]: [usize; 2],
    relu: [bool; 2],
) -> Vec<Vec<f32>> {
    let x: Tensor<4> = draw([n, units, 1, 1], 10).require_grad();
    let root = (units as f32).sqrt();
    let drawn: [Tensor<4>; 3] =
        std::array::from_fn(|i| draw([units, units, 1, 1], 20 + i as u64).div_scalar(root).require_grad());
    let biases: [Tensor<1>; 3] = std::array::from_fn(|i| draw([units], 30 + i as u64).require_grad());
    let layer = |i: usize| weights(drawn[i].clone(), Some(biases[i].clone()));
    let [h_relu, last_relu] = relu;
    let output = if fused {
        let (transform, carry) = match wiring {
            0 => (None, None),
            1 => (None, Some(Carry::Identity)),
            2 => (Some(layer(1)), Some(Carry::OneMinusTransform)),
            3 => (Some(layer(1)), Some(Carry::Gate(layer(2)))),
            4 => (Some(layer(1)), Some(Carry::Identity)),
            _ => (None, Some(Carry::Gate(layer(2)))),
        };
        FeatureMap::from(x.clone()).dense_block(layer(0), transform, carry, relu)
    } else {
        let of = |i: usize| FeatureMap::from(x.clone()).linear(kernels, layer(i), Epilogue::None);
        let carried = || FeatureMap::from(x.clone());
        let h = if h_relu { of(0).relu() } else { of(0) };
        let (transform, carried) = match wiring {
            0 => (None, None),
            1 => (None, Some((Carry::Identity, carried()))),
            2 => (Some(of(1)), Some((Carry::OneMinusTransform, carried()))),
            3 => (Some(of(1)), Some((Carry::Gate(of(2)), carried()))),
            4 => (Some(of(1)), Some((Carry::Identity, carried()))),
            _ => (None, Some((Carry::Gate(of(2)), carried()))),
        };
        FeatureMap::combine(h, transform, carried, last_relu)
    };
    let output = output.into_plain();
    let gradients = gradients_of(&output);
    let mut all = vec![host(output), host(x.grad(&gradients).unwrap())];
    all.extend(drawn.into_iter().filter_map(|weight| weight.grad(&gradients)).map(host));
    all.extend(biases.into_iter().filter_map(|bias| bias.grad(&gradients)).map(host));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_agree_with_the_reference(
        n in 2usize..6,
        c in 1usize..40,
        out in 1usize..40,
        (h, w) in (4usize..19, 4usize..19),
        size in prop::sample::select(vec![1usize, 2, 3, 5, 7]),
        (stride, padding) in (1usize..3, 0usize..4),
        bias: bool,
        residual: Option<bool>,
    ) {
        prop_assume!(h.min(w) + 2 * padding >= size && padding < size && !has_kink([n, c, h, w]));
        let shape = [n, c, h, w, out, size];
        let [native, reference] =
            [Kernels::Native, Kernels::Reference].map(|k| convolution_case(k, shape, WindowOptions { stride, padding }, Extras { bias, residual }));
        prop_assert_eq!(native.len(), 7 + usize::from(bias) + usize::from(residual.is_some()));
        let names = ["output", "mean", "variance", "dx", "dw", "dscale", "dshift", "dbias or dresidual", "dresidual"];
        // A sum over all pixels may cancel, but its rounding errors do not: they add up like a random walk.
        let steps = ((n * h * w) as f32).sqrt();
        let random_walk = max_abs(&reference[3]) * steps;
        for (what, (native, reference)) in names.iter().zip(native.iter().zip(&reference)) {
            let least = match *what {
                "dscale" | "dshift" => random_walk,
                // The sum of the gradient of the output, whose values are about 1.
                "dbias or dresidual" if bias => steps,
                _ => 0.0,
            };
            assert_close(what, native, reference, least.max(max_abs(reference)))?;
        }
    }

    #[test]
    fn all_wirings_agree_with_the_reference(
        wiring in 0usize..6,
        (n, c) in (2usize..6, 1usize..40),
        (h, w) in (1usize..9, 2usize..9),
        relu: bool,
    ) {
        let [native, reference] = [Kernels::Native, Kernels::Reference].map(|k| combine_case(k, wiring, [n, c, h, w], relu));
        prop_assert_eq!(native.len(), reference.len());
        let sums = reference.len();
        // The last two arrays are sums over all pixels, as above.
        let random_walk = max_abs(&reference[1]) * ((n * h * w) as f32).sqrt();
        for (place, (native, reference)) in native.iter().zip(&reference).enumerate() {
            let least = if place + 2 >= sums { random_walk } else { 0.0 };
            assert_close(&format!("wiring {wiring}, array {place}"), native, reference, max_abs(reference).max(least))?;
        }
    }
}

/// Returns the sum of a convolution and other values: as a separate operation, fused, and fused where nobody else holds the other
/// values, so that the sum replaces them.
fn sum_cases([n, c, h, w, out, size]: [usize; 6], options: WindowOptions, relu: bool) -> [Vec<f32>; 3] {
    let device = Device::flex();
    let plain = |shape: [usize; 4], seed| FeatureMap::from(Tensor::from_data(draw(shape, seed).into_data(), &device));
    let weights = |shape: [usize; 4], seed| {
        let values = Tensor::from_data(draw([shape.iter().product()], seed).into_data(), &device);
        Weights::new(values, shape, Some(Tensor::from_data(draw([shape[0]], seed + 1).into_data(), &device)))
    };
    let one = WindowOptions { stride: 1, padding: 0 };
    let layer = |next: Epilogue| {
        plain([n, c, h, w], 1).convolve(Kernels::Native, weights([out, c, size, size], 2), options, next)
    };
    let [.., rows, columns] = layer(Epilogue::None).dims();
    let values = || {
        let layer = weights([out, 2, 1, 1], 5);
        let values = plain([n, 2, rows, columns], 4).convolve(Kernels::Native, layer, one, Epilogue::None);
        if relu { values.relu() } else { values }
    };
    let separate = FeatureMap::combine(layer(Epilogue::None), None, Some((Carry::Identity, values())), false);
    let held = values();
    let fused = layer(Epilogue::Sum(held.clone()));
    let kept = host(held.into_plain());
    assert_eq!(kept, host(values().into_plain()), "values that somebody else holds must not change");
    [separate, fused, layer(Epilogue::Sum(values()))].map(|map| host(map.into_plain()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fused_and_separate_sums_are_equal(
        n in 1usize..6,
        (c, out) in (1usize..40, 1usize..40),
        (h, w) in (4usize..19, 4usize..19),
        size in prop::sample::select(vec![1usize, 2, 3, 5, 7]),
        (stride, padding) in (1usize..3, 0usize..4),
        relu: bool,
    ) {
        prop_assume!(h.min(w) + 2 * padding >= size && padding < size);
        let [separate, fused, in_place] = sum_cases([n, c, h, w, out, size], WindowOptions { stride, padding }, relu);
        prop_assert_eq!(&separate, &fused);
        prop_assert_eq!(&separate, &in_place);
    }

    #[test]
    fn dense_blocks_agree_with_the_reference(
        wiring in 0usize..6,
        (n, units) in (1usize..150, 1usize..70),
        relu: [bool; 2],
    ) {
        let shape = [n, units];
        let values = |wiring, relu| dense_block_case(Kernels::Reference, false, wiring, shape, relu).swap_remove(0);
        let is_near_kink = |values: Vec<f32>| values.iter().any(|value| value.abs() < KINK as f32 && *value != 0.0);
        prop_assume!(!(relu[0] && is_near_kink(values(0, [false; 2]))));
        prop_assume!(!(relu[1] && is_near_kink(values(wiring, [relu[0], false]))));
        let native = dense_block_case(Kernels::Native, true, wiring, shape, relu);
        let [separate, reference] = [Kernels::Native, Kernels::Reference].map(|kernels| dense_block_case(kernels, false, wiring, shape, relu));
        // A measurement that looks inside a block runs it layer by layer. It must see what the block computed.
        prop_assert_eq!(&native[0], &separate[0]);
        prop_assert_eq!(native.len(), reference.len());
        // All arrays after the output and dx are sums over all samples, as above.
        let random_walk = max_abs(&reference[1]) * (n as f32).sqrt();
        for (place, (native, reference)) in native.iter().zip(&reference).enumerate() {
            let least = if place < 2 { 0.0 } else { random_walk };
            assert_close(&format!("wiring {wiring}, array {place}"), native, reference, max_abs(reference).max(least))?;
        }
    }
}

#[test]
fn nan_stays_nan() {
    // A ReLU that returned 0 for NaN would hide a training that has diverged.
    let x = Tensor::<4>::from_data(TensorData::new(vec![f32::NAN; 16], [1, 16, 1, 1]), &Device::flex());
    let eye = Tensor::<2>::eye(16, &x.device()).reshape([16, 16, 1, 1]);
    let one = WindowOptions { stride: 1, padding: 0 };
    let y = FeatureMap::from(x).convolve(Kernels::Native, weights(eye, None), one, Epilogue::None).relu().into_plain();
    assert!(host(y).iter().all(|value| value.is_nan()));
}

/// Runs an LSTM over samples whose last step may lack streams; returns values, state and gradients.
fn lstm_case(kernels: Kernels, [streams, samples, units]: [usize; 3]) -> Vec<Vec<f32>> {
    let x: Tensor<2> = draw([samples, 4 * units], 1).require_grad();
    let weight: Tensor<2> = draw([4 * units, units], 2).div_scalar(units as f32).require_grad();
    let state = [3, 4].map(|seed| draw::<2>([streams, units], seed));
    let (outputs, ends) = kernel::lstm(kernels, x.clone(), weight.clone(), state, true);
    let gradients = (outputs.clone() * draw([samples, units], 99)).sum().backward();
    let mut all = vec![host(outputs)];
    all.extend(ends.map(host));
    all.extend([x, weight].map(|p| host(p.grad(&gradients).unwrap())));
    all
}

fn linear_case(kernels: Kernels, [rows, input, out]: [usize; 3]) -> Vec<Vec<f32>> {
    let (x, weight): (Tensor<2>, Tensor<2>) = (draw([rows, input], 1), draw([out, input], 2));
    let (x, weight, bias) = (x.require_grad(), weight.require_grad(), draw::<1>([out], 3).require_grad());
    let y = kernel::linear(kernels, x.clone(), weight.clone(), bias.clone());
    let gradients = (y.clone() * draw([rows, out], 99)).sum().backward();
    let mut all = vec![host(y), host(x.grad(&gradients).unwrap()), host(weight.grad(&gradients).unwrap())];
    all.push(host(bias.grad(&gradients).unwrap()));
    all
}

fn char_cnn_case(kernels: Kernels, [words, length, maps]: [usize; 3]) -> Vec<Vec<f32>> {
    const CHARACTERS: usize = 9;
    let maps = [maps, maps + 3, 2 * maps];
    let row = maps.iter().enumerate().map(|(k, maps)| (k + 1) * maps).sum();
    let nothing = Tensor::<2>::zeros([1, row], &Device::flex().autodiff());
    // Small values keep tanh away from 1, where its slope would be mostly rounding.
    let others: Tensor<2> = draw([CHARACTERS - 1, row], 2).mul_scalar(0.5).require_grad();
    let bias: Tensor<1> = draw([maps.iter().sum()], 3).mul_scalar(0.5).require_grad();
    let table = Tensor::cat(vec![nothing, others.clone()], 0);
    // Every third word repeats an earlier one, and some are shorter than the widest filter.
    let word = |i: usize| (if i.is_multiple_of(3) { i / 3 } else { i }) * 31;
    let letter = |i: usize, c: usize| {
        let ends = 1 + word(i) % length;
        if c < ends { 1 + ((word(i) + c * c * 5) % (CHARACTERS - 1)) as u32 } else { 0 }
    };
    let characters: Vec<u32> = (0..words).flat_map(|i| (0..length).map(move |c| letter(i, c))).collect();
    let y = kernel::char_cnn(kernels, &characters, length, (table, bias.clone()), &maps);
    let gradients = (y.clone() * draw(y.dims(), 99)).sum().backward();
    vec![host(y), host(others.grad(&gradients).unwrap()), host(bias.grad(&gradients).unwrap())]
}

fn cross_entropy_case(kernels: Kernels, [rows, classes]: [usize; 2], smoothing: f64) -> Vec<Vec<f32>> {
    let logits: Tensor<2> = draw([rows, classes], 5).mul_scalar(9.0).require_grad();
    let labels: Vec<u32> = (0..rows).map(|row| (row * 7 % classes) as u32).collect();
    let loss = unrolled::nn::cross_entropy(kernels, logits.clone(), &labels, smoothing);
    let gradients = loss.mean.clone().backward();
    let figures = loss.read();
    let each = figures.per_sample.iter().map(|&loss| loss as f32).collect();
    vec![vec![figures.mean], each, vec![figures.correct as f32], host(logits.grad(&gradients).unwrap())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn functions_of_samples_agree_with_the_reference(
        streams in 1..23usize, samples in 1..90usize, units in 1..40usize, out in 1..50usize, length in 3..12usize,
        smoothing in prop_oneof![Just(0.0), Just(0.1)],
    ) {
        let pairs = [
            ("lstm", [Kernels::Native, Kernels::Reference].map(|k| lstm_case(k, [streams, samples, units]))),
            ("linear", [Kernels::Native, Kernels::Reference].map(|k| linear_case(k, [samples, units, out]))),
            ("char_cnn", [Kernels::Native, Kernels::Reference].map(|k| char_cnn_case(k, [samples, length, out]))),
            ("cross_entropy", [Kernels::Native, Kernels::Reference].map(|k| cross_entropy_case(k, [samples, out + 1], smoothing))),
        ];
        for (what, [native, reference]) in pairs {
            for (place, (native, reference)) in native.iter().zip(&reference).enumerate() {
                // A loss is the logarithm of a sum of at least 1, and the state of an LSTM a sum of parts up to 1. They are
                // rounded relative to these.
                let least = match what {
                    "cross_entropy" if place < 2 => 1.0,
                    // A gradient is `(p - y) / samples`, where p is rounded relative to 1.
                    "cross_entropy" if place == 3 => 1.0 / samples as f32,
                    "lstm" if place < 3 => 1.0,
                    _ => 0.0,
                };
                assert_close(&format!("{what}, array {place}"), native, reference, max_abs(reference).max(least))?;
            }
        }
    }
}

/// The other tests of kernels, on every instruction set that the processor has beside the best one.
#[test]
fn kernels_agree_on_every_instruction_set() {
    let own_name = "kernels_agree_on_every_instruction_set";
    for set in kernel::instruction_sets().into_iter().skip(1) {
        let mut tests = std::process::Command::new(std::env::current_exe().unwrap());
        tests.args(["kernels::", "sgd::", "--skip", own_name]).env("UNROLLED_INSTRUCTION_SET", set);
        let output = tests.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && !said.contains(" 0 passed"), "{set}: {said}");
    }
}

#[test]
fn an_instruction_set_that_is_not_there_is_refused() {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_unrolled"));
    let output = program.args(["data", "list"]).env("UNROLLED_INSTRUCTION_SET", "mmx").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.starts_with("error: UNROLLED_INSTRUCTION_SET: 'mmx' is none that this processor has; expected one of "),
        "{said}"
    );
}
