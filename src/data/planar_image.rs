//! A decoded image with one plane per channel, and how it is cropped and resized.

/// The largest side that an image is resized to: a narrow image would become too long.
pub(super) const MAX_SIDE: usize = 1 << 14;

/// An image. `shape` is `[channels, height, width]`, `pixels` has the planes one after another; black is 0, white 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlanarImage {
    pub(super) shape: [usize; 3],
    pub(super) pixels: Vec<f32>,
}

/// A rectangle of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl PlanarImage {
    /// Returns the image of interleaved bytes, `[height, width, channels]`.
    pub(super) fn from_interleaved(shape: [usize; 3], bytes: &[u8]) -> Self {
        let channels = shape[0];
        let mut pixels = Vec::with_capacity(bytes.len());
        for channel in 0..channels {
            let plane = bytes.iter().skip(channel).step_by(channels);
            pixels.extend(plane.map(|&byte| f32::from(byte) / 255.0));
        }
        Self { shape, pixels }
    }

    /// Returns the window of `height` x `width` pixels in the center. The image must be at least as large.
    pub(super) fn center_window(&self, height: usize, width: usize) -> Window {
        let [_, h, w] = self.shape;
        let (top, left) = ((h - height) / 2, (w - width) / 2);
        Window { top, left, height, width }
    }

    /// Returns the part inside `window`, which must lie inside the image.
    pub(super) fn crop(&self, window: Window) -> Self {
        let [channels, h, w] = self.shape;
        let mut pixels = Vec::with_capacity(channels * window.height * window.width);
        for plane in self.pixels.chunks_exact(h * w) {
            for row in plane.chunks_exact(w).skip(window.top).take(window.height) {
                pixels.extend_from_slice(&row[window.left..window.left + window.width]);
            }
        }
        let shape = [channels, window.height, window.width];
        Self { shape, pixels }
    }

    /// Returns the image resized to `height` x `width` pixels by bilinear interpolation with anti-aliasing.
    pub(super) fn resize(&self, height: usize, width: usize) -> Self {
        let [channels, h, w] = self.shape;
        let across = filter_taps(w, width);
        let down = filter_taps(h, height);
        let mut narrow = Vec::with_capacity(channels * h * width);
        for row in self.pixels.chunks_exact(w) {
            narrow.extend(across.iter().map(|tap| {
                let pairs = tap.weights.iter().zip(&row[tap.first..]);
                pairs.map(|(weight, pixel)| weight * pixel).sum::<f32>()
            }));
        }
        let mut pixels = Vec::with_capacity(channels * height * width);
        for plane in narrow.chunks_exact(h * width) {
            for tap in &down {
                let start = pixels.len();
                pixels.resize(start + width, 0.0);
                for (weight, row) in tap.weights.iter().zip(plane.chunks_exact(width).skip(tap.first)) {
                    let sums = pixels[start..].iter_mut().zip(row);
                    sums.for_each(|(sum, pixel)| *sum += weight * pixel);
                }
            }
        }
        let shape = [channels, height, width];
        Self { shape, pixels }
    }
}

/// The weights of the pixels that one resized pixel is the sum of, from pixel `first` on.
struct FilterTaps {
    first: usize,
    weights: Vec<f32>,
}

/// Returns the weights with which a line of `from` pixels is resized to `to` pixels: a triangle filter around the center
/// of each new pixel, `max(0, 1 - |x - center| / max(1, from / to))`, normalized to the sum 1.
fn filter_taps(from: usize, to: usize) -> Vec<FilterTaps> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    let tap = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        let first = (center - reach).max(0.0) as usize;
        let end = ((center + reach).ceil() as usize).min(from);
        let weight = |x: usize| (1.0 - (x as f64 + 0.5 - center).abs() / reach).max(0.0);
        let total: f64 = (first..end).map(weight).sum();
        let weights = (first..end).map(|x| (weight(x) / total) as f32).collect();
        FilterTaps { first, weights }
    };
    (0..to).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(height: usize, width: usize) -> PlanarImage {
        let pixels = (0..2 * height * width).map(|i| i as f32).collect();
        let shape = [2, height, width];
        PlanarImage { shape, pixels }
    }

    #[test]
    fn interleaved_bytes_become_planes() {
        let planes = PlanarImage::from_interleaved([3, 1, 2], &[255, 0, 51, 0, 255, 102]);
        assert_eq!(planes.pixels, [1.0, 0.0, 0.0, 1.0, 0.2, 0.4]);
    }

    #[test]
    fn a_crop_has_the_pixels_of_its_window() {
        let image = ramp(3, 4);
        let window = image.center_window(1, 2);
        assert_eq!((window.top, window.left), (1, 1));
        assert_eq!(image.crop(window).pixels, [5.0, 6.0, 17.0, 18.0]);
    }

    #[test]
    fn a_resize_has_the_values_computed_by_hand() {
        let image = ramp(3, 4);
        assert_eq!(image.resize(3, 4), image);
        let line = PlanarImage { shape: [1, 1, 4], pixels: vec![0.0, 1.0, 2.0, 3.0] };
        // Halving has the weights 1, 3, 3, 1 (of 8) around the center; the one beyond the border is left out.
        let half = line.resize(1, 2).pixels;
        let expected = [(3.0 + 2.0) / 7.0, (1.0 + 3.0 * 2.0 + 3.0 * 3.0) / 7.0];
        assert!(half.iter().zip(expected).all(|(x, y)| (x - y).abs() < 1e-6), "{half:?}");
        let pair = PlanarImage { shape: [1, 1, 2], pixels: vec![0.0, 1.0] };
        assert_eq!(pair.resize(1, 4).pixels, [0.0, 0.25, 0.75, 1.0]);
        let even = PlanarImage { shape: [1, 7, 5], pixels: vec![0.5; 35] };
        assert!(even.resize(3, 11).pixels.iter().all(|x| (x - 0.5).abs() < 1e-6));
    }
}
