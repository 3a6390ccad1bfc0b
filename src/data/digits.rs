//! The built-in data set `digits`: 1,797 handwritten digits of 8x8 pixels with values of 0 to 16.
//!
//! E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits* (1998), UCI Machine Learning Repository,
//! CC BY 4.0. The file is the one of scikit-learn: one image a line, 64 values and the label, comma-separated.
//!
//! The file has no splits. Here every fifth image of each class, in the order of the file, is a test sample: 1,442
//! training images and 355 test images. The same people wrote the digits of both splits.

use std::io::Read;

use super::dataset::ImageBytes;
use super::spec::Split;
use crate::{Error, Result};

const FILE: &[u8] = include_bytes!("digits.csv.gz");

const PIXELS: usize = 64;

/// The value of a white pixel.
pub(super) const WHITE: u8 = 16;

/// The mean of the training split on a scale from 0 to 1.
pub(super) const MEAN: f32 = 0.305_136;

/// The standard deviation of the training split on a scale from 0 to 1.
pub(super) const STD: f32 = 0.376_158;

/// Returns the samples of one split.
pub(super) fn open(split: Split) -> Result<ImageBytes> {
    let corrupt = || Error::file("digits", "the built-in data set is corrupt");
    let mut text = String::new();
    let read = flate2::read::GzDecoder::new(FILE).read_to_string(&mut text);
    read.map_err(|_| corrupt())?;
    parse(&text, split).ok_or_else(corrupt)
}

fn parse(text: &str, split: Split) -> Option<ImageBytes> {
    let mut images = ImageBytes { shape: [1, 8, 8], labels: Vec::new(), bytes: Vec::new() };
    let mut seen = [0_usize; 10];
    for line in text.lines() {
        let values: Option<Vec<u8>> = line.split(',').map(|value| value.parse().ok()).collect();
        let values = values.filter(|values| values.len() == PIXELS + 1)?;
        let (&label, pixels) = values.split_last()?;
        let count = seen.get_mut(usize::from(label))?;
        *count += 1;
        let sample_split = if count.is_multiple_of(5) { Split::Test } else { Split::Train };
        if sample_split == split {
            images.labels.push(label.into());
            images.bytes.extend_from_slice(pixels);
        }
    }
    Some(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_splits_have_the_documented_sizes_and_every_class() {
        for (split, len, least) in [(Split::Train, 1442, 140), (Split::Test, 355, 34)] {
            let images = open(split).unwrap();
            assert_eq!(images.labels.len(), len);
            assert_eq!(images.bytes.len(), len * PIXELS);
            assert!(images.bytes.iter().all(|&value| value <= WHITE));
            let count = |class| images.labels.iter().filter(|&&label| label == class).count();
            assert!((0..10).all(|class| count(class) >= least));
        }
    }

    #[test]
    fn the_constants_are_those_of_the_training_split() {
        let bytes = open(Split::Train).unwrap().bytes;
        let values = || bytes.iter().map(|&byte| f64::from(byte) / f64::from(WHITE));
        let n = bytes.len() as f64;
        let mean = values().sum::<f64>() / n;
        let std = (values().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!((mean - f64::from(MEAN)).abs() < 1e-6, "{mean}");
        assert!((std - f64::from(STD)).abs() < 1e-6, "{std}");
    }

    #[test]
    fn an_invalid_table_is_refused() {
        let line = |label: &str| format!("{}{label}", "1,".repeat(PIXELS));
        assert!(parse(&line("9"), Split::Train).is_some());
        for text in [line("10"), line("x"), line("1,1"), "1,2".to_owned(), line("1") + "\n\n"] {
            assert!(parse(&text, Split::Train).is_none(), "{text}");
        }
    }
}
