//! From Burn's layout to the blocked layout and back, in one pass.

use std::mem::MaybeUninit;

use super::conv::{channel_blocks, image_len};
use super::memory::{assume_init, uninit};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{Chunks, parallel_chunks};
use super::simd::LANES;
use super::tuning::COST_PER_VALUE;

/// `[images, channels, height, width]` to `[images, channel blocks, height, width, 16]`.
#[derive(Debug)]
pub(super) struct ToBlocked;

/// `[images, channel blocks, height, width, 16]` to `[images, channels, height, width]`, with so many channels.
#[derive(Debug)]
pub(super) struct FromBlocked(pub(super) usize);

impl Operation for ToBlocked {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let &[images, channels, height, width] = inputs[0].shape else { unreachable!("four dimensions") };
        vec![to_blocked(inputs[0].values, [images, channels, height, width])]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, _: &[bool]) -> Vec<Output> {
        let &[images, channels, height, width] = inputs[0].shape else { unreachable!("four dimensions") };
        vec![from_blocked(gradient.values, [images, channels, height, width])]
    }
}

impl FromBlocked {
    /// The shape `[images, channels, height, width]` of values in the blocked layout.
    fn plain_shape(&self, blocked: &[usize]) -> [usize; 4] {
        let &[images, _, height, width, _] = blocked else { unreachable!("five dimensions") };
        [images, self.0, height, width]
    }
}

impl Operation for FromBlocked {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        vec![from_blocked(inputs[0].values, self.plain_shape(inputs[0].shape))]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, _: &[bool]) -> Vec<Output> {
        vec![to_blocked(gradient.values, self.plain_shape(inputs[0].shape))]
    }
}

fn to_blocked(plain: &[f32], [images, channels, height, width]: [usize; 4]) -> Output {
    let (area, size) = (height * width, image_len([channels, height, width]));
    let mut values = uninit(images * size);
    parallel_chunks(images, size * COST_PER_VALUE, Chunks::new(&mut values, size), |images, to| {
        let from = &plain[images.start * channels * area..images.end * channels * area];
        for (from, to) in from.chunks_exact(channels * area).zip(to.values.chunks_exact_mut(size)) {
            let blocks = from.chunks(LANES * area).zip(to.chunks_exact_mut(area * LANES));
            blocks.for_each(|(planes, block)| interleave(planes, area, block));
        }
    });
    // SAFETY: `interleave` wrote every pixel of every channel block of every image.
    let values = unsafe { assume_init(values) };
    Output { values, shape: vec![images, channel_blocks(channels), height, width, LANES] }
}

fn from_blocked(blocked: &[f32], [images, channels, height, width]: [usize; 4]) -> Output {
    let (area, size) = (height * width, image_len([channels, height, width]));
    let mut values = uninit(images * channels * area);
    let chunks = Chunks::new(&mut values, channels * area);
    parallel_chunks(images, size * COST_PER_VALUE, chunks, |images, to| {
        let from = &blocked[images.start * size..images.end * size];
        for (from, to) in from.chunks_exact(size).zip(to.values.chunks_exact_mut(channels * area)) {
            let blocks = from.chunks_exact(area * LANES).zip(to.chunks_mut(LANES * area));
            blocks.for_each(|(block, planes)| deinterleave(block, area, planes));
        }
    });
    // SAFETY: `deinterleave` wrote every channel of every image.
    let values = unsafe { assume_init(values) };
    Output { values, shape: vec![images, channels, height, width] }
}

/// Turns up to sixteen channels, one plane after the other, into pixels of sixteen channels. Channels that are missing are
/// zero.
fn interleave(planes: &[f32], area: usize, block: &mut [MaybeUninit<f32>]) {
    for (pixel, to) in block.chunks_exact_mut(LANES).enumerate() {
        let mut values = [0.0; LANES];
        values.iter_mut().zip(planes.iter().skip(pixel).step_by(area)).for_each(|(to, &from)| *to = from);
        to.write_copy_of_slice(&values);
    }
}

/// The inverse of [`interleave`].
fn deinterleave(block: &[f32], area: usize, planes: &mut [MaybeUninit<f32>]) {
    for (lane, plane) in planes.chunks_exact_mut(area).enumerate() {
        let from = block.iter().skip(lane).step_by(LANES);
        plane.iter_mut().zip(from).for_each(|(to, &from)| {
            to.write(from);
        });
    }
}
