//! Random changes to training images that keep what they show.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::dataset::Dataset;
use super::planes::{Planes, Window};
use crate::random::{below, uniform};
use crate::{Error, Result};

/// The share of the image's area that a random resized crop takes: at least this, at most all.
const LEAST_AREA: f64 = 0.08;

/// The widest form of a random resized crop, width by height; the narrowest is its inverse.
const WIDEST: f64 = 4.0 / 3.0;

/// How often a random resized crop is drawn before the middle of the image is taken: extreme forms of a large
/// area fit into no image.
const TRIES: usize = 10;

/// Which random changes are made to a training image, in this order: resized crop, padded crop, flip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Adds so many black pixels on each side and cuts the original size out at a random place. It happens before
    /// the normalization, so that the margin is as black as the image's black.
    pub pad: usize,
    /// Mirrors left and right with probability 1/2.
    pub flip: bool,
    /// Cuts out 0.08 to 1 of the area in a form of 3:4 to 4:3 and resizes it to a square of so many pixels a side.
    /// Images of a folder are cut from their file's full size, whatever the [`ResizeCrop`](super::View).
    pub random_resized_crop: Option<usize>,
}

/// Larger samples than this would fill the memory of any machine with one batch.
const MAX_CROP: usize = 2048;

impl Augment {
    /// Checks that samples of `[channels, height, width]` can be changed so.
    ///
    /// # Errors
    /// A resized crop of 0 or very many pixels, or a margin wider than the image.
    pub fn check(&self, shape: [usize; 3]) -> Result<()> {
        let [_, height, width] = self.shape(shape);
        let side = height.min(width);
        match self.random_resized_crop {
            Some(side) if !(1..=MAX_CROP).contains(&side) => {
                let what = format!("{side} pixels, expected 1 to {MAX_CROP}");
                Err(Error::config("data.augment.random_resized_crop", what))
            }
            _ if self.pad > side => {
                let what = format!("{} pixels, expected at most the {side} of the image", self.pad);
                Err(Error::config("data.augment.pad", what))
            }
            _ => Ok(()),
        }
    }

    /// The shape of an augmented sample whose shape is `[channels, height, width]`.
    pub fn shape(&self, [channels, height, width]: [usize; 3]) -> [usize; 3] {
        match self.random_resized_crop {
            Some(side) => [channels, side, side],
            None => [channels, height, width],
        }
    }

    /// Writes sample `index` with random changes to `out`, which has the augmented shape.
    ///
    /// # Errors
    /// As [`Dataset::sample`].
    pub(super) fn sample(&self, data: &Dataset, index: usize, rng: &mut ChaCha8Rng, out: &mut [f32]) -> Result<()> {
        match self.random_resized_crop {
            Some(side) => {
                let image = data.original(index)?;
                let window = resized_crop(&image, rng);
                out.copy_from_slice(&image.crop(window).resize(side, side).pixels);
            }
            None => data.sample(index, out)?,
        }
        let [_, height, width] = self.shape(data.shape());
        if self.pad > 0 {
            let mut offset = || below(rng, 2 * self.pad + 1) as isize - self.pad as isize;
            let (down, right) = (offset(), offset());
            shift(out, [height, width], down, right);
        }
        if self.flip && uniform(rng) < 0.5 {
            out.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
        Ok(())
    }
}

/// The part of `image` that a random resized crop takes.
fn resized_crop(image: &Planes, rng: &mut ChaCha8Rng) -> Window {
    let [_, height, width] = image.shape;
    let area = (height * width) as f64;
    for _ in 0..TRIES {
        let part = area * (LEAST_AREA + (1.0 - LEAST_AREA) * f64::from(uniform(rng)));
        // Uniform in the logarithm, so that a form and its inverse are equally likely.
        let form = ((2.0 * f64::from(uniform(rng)) - 1.0) * WIDEST.ln()).exp();
        let w = (part * form).sqrt().round() as usize;
        let h = (part / form).sqrt().round() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let (top, left) = (below(rng, height - h + 1), below(rng, width - w + 1));
            return Window { top, left, height: h, width: w };
        }
    }
    let wide = |side: usize| ((side as f64 * WIDEST).round() as usize).max(1);
    image.middle(height.min(wide(width)), width.min(wide(height)))
}

/// Moves every plane of `pixels` so that row `y` shows what was row `y + down`, and likewise to the side; what
/// comes in from outside is black.
fn shift(pixels: &mut [f32], [height, width]: [usize; 2], down: isize, right: isize) {
    let from = right.clamp(0, width as isize) as usize;
    let to = (-right).clamp(0, width as isize) as usize;
    let kept = width - from.max(to);
    for plane in pixels.chunks_exact_mut(height * width) {
        let mut move_row = |y: usize| {
            let row = y * width..(y + 1) * width;
            let source = y.checked_add_signed(down).filter(|&source| source < height);
            let Some(source) = source else {
                return plane[row].fill(0.0);
            };
            let start = source * width + from;
            plane.copy_within(start..start + kept, row.start + to);
            plane[row.start..row.start + to].fill(0.0);
            plane[row.start + to + kept..row.end].fill(0.0);
        };
        // In place: a row must be read before it is overwritten.
        match down >= 0 {
            true => (0..height).for_each(&mut move_row),
            false => (0..height).rev().for_each(&mut move_row),
        }
    }
}

#[cfg(test)]
mod tests;
