//! Augmentation: random changes to training images that keep their class.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::dataset::Dataset;
use super::planar_image::{PlanarImage, Window};
use crate::random::{uniform, uniform_index};
use crate::{Error, Result};

/// The smallest share of the area of an image that a random resized crop takes; the largest is 1.
const MIN_AREA: f64 = 0.08;

/// The largest aspect ratio of a random resized crop, width by height; the smallest is its inverse.
const MAX_ASPECT: f64 = 4.0 / 3.0;

/// How often a random resized crop is drawn before the center of the image is taken: a large area of an extreme aspect
/// ratio may not fit.
const MAX_TRIES: usize = 10;

/// The random changes to a training image, in this order: resized crop, padded crop, flip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// The width in pixels of a black border. The original size is cut out of the padded image at a random place. This
    /// happens before the normalization, so that the border is as black as black pixels of the image.
    pub pad: usize,
    /// Whether an image is mirrored left to right with probability 1/2.
    pub flip: bool,
    /// The side in pixels of a random resized crop: 0.08 to 1 of the area, of an aspect ratio from 3:4 to 4:3, is cut out
    /// and resized to a square. Images of a folder are cut from the full size of their file, not after the
    /// [`ResizeCrop`](super::ResizeCrop).
    pub random_resized_crop: Option<usize>,
}

/// The largest side of a random resized crop: with larger samples one batch would fill the memory.
const MAX_CROP: usize = 2048;

impl Augment {
    /// Checks that samples of shape `[channels, height, width]` can be augmented.
    ///
    /// # Errors
    /// [`Error::Config`] for a resized crop of 0 or more than 2048 pixels, or a border wider than the image.
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

    /// Returns the shape of an augmented sample, for a sample of shape `[channels, height, width]`.
    pub fn shape(&self, [channels, height, width]: [usize; 3]) -> [usize; 3] {
        match self.random_resized_crop {
            Some(side) => [channels, side, side],
            None => [channels, height, width],
        }
    }

    /// Writes the augmented sample `index` to `out`, which has the shape that [`Augment::shape`] returns.
    ///
    /// # Errors
    /// As [`Dataset::sample`].
    pub(super) fn sample(&self, data: &Dataset, index: usize, rng: &mut ChaCha8Rng, out: &mut [f32]) -> Result<()> {
        match self.random_resized_crop {
            Some(side) => {
                let image = data.full_size(index)?;
                let window = resized_crop(&image, rng);
                out.copy_from_slice(&image.crop(window).resize(side, side).pixels);
            }
            None => data.sample(index, out)?,
        }
        let [_, height, width] = self.shape(data.shape());
        if self.pad > 0 {
            let mut offset = || uniform_index(rng, 2 * self.pad + 1) as isize - self.pad as isize;
            let (down, right) = (offset(), offset());
            shift(out, [height, width], down, right);
        }
        if self.flip && uniform(rng) < 0.5 {
            out.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
        Ok(())
    }
}

/// Returns the window of `image` that a random resized crop cuts out.
fn resized_crop(image: &PlanarImage, rng: &mut ChaCha8Rng) -> Window {
    let [_, height, width] = image.shape;
    let area = (height * width) as f64;
    for _ in 0..MAX_TRIES {
        let part = area * (MIN_AREA + (1.0 - MIN_AREA) * f64::from(uniform(rng)));
        // Uniform in the logarithm, so that an aspect ratio and its inverse are equally likely.
        let aspect = ((2.0 * f64::from(uniform(rng)) - 1.0) * MAX_ASPECT.ln()).exp();
        let w = (part * aspect).sqrt().round() as usize;
        let h = (part / aspect).sqrt().round() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let (top, left) = (uniform_index(rng, height - h + 1), uniform_index(rng, width - w + 1));
            return Window { top, left, height: h, width: w };
        }
    }
    let wide = |side: usize| ((side as f64 * MAX_ASPECT).round() as usize).max(1);
    image.center_window(height.min(wide(width)), width.min(wide(height)))
}

/// Shifts every plane of `pixels` in place: row `y` becomes what was row `y + down`, column `x` what was column
/// `x + right`. Pixels from outside are black.
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
        // A row must be read before it is overwritten.
        match down >= 0 {
            true => (0..height).for_each(&mut move_row),
            false => (0..height).rev().for_each(&mut move_row),
        }
    }
}

#[cfg(test)]
mod tests;
