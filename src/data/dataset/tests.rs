use super::*;

fn digits() -> Dataset {
    Dataset::open(&"digits".parse().unwrap(), Split::Train, &ResizeCrop::default()).unwrap()
}

#[test]
fn samples_run_from_black_to_white() {
    let data = digits();
    let mut out = [f32::NAN; 64];
    data.sample(0, &mut out).unwrap();
    assert_eq!(out[..5], [0.0, 0.0, 5.0 / 16.0, 13.0 / 16.0, 9.0 / 16.0]);
    assert_eq!((data.shape(), data.classes().len(), data.labels()[0]), ([1, 8, 8], 10, 0));
    assert_eq!(data.original(0).unwrap().pixels, out);
}

#[test]
fn a_limit_keeps_the_first_samples() {
    for (n, len) in [(0, 1442), (1, 1), (1442, 1442), (usize::MAX, 1442)] {
        assert_eq!(digits().limit(n).len(), len);
    }
    let error = digits().limit(3).sample(3, &mut [0.0; 64]).unwrap_err();
    assert_eq!(error.to_string(), "there is no sample 3: the data set has 3");
    let error = digits().sample(0, &mut [0.0; 63]).unwrap_err();
    assert_eq!(error.to_string(), "sample 0: shape [63], expected [1, 8, 8]");
}

#[test]
fn classes_are_found_among_others_by_name() {
    let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
    let more = digits().among(&names("x 9 8 7 6 5 4 3 2 1 0"));
    assert_eq!((more.classes().len(), more.labels()[..3].to_vec()), (11, vec![10, 9, 8]));
    // A class that is missing, and one that stands there twice.
    for classes in ["0 1 2 3 4 5 6 7 8", "0 1 2 3 4 5 6 7 8 9 9"] {
        let same = digits().among(&names(classes));
        assert_eq!((same.classes(), same.labels()), (digits().classes(), digits().labels()));
    }
}

#[test]
fn a_view_that_does_not_suit_is_refused() {
    let view = |resize, crop| ResizeCrop { resize, crop };
    for (spec, view, message) in [
        ("digits", view(Some(8), None), "data.resize: only for folder:DIR, the images of digits have one size"),
        ("cifar10:x", view(None, Some(8)), "data.crop: only for folder:DIR, the images of cifar10 have one size"),
        ("folder:x", view(Some(0), None), "data.resize: 0 pixels, expected at least 1"),
        ("folder:x", view(Some(4), Some(5)), "data.crop: 5 pixels, expected at most the 4 of data.resize"),
        ("mnist:no/such", view(None, None), "no/such: no such file or directory"),
    ] {
        let error = Dataset::open(&spec.parse().unwrap(), Split::Test, &view).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn halves_share_no_sample_and_lose_none() {
    let whole = digits().skip(2).limit(101);
    let pixels = |data: &Dataset| -> Vec<(Vec<u32>, u32)> {
        let mut out = [0.0; 64];
        let of = |sample| {
            data.sample(sample, &mut out).unwrap();
            (out.map(f32::to_bits).to_vec(), data.labels()[sample])
        };
        (0..data.len()).map(of).collect()
    };
    let [one, other] = whole.halves(3);
    assert_eq!((one.len(), other.len()), (50, 51));
    let (mut all, mut both) = (pixels(&whole), [pixels(&one), pixels(&other)].concat());
    // Each in the order of the whole: what is drawn is which, not in what order.
    assert!(pixels(&one).windows(2).all(|pair| {
        let place = |sample| all.iter().position(|s| s == sample);
        place(&pair[0]) < place(&pair[1])
    }));
    all.sort();
    both.sort();
    assert_eq!(all, both);
    assert_eq!(pixels(&whole.halves(3)[0]), pixels(&one));
    assert_ne!(pixels(&whole.halves(4)[0]), pixels(&one));
}
