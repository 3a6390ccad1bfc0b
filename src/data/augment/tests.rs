use super::*;
use crate::data::{ResizeCrop, Split};
use crate::random::{Purpose, stream};

fn digits() -> Dataset {
    Dataset::open(&"digits".parse().unwrap(), Split::Test, &ResizeCrop::default()).unwrap()
}

fn augmented(data: &Dataset, augment: Augment, draw: u64) -> Vec<f32> {
    let mut out = vec![f32::NAN; augment.shape(data.shape()).iter().product()];
    let mut rng = stream(0, Purpose::Augment, &[draw]);
    augment.sample(data, 5, &mut rng, &mut out).unwrap();
    out
}

#[test]
fn a_shift_moves_pixels_and_fills_with_black() {
    let image: Vec<f32> = (1..=12).map(|x| x as f32).collect();
    for down in -3..=3_isize {
        for right in -4..=4_isize {
            let mut moved = image.clone();
            shift(&mut moved, [3, 4], down, right);
            let at = |y: isize, x: isize| match (0..3).contains(&y) && (0..4).contains(&x) {
                true => image[(y * 4 + x) as usize],
                false => 0.0,
            };
            let expected: Vec<f32> = (0..12).map(|i| at(i / 4 + down, i % 4 + right)).collect();
            assert_eq!(moved, expected, "{down} {right}");
        }
    }
}

#[test]
fn a_flip_mirrors_about_half_of_the_images() {
    let augment = Augment { flip: true, ..Augment::default() };
    let data = digits();
    let plain = augmented(&data, Augment::default(), 0);
    let mirrored: Vec<f32> = plain.chunks(8).flat_map(|row| row.iter().rev()).copied().collect();
    let images: Vec<Vec<f32>> = (0..1000).map(|draw| augmented(&data, augment, draw)).collect();
    assert!(images.iter().all(|image| *image == plain || *image == mirrored));
    let flips = images.iter().filter(|image| **image == mirrored).count();
    assert!((420..580).contains(&flips), "{flips}");
}

#[test]
fn every_padded_crop_is_drawn_about_equally_often() {
    let augment = Augment { pad: 1, ..Augment::default() };
    let data = digits();
    let mut plain = vec![0.0; 64];
    data.sample(5, &mut plain).unwrap();
    let mut counts = [0; 9];
    for draw in 0..1800 {
        let image = augmented(&data, augment, draw);
        let offset = (0..9).find(|offset| {
            let mut moved = plain.clone();
            shift(&mut moved, [8, 8], offset / 3 - 1, offset % 3 - 1);
            moved == image
        });
        counts[offset.unwrap() as usize] += 1;
    }
    assert!(counts.iter().all(|count| (130..270).contains(count)), "{counts:?}");
}

#[test]
fn a_resized_crop_has_the_documented_area_and_aspect_ratio() {
    let image = PlanarImage { shape: [1, 60, 80], pixels: vec![0.5; 4800] };
    let mut rng = stream(0, Purpose::Augment, &[]);
    let windows: Vec<Window> = (0..2000).map(|_| resized_crop(&image, &mut rng)).collect();
    let area = |w: &Window| (w.height * w.width) as f64 / 4800.0;
    let aspect = |w: &Window| w.width as f64 / w.height as f64;
    // The limits leave one pixel on each side for rounding.
    assert!(windows.iter().all(|w| w.top + w.height <= 60 && w.left + w.width <= 80));
    assert!(windows.iter().all(|w| (0.07..1.0 + 1e-9).contains(&area(w)) && (0.7..1.43).contains(&aspect(w))));
    let mean = windows.iter().map(area).sum::<f64>() / 2000.0;
    // The mean of all draws is 0.54, but large areas fit less often. The value is from an independent simulation.
    assert!((mean - 0.437).abs() < 0.025, "{mean}");
    // No crop of an allowed aspect ratio and area fits into a strip: the center is taken.
    let strip = PlanarImage { shape: [1, 2, 60], pixels: vec![0.5; 120] };
    let window = (0..50).map(|_| resized_crop(&strip, &mut rng)).find(|w| w.height == 2 && w.left == 28);
    assert_eq!(window.map(|w| w.width), Some(3));
}

#[test]
fn all_changes_together_keep_values_from_0_to_1() {
    let augment = Augment { pad: 2, flip: true, random_resized_crop: Some(5) };
    let data = digits();
    for draw in 0..100 {
        let image = augmented(&data, augment, draw);
        assert_eq!(image.len(), 25);
        assert!(image.iter().all(|x| (0.0..=1.0 + 1e-6).contains(x)));
    }
}

#[test]
fn an_impossible_augmentation_is_refused() {
    for (pad, random_resized_crop, message) in [
        (9, None, "data.augment.pad: 9 pixels, expected at most the 8 of the image"),
        (usize::MAX, Some(5), "data.augment.pad: 18446744073709551615 pixels, expected at most the 5 of the image"),
        (0, Some(0), "data.augment.random_resized_crop: 0 pixels, expected 1 to 2048"),
        (0, Some(1 << 40), "data.augment.random_resized_crop: 1099511627776 pixels, expected 1 to 2048"),
    ] {
        let augment = Augment { pad, flip: false, random_resized_crop };
        assert_eq!(augment.check([3, 8, 9]).unwrap_err().to_string(), message);
    }
    assert!(Augment { pad: 8, ..Augment::default() }.check([3, 8, 9]).is_ok());
}

#[test]
fn unknown_keys_are_refused() {
    let parsed: Augment = toml::from_str("pad = 4\nflip = true").unwrap();
    let expected = Augment { pad: 4, flip: true, random_resized_crop: None };
    assert_eq!(parsed, expected);
    assert_eq!(toml::from_str::<Augment>("").unwrap(), Augment::default());
    assert!(toml::from_str::<Augment>("padding = 4").is_err());
}
