//! The operations of this crate against the engine's: values and all gradients, over shapes of all sorts.

use burn::tensor::{Device, Gradients, Tensor, TensorData};
use proptest::prelude::*;
use unrolled::kernel::{self, Carry, Epilogue, FeatureMap, Kernels, Weights, WindowOptions};

/// Both round in f32 along sums of some hundred terms in another order.
const TOLERANCE: f32 = 1e-5;

/// Values that depend on the seed alone, none near 0, where a ReLU would tell the two apart.
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

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(1e-3, |most, value| most.max(value.abs()))
}

/// The two agree, relative to a size.
fn agree(what: &str, native: &[f32], reference: &[f32], largest: f32) -> Result<(), TestCaseError> {
    prop_assert_eq!(native.len(), reference.len(), "{}", what);
    for (a, b) in native.iter().zip(reference) {
        prop_assert!((a - b).abs() <= TOLERANCE * largest, "{}: {} and {} of {}", what, a, b, largest);
    }
    Ok(())
}

/// Normalized values round by some 1e-7: nearer than this to 0, two ways may take them to either side of a ReLU.
const KINK: f64 = 2e-6;

/// Whether a normalized value of [`convolved`] lies at the ReLU's kink.
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

/// Gradients of a weighted sum of an output.
fn back(output: &Tensor<4>) -> Gradients {
    (output.clone() * draw(output.dims(), 99)).sum().backward()
}

/// What a convolution has besides its weights.
#[derive(Clone, Copy, Debug)]
struct Besides {
    bias: bool,
    /// And whether a ReLU stands before the sum.
    summand: Option<bool>,
}

/// A window of one pixel with weights of 1: it brings values into the layout of the kernels.
fn laid_out(kernels: Kernels, x: &Tensor<4>, next: Epilogue) -> FeatureMap {
    let c = x.dims()[1];
    let eye = Tensor::<2>::eye(c, &x.device()).reshape([c, c, 1, 1]);
    FeatureMap::from(x.clone()).convolve(kernels, weights(eye, None), WindowOptions { stride: 1, padding: 0 }, next)
}

/// Normalization with the statistics of the batch, ReLU and a convolution; the values and all gradients.
fn convolved(
    kernels: Kernels,
    [n, c, h, w, out, size]: [usize; 6],
    stride: WindowOptions,
    besides: Besides,
) -> Vec<Vec<f32>> {
    let (x, weight) = (draw([n, c, h, w], 1).require_grad(), draw([out, c, size, size], 2).require_grad());
    let (scale, shift) = (draw([c], 3).require_grad(), draw([c], 4).require_grad());
    let bias = draw([out], 5).require_grad();
    let map = laid_out(kernels, &x, Epilogue::Normalization);
    let (map, [mean, variance]) = map.normalize_batch(scale.clone(), shift.clone());
    let both = weights(weight.clone(), besides.bias.then(|| bias.clone()));
    let side = |length: usize| (length + 2 * stride.padding - size) / stride.stride + 1;
    let summand = draw([n, out, side(h), side(w)], 6).require_grad();
    let next = besides.summand.map_or(Epilogue::None, |relu| {
        let map = laid_out(kernels, &summand, Epilogue::None);
        Epilogue::Sum(if relu { map.relu() } else { map })
    });
    let output = map.relu().convolve(kernels, both, stride, next).into_plain();
    let gradients = back(&output);
    let mut all = vec![host(output), host(mean), host(variance)];
    all.push(host(x.grad(&gradients).unwrap()));
    all.push(host(weight.grad(&gradients).unwrap()));
    all.extend([scale, shift].map(|p| host(p.grad(&gradients).unwrap())));
    all.extend(bias.grad(&gradients).map(host));
    all.extend(summand.grad(&gradients).map(host));
    all
}

