//! Functions of samples in Burn's layout, `[samples, units]`: the parts of language models that are no blocks, and the loss.

use burn::tensor::{Int, Tensor, TensorData, activation};

use super::backend::Kernels;
use super::char_cnn::{CharCnn, UniqueWords};
use super::cross_entropy::SoftmaxCrossEntropy;
use super::lstm::Lstm;
use super::matrix::Linear;
use super::operation::apply;

/// Returns the linear layer `x·Wᵀ + b`, `[samples, in]` to `[samples, out]`, for a weight `[out, in]`.
pub fn linear(kernels: Kernels, x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    match kernels {
        Kernels::Native => apply::<2>(Linear, vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()]).0,
        Kernels::Reference => x.matmul(weight.transpose()) + bias.unsqueeze(),
    }
}

/// Returns a layer of long short-term memory over all time steps of some streams: `i, f, o = σ(·)` and `g = tanh(·)` of
/// `x + W·h`, then `c = f·c + i·g` and `h = o·tanh(c)`, with h and c of the step before.
///
/// `x` is `[samples, 4·units]` in the order i, f, g, o; the weight is `[4·units, units]`; `state` is h and c of every stream
/// before the first step, `[streams, units]` each. Sample `n` is step `n / streams` of stream `n % streams`; the last step may
/// lack streams. `trains` says whether a backward pass follows.
///
/// Returns h of every sample, `[samples, units]`, and the state after the last step, which carries no gradient.
pub fn lstm(
    kernels: Kernels,
    x: Tensor<2>,
    weight: Tensor<2>,
    state: [Tensor<2>; 2],
    trains: bool,
) -> (Tensor<2>, [Tensor<2>; 2]) {
    let [streams, units] = state[0].dims();
    if kernels == Kernels::Reference {
        return reference_lstm(x, weight, state);
    }
    let [h, c] = state.map(Tensor::into_dispatch);
    let operation = Lstm::new(streams, units, trains);
    let (outputs, state) = apply::<2>(operation, vec![x.into_dispatch(), weight.into_dispatch(), h, c]);
    let state: Vec<Tensor<2>> = state.into_iter().map(|values| values.reshape([streams, units])).collect();
    (outputs, state.try_into().expect("h and c"))
}

/// Returns [`lstm`] by Burn's operations, step by step.
fn reference_lstm(x: Tensor<2>, weight: Tensor<2>, [mut h, mut c]: [Tensor<2>; 2]) -> (Tensor<2>, [Tensor<2>; 2]) {
    let ([streams, units], samples) = (h.dims(), x.dims()[0]);
    let mut outputs = Vec::new();
    for start in (0..samples).step_by(streams) {
        let here = streams.min(samples - start);
        let (own, rest) = ([h.clone(), c.clone()].map(|s| s.narrow(0, 0, here)), streams - here);
        let [own_h, own_c] = own;
        let gates = x.clone().narrow(0, start, here) + own_h.matmul(weight.clone().transpose());
        let gate = |k: usize| gates.clone().narrow(1, k * units, units);
        let [i, f, o] = [0, 1, 3].map(|k| activation::sigmoid(gate(k)));
        let next_c = f * own_c + i * activation::tanh(gate(2));
        let next_h = o * activation::tanh(next_c.clone());
        outputs.push(next_h.clone());
        let with_rest = |next: Tensor<2>, all: Tensor<2>| match rest {
            0 => next,
            _ => Tensor::cat(vec![next, all.narrow(0, here, rest)], 0),
        };
        (h, c) = (with_rest(next_h, h), with_rest(next_c, c));
    }
    (Tensor::cat(outputs, 0), [h, c])
}

/// Returns word vectors: `tanh(max over s of Σ_j table[character s + j][tap j] + bias)` for filters of 1, 2, … characters.
/// `maps` is the number of maps of each filter.
///
/// `characters` are `length` for each sample, and 0 fills up words that are shorter. The table is `[characters, Σ width·maps]`,
/// with the taps of a filter side by side and zeros in row 0; the bias is `[Σ maps]`. Returns `[samples, Σ maps]`. A word that
/// occurs several times is computed once.
pub fn char_cnn(
    kernels: Kernels,
    characters: &[u32],
    length: usize,
    (table, bias): (Tensor<2>, Tensor<1>),
    maps: &[usize],
) -> Tensor<2> {
    if kernels == Kernels::Native {
        let operation = CharCnn::new(UniqueWords::new(characters, length), maps);
        return apply::<2>(operation, vec![table.into_dispatch(), bias.into_dispatch()]).0;
    }
    let samples = characters.len() / length;
    // Row 0 is detached, so that it stays zero.
    let (none, others) = (table.clone().narrow(0, 0, 1).detach(), table.dims()[0] - 1);
    let table = Tensor::cat(vec![none, table.narrow(0, 1, others)], 0);
    let mut row = 0;
    let mut all = Vec::new();
    for (k, &maps) in maps.iter().enumerate() {
        let windows = length - k;
        let mut sum: Option<Tensor<2>> = None;
        for tap in 0..=k {
            let at = |sample: usize| characters[sample * length + tap..][..windows].iter().map(|&c| c as i32);
            let indices: Vec<i32> = (0..samples).flat_map(at).collect();
            let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [samples * windows]), &table.device());
            let rows = table.clone().narrow(1, row, maps).select(0, indices);
            sum = Some(match sum {
                Some(sum) => sum + rows,
                None => rows,
            });
            row += maps;
        }
        let sums = sum.expect("a filter has a tap").reshape([samples, windows, maps]);
        all.push(sums.max_dim(1).reshape([samples, maps]));
    }
    activation::tanh(Tensor::cat(all, 1) + bias.unsqueeze())
}

/// The result of [`cross_entropy`].
pub struct CrossEntropy {
    /// The mean over the samples, nats, of the smoothed target: `[1]`. It carries the gradient.
    pub mean: Tensor<1>,
    /// `-ln p` of the label of every sample, `[samples]`.
    pub losses: Tensor<1>,
    /// The most probable class of every sample, `[samples]`.
    pub best: Tensor<1>,
}

/// Returns softmax and cross-entropy of `[samples, classes]` logits. With smoothing `s` the target is `1 - s` for the label plus
/// `s / classes` for every class, as in PyTorch.
pub fn cross_entropy(kernels: Kernels, logits: Tensor<2>, labels: &[u32], smoothing: f64) -> CrossEntropy {
    if kernels == Kernels::Native {
        let (mean, rest) = apply::<1>(SoftmaxCrossEntropy::new(labels, smoothing), vec![logits.into_dispatch()]);
        let [losses, best] = rest.try_into().expect("losses and classes");
        return CrossEntropy { mean, losses, best };
    }
    let labels: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
    let samples = labels.len();
    let labels = Tensor::<2, Int>::from_data(TensorData::new(labels, [samples, 1]), &logits.device());
    let log_p = activation::log_softmax(logits, 1);
    let of_label = log_p.clone().gather(1, labels);
    let smoothed = match smoothing {
        0.0 => of_label.clone(),
        s => of_label.clone().mul_scalar(1.0 - s) + log_p.clone().mean_dim(1).mul_scalar(s),
    };
    CrossEntropy {
        mean: smoothed.mean().neg(),
        losses: of_label.detach().neg().reshape([samples]),
        best: log_p.detach().argmax(1).float().reshape([samples]),
    }
}
