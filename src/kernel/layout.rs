//! From the engine's layout to blocks, in one pass.

use super::conv::{blocks, image};
use super::operation::{Operation, Output, TensorView};
use super::parallel::{SendPtr, VALUE, parallel_chunks, uninit};
use super::simd::LANES;

/// `[images, channels, height, width]` to `[images, blocks, height, width, 16]`.
#[derive(Debug)]
pub(super) struct ToBlocked;

impl Operation for ToBlocked {
    fn forward(&self, inputs: &[TensorView]) -> Vec<Output> {
        let &[images, channels, height, width] = inputs[0].shape else { unreachable!("four dimensions") };
        let (area, size) = (height * width, image([channels, height, width]));
        let mut values = uninit(images * size);
        let shared = SendPtr::new(&mut values);
        parallel_chunks(images, size * VALUE, |images| {
            // SAFETY: every part has its own images.
            let to = unsafe { shared.part(images.start * size..images.end * size) };
            let from = &inputs[0].values[images.start * channels * area..images.end * channels * area];
            for (from, to) in from.chunks_exact(channels * area).zip(to.chunks_exact_mut(size)) {
                let blocks = from.chunks(LANES * area).zip(to.chunks_exact_mut(area * LANES));
                blocks.for_each(|(planes, block)| gather(planes, area, block));
            }
        });
        vec![Output { values, shape: vec![images, blocks(channels), height, width, LANES] }]
    }

    fn backward(&self, inputs: &[TensorView], gradient: TensorView, _: &[bool]) -> Vec<Output> {
        let &[images, channels, height, width] = inputs[0].shape else { unreachable!("four dimensions") };
        let (area, size) = (height * width, image([channels, height, width]));
        let mut values = uninit(inputs[0].values.len());
        let shared = SendPtr::new(&mut values);
        parallel_chunks(images, size * VALUE, |images| {
            // SAFETY: every part has its own images.
            let to = unsafe { shared.part(images.start * channels * area..images.end * channels * area) };
            let from = &gradient.values[images.start * size..images.end * size];
            for (from, to) in from.chunks_exact(size).zip(to.chunks_exact_mut(channels * area)) {
                let blocks = from.chunks_exact(area * LANES).zip(to.chunks_mut(LANES * area));
                blocks.for_each(|(block, planes)| scatter(block, area, planes));
            }
        });
        vec![Output { values, shape: inputs[0].shape.to_vec() }]
    }
}

/// Up to sixteen channels, plane after plane, to pixels of sixteen, with zeros where there are no channels.
fn gather(planes: &[f32], area: usize, block: &mut [f32]) {
    for (pixel, to) in block.chunks_exact_mut(LANES).enumerate() {
        let mut values = [0.0; LANES];
        values.iter_mut().zip(planes.iter().skip(pixel).step_by(area)).for_each(|(to, &from)| *to = from);
        to.copy_from_slice(&values);
    }
}

/// The other way.
fn scatter(block: &[f32], area: usize, planes: &mut [f32]) {
    for (lane, plane) in planes.chunks_exact_mut(area).enumerate() {
        plane.iter_mut().zip(block.iter().skip(lane).step_by(LANES)).for_each(|(to, &from)| *to = from);
    }
}