/// `t·h + c·x` of one wiring, h normalized by the batch; the values and all gradients.
fn combined(kernels: Kernels, wiring: usize, [n, c, h, w]: [usize; 4], relu: bool) -> Vec<Vec<f32>> {
    let inputs: [Tensor<4>; 4] = std::array::from_fn(|i| draw([n, c, h, w], 10 + i as u64).require_grad());
    let (scale, shift) = (draw([c], 3).require_grad(), draw([c], 4).require_grad());
    let map = |i: usize| laid_out(kernels, &inputs[i], Epilogue::None);
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
    let gradients = back(&output);
    let mut all = vec![host(output)];
    all.extend(inputs.into_iter().filter_map(|input| input.grad(&gradients)).map(host));
    all.extend([scale, shift].map(|p| host(p.grad(&gradients).unwrap())));
    all
}

/// `t·h + c·x` of dense layers of x in one operation, or layer by layer; the values and all gradients.
fn gated(kernels: Kernels, at_once: bool, wiring: usize, [n, units]: [usize; 2], relu: [bool; 2]) -> Vec<Vec<f32>> {
    let x: Tensor<4> = draw([n, units, 1, 1], 10).require_grad();
    let root = (units as f32).sqrt();
    let drawn: [Tensor<4>; 3] =
        std::array::from_fn(|i| draw([units, units, 1, 1], 20 + i as u64).div_scalar(root).require_grad());
    let biases: [Tensor<1>; 3] = std::array::from_fn(|i| draw([units], 30 + i as u64).require_grad());
    let layer = |i: usize| weights(drawn[i].clone(), Some(biases[i].clone()));
    let [h_relu, last_relu] = relu;
    let output = if at_once {
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
    let gradients = back(&output);
    let mut all = vec![host(output), host(x.grad(&gradients).unwrap())];
    all.extend(drawn.into_iter().filter_map(|weight| weight.grad(&gradients)).map(host));
    all.extend(biases.into_iter().filter_map(|bias| bias.grad(&gradients)).map(host));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_agree(
        n in 2usize..6,
        c in 1usize..40,
        out in 1usize..40,
        (h, w) in (4usize..19, 4usize..19),
        size in prop::sample::select(vec![1usize, 2, 3, 5, 7]),
        (stride, padding) in (1usize..3, 0usize..4),
        bias: bool,
        summand: Option<bool>,
    ) {
        prop_assume!(h.min(w) + 2 * padding >= size && padding < size && !has_kink([n, c, h, w]));
        let shape = [n, c, h, w, out, size];
        let [native, reference] =
            [Kernels::Native, Kernels::Reference].map(|k| convolved(k, shape, WindowOptions { stride, padding }, Besides { bias, summand }));
        prop_assert_eq!(native.len(), 7 + usize::from(bias) + usize::from(summand.is_some()));
        let names = ["output", "mean", "variance", "dx", "dw", "dscale", "dshift", "dbias or dsummand", "dsummand"];
        // A sum over all pixels may cancel; its rounding, that of a random walk over them, does not.
        let walk = largest(&reference[3]) * ((n * h * w) as f32).sqrt();
        for (what, (native, reference)) in names.iter().zip(native.iter().zip(&reference)) {
            let is_sum = ["dscale", "dshift"].contains(what);
            agree(what, native, reference, if is_sum { walk.max(largest(reference)) } else { largest(reference) })?;
        }
    }

    #[test]
    fn sums_of_all_wirings_agree(
        wiring in 0usize..6,
        (n, c) in (2usize..6, 1usize..40),
        (h, w) in (1usize..9, 2usize..9),
        relu: bool,
    ) {
        let [native, reference] = [Kernels::Native, Kernels::Reference].map(|k| combined(k, wiring, [n, c, h, w], relu));
        prop_assert_eq!(native.len(), reference.len());
        let sums = reference.len();
        // The last two are sums over all pixels, as above.
        let walk = largest(&reference[1]) * ((n * h * w) as f32).sqrt();
        for (place, (native, reference)) in native.iter().zip(&reference).enumerate() {
            let least = if place + 2 >= sums { walk } else { 0.0 };
            agree(&format!("wiring {wiring}, array {place}"), native, reference, largest(reference).max(least))?;
        }
    }
}

/// A convolution and a sum of what it gives and other values: apart, at once, and at once where nobody else holds these.
fn with_sum([n, c, h, w, out, size]: [usize; 6], moves: WindowOptions, relu: bool) -> [Vec<f32>; 3] {
    let device = Device::flex();
    let plain = |shape: [usize; 4], seed| FeatureMap::from(Tensor::from_data(draw(shape, seed).into_data(), &device));
    let weights = |shape: [usize; 4], seed| {
        let values = Tensor::from_data(draw([shape.iter().product()], seed).into_data(), &device);
        Weights::new(values, shape, Some(Tensor::from_data(draw([shape[0]], seed + 1).into_data(), &device)))
    };
    let one = WindowOptions { stride: 1, padding: 0 };
    let layer = |next: Epilogue| {
        plain([n, c, h, w], 1).convolve(Kernels::Native, weights([out, c, size, size], 2), moves, next)
    };
    let [.., rows, columns] = layer(Epilogue::None).dims();
    let values = || {
        let layer = weights([out, 2, 1, 1], 5);
        let values = plain([n, 2, rows, columns], 4).convolve(Kernels::Native, layer, one, Epilogue::None);
        if relu { values.relu() } else { values }
    };
    let apart = FeatureMap::combine(layer(Epilogue::None), None, Some((Carry::Identity, values())), false);
    let held = values();
    let at_once = layer(Epilogue::Sum(held.clone()));
    let kept = host(held.into_plain());
    assert_eq!(kept, host(values().into_plain()), "what is held is not written to");
    [apart, at_once, layer(Epilogue::Sum(values()))].map(|map| host(map.into_plain()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sum_is_the_same_taken_with_its_layer_or_apart(
        n in 1usize..6,
        (c, out) in (1usize..40, 1usize..40),
        (h, w) in (4usize..19, 4usize..19),
        size in prop::sample::select(vec![1usize, 2, 3, 5, 7]),
        (stride, padding) in (1usize..3, 0usize..4),
        relu: bool,
    ) {
        prop_assume!(h.min(w) + 2 * padding >= size && padding < size);
        let [apart, at_once, in_place] = with_sum([n, c, h, w, out, size], WindowOptions { stride, padding }, relu);
        prop_assert_eq!(&apart, &at_once);
        prop_assert_eq!(&apart, &in_place);
    }

    #[test]
    fn dense_blocks_at_once_agree(
        wiring in 0usize..6,
        (n, units) in (1usize..150, 1usize..70),
        relu: [bool; 2],
    ) {
        let shape = [n, units];
        let values = |wiring, relu| gated(Kernels::Reference, false, wiring, shape, relu).swap_remove(0);
        let near_a_kink = |values: Vec<f32>| values.iter().any(|value| value.abs() < KINK as f32 && *value != 0.0);
        prop_assume!(!(relu[0] && near_a_kink(values(0, [false; 2]))));
        prop_assume!(!(relu[1] && near_a_kink(values(wiring, [relu[0], false]))));
        let native = gated(Kernels::Native, true, wiring, shape, relu);
        let [apart, reference] = [Kernels::Native, Kernels::Reference].map(|kernels| gated(kernels, false, wiring, shape, relu));
        // Whoever looks inside a block sees what the block computed.
        prop_assert_eq!(&native[0], &apart[0]);
        prop_assert_eq!(native.len(), reference.len());
        // What comes after the output and dx are sums over all samples, as above.
        let walk = largest(&reference[1]) * (n as f32).sqrt();
        for (place, (native, reference)) in native.iter().zip(&reference).enumerate() {
            let least = if place < 2 { 0.0 } else { walk };
            agree(&format!("wiring {wiring}, array {place}"), native, reference, largest(reference).max(least))?;
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    // A ReLU that turned it into 0 would hide a training that has diverged.
    let x = Tensor::<4>::from_data(TensorData::new(vec![f32::NAN; 16], [1, 16, 1, 1]), &Device::flex());
    let eye = Tensor::<2>::eye(16, &x.device()).reshape([16, 16, 1, 1]);
    let one = WindowOptions { stride: 1, padding: 0 };
    let y = FeatureMap::from(x).convolve(Kernels::Native, weights(eye, None), one, Epilogue::None).relu().into_plain();
    assert!(host(y).iter().all(|value| value.is_nan()));
}

/// Values, state and gradients of an LSTM over samples of which the last step may lack some.
fn remembered(kernels: Kernels, [streams, samples, units]: [usize; 3]) -> Vec<Vec<f32>> {
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

fn summed(kernels: Kernels, [rows, input, out]: [usize; 3]) -> Vec<Vec<f32>> {
    let (x, weight): (Tensor<2>, Tensor<2>) = (draw([rows, input], 1), draw([out, input], 2));
    let (x, weight, bias) = (x.require_grad(), weight.require_grad(), draw::<1>([out], 3).require_grad());
    let y = kernel::linear(kernels, x.clone(), weight.clone(), bias.clone());
    let gradients = (y.clone() * draw([rows, out], 99)).sum().backward();
    let mut all = vec![host(y), host(x.grad(&gradients).unwrap()), host(weight.grad(&gradients).unwrap())];
    all.push(host(bias.grad(&gradients).unwrap()));
    all
}

fn spelled(kernels: Kernels, [words, length, maps]: [usize; 3]) -> Vec<Vec<f32>> {
    const CHARACTERS: usize = 9;
    let maps = [maps, maps + 3, 2 * maps];
    let row = maps.iter().enumerate().map(|(k, maps)| (k + 1) * maps).sum();
    let nothing = Tensor::<2>::zeros([1, row], &Device::flex().autodiff());
    // Small, so that no tanh is so near 1 that its slope is rounding.
    let others: Tensor<2> = draw([CHARACTERS - 1, row], 2).mul_scalar(0.5).require_grad();
    let bias: Tensor<1> = draw([maps.iter().sum()], 3).mul_scalar(0.5).require_grad();
    let table = Tensor::cat(vec![nothing, others.clone()], 0);
    // Every third word occurs before, and some are shorter than the widest filter.
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

fn likely(kernels: Kernels, [rows, classes]: [usize; 2], smoothing: f64) -> Vec<Vec<f32>> {
    let logits: Tensor<2> = draw([rows, classes], 5).mul_scalar(9.0).require_grad();
    let labels: Vec<u32> = (0..rows).map(|row| (row * 7 % classes) as u32).collect();
    let loss = unrolled::nn::cross_entropy(kernels, logits.clone(), &labels, smoothing);
    let gradients = loss.mean.clone().backward();
    let each = loss.each.iter().map(|&loss| loss as f32).collect();
    vec![host(loss.mean), each, vec![loss.correct as f32], host(logits.grad(&gradients).unwrap())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_are_the_engines(
        streams in 1..23usize, samples in 1..90usize, units in 1..40usize, out in 1..50usize, length in 3..12usize,
        smoothing in prop_oneof![Just(0.0), Just(0.1)],
    ) {
        let pairs = [
            ("lstm", [Kernels::Native, Kernels::Reference].map(|k| remembered(k, [streams, samples, units]))),
            ("linear", [Kernels::Native, Kernels::Reference].map(|k| summed(k, [samples, units, out]))),
            ("spelling", [Kernels::Native, Kernels::Reference].map(|k| spelled(k, [samples, length, out]))),
            ("likelihood", [Kernels::Native, Kernels::Reference].map(|k| likely(k, [samples, out + 1], smoothing))),
        ];
        for (what, [native, reference]) in pairs {
            for (place, (native, reference)) in native.iter().zip(&reference).enumerate() {
                // A loss is the logarithm of a sum that is at least 1, and an LSTM's state a sum of parts up to 1: they
                // round as those do.
                let least = match what {
                    "likelihood" if place < 2 => 1.0,
                    "lstm" if place < 3 => 1.0,
                    _ => 0.0,
                };
                agree(&format!("{what}, array {place}"), native, reference, largest(reference).max(least))?;
            }
        }
    }
}
