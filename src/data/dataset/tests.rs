use super::*;
use crate::data::Split;

fn digits() -> Dataset {
    Dataset::open(&"digits".parse().unwrap(), Split::Train, &ResizeCrop::default()).unwrap()
}

#[test]
fn samples_are_scaled_to_0_to_1() {
    let data = digits();
    let mut out = [f32::NAN; 64];
    data.sample(0, &mut out).unwrap();
    assert_eq!(out[..5], [0.0, 0.0, 5.0 / 16.0, 13.0 / 16.0, 9.0 / 16.0]);
    assert_eq!((data.shape(), data.classes().len(), data.labels()[0]), ([1, 8, 8], 10, 0));
    assert_eq!(data.full_size(0).unwrap().pixels, out);
}

#[test]
fn a_limit_keeps_the_first_samples() {
    for (n, len) in [(0, 1442), (1, 1), (1442, 1442), (usize::MAX, 1442)] {
        assert_eq!(digits().limit(n).len(), len);
    }
    let error = digits().limit(3).sample(3, &mut [0.0; 64]).unwrap_err();
    assert_eq!(error.to_string(), "sample 3: the data set has 3 samples");
    let error = digits().sample(0, &mut [0.0; 63]).unwrap_err();
    assert_eq!(error.to_string(), "sample 0: shape [63], expected [1, 8, 8]");
}

#[test]
fn labels_are_matched_to_other_classes_by_name() {
    let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
    let more = digits().with_classes(&names("x 9 8 7 6 5 4 3 2 1 0"));
    assert_eq!((more.classes().len(), more.labels()[..3].to_vec()), (11, vec![10, 9, 8]));
    // A class that is missing, and one that occurs twice.
    for classes in ["0 1 2 3 4 5 6 7 8", "0 1 2 3 4 5 6 7 8 9 9"] {
        let same = digits().with_classes(&names(classes));
        assert_eq!((same.classes(), same.labels()), (digits().classes(), digits().labels()));
    }
}

#[test]
fn images_in_memory_are_resized_and_cropped_as_those_of_a_folder() {
    let open = |resize, crop| {
        let resize_crop = ResizeCrop { resize, crop };
        Dataset::open(&"digits".parse().unwrap(), Split::Train, &resize_crop).unwrap()
    };
    let full = digits().full_size(0).unwrap();
    let resized = open(Some(12), Some(10));
    assert_eq!(resized.shape(), [1, 10, 10]);
    let mut sample = vec![0.0; 100];
    resized.sample(0, &mut sample).unwrap();
    let by_hand = full.resize(12, 12);
    assert_eq!(sample, by_hand.crop(by_hand.center_window(10, 10)).pixels);
    assert_eq!(resized.full_size(0).unwrap(), full);
    // The same shape by another way is other data.
    assert_ne!(open(Some(10), None).fingerprint(), resized.fingerprint());
    assert_eq!(open(None, None).fingerprint(), digits().fingerprint());
}

#[test]
fn an_impossible_resize_or_crop_is_refused() {
    let resize_crop = |resize, crop| ResizeCrop { resize, crop };
    for (spec, resize_crop, message) in [
        ("text:x", resize_crop(Some(8), None), "resize: only for images, not for a text"),
        ("digits", resize_crop(None, Some(9)), "digits: 8x8 pixels are too few for a crop of 9x9; resize them"),
        ("digits", resize_crop(Some(99_999), None), "resize: 99999 pixels, expected at most 16384"),
        ("folder:x", resize_crop(Some(0), None), "resize: 0 pixels, expected at least 1"),
        ("folder:x", resize_crop(Some(4), Some(5)), "crop: 5 pixels, expected at most the 4 of resize"),
        ("mnist:no/such", resize_crop(None, None), "no/such: no such file or directory"),
    ] {
        let error = Dataset::open(&spec.parse().unwrap(), Split::Test, &resize_crop).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn halves_are_disjoint_and_hold_every_sample() {
    let data = digits().drop_first(2).limit(101);
    let samples = |data: &Dataset| -> Vec<(Vec<u32>, u32)> {
        let mut out = [0.0; 64];
        let of = |sample| {
            data.sample(sample, &mut out).unwrap();
            (out.map(f32::to_bits).to_vec(), data.labels()[sample])
        };
        (0..data.len()).map(of).collect()
    };
    let [first, second] = data.split_half(3);
    assert_eq!((first.len(), second.len()), (50, 51));
    let (mut all, mut both) = (samples(&data), [samples(&first), samples(&second)].concat());
    // Each half keeps the order of the data set.
    assert!(samples(&first).windows(2).all(|pair| {
        let place = |sample| all.iter().position(|s| s == sample);
        place(&pair[0]) < place(&pair[1])
    }));
    all.sort();
    both.sort();
    assert_eq!(all, both);
    assert_eq!(samples(&data.split_half(3)[0]), samples(&first));
    assert_ne!(samples(&data.split_half(4)[0]), samples(&first));
}

#[test]
fn samples_from_arrays_are_the_values() {
    let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let classes = || ["a", "b"].map(str::to_owned).to_vec();
    let open = |labels| Dataset::from_arrays(values.clone(), [2, 3, 2, 2], labels, classes()).unwrap();
    let data = open(Some(vec![1, 0]));
    assert_eq!((data.len(), data.shape(), data.labels(), data.classes()), (2, [3, 2, 2], &[1, 0][..], &classes()[..]));
    let mut sample = [f32::NAN; 12];
    data.sample(1, &mut sample).unwrap();
    data.normalization().apply(3, &mut sample);
    assert_eq!(sample[..], values[12..]);
    assert!(data.is_labelled() && !open(None).is_labelled());
    assert_eq!(open(None).labels(), [0, 0]);
    // The fingerprint is a function of the content.
    assert_eq!(open(Some(vec![1, 0])).fingerprint(), data.fingerprint());
    assert_ne!(open(Some(vec![0, 1])).fingerprint(), data.fingerprint());
    let other = Dataset::from_arrays(vec![1.0; 24], [2, 3, 2, 2], Some(vec![1, 0]), classes()).unwrap();
    assert_ne!(other.fingerprint(), data.fingerprint());
}

#[test]
fn invalid_arrays_are_refused_with_what_was_expected() {
    let message = |values: &[f32], shape, labels: Option<&[u32]>, classes: &[&str]| {
        let classes = classes.iter().map(|&class| class.to_owned()).collect();
        Dataset::from_arrays(values.to_vec(), shape, labels.map(<[u32]>::to_vec), classes).unwrap_err().to_string()
    };
    let shape = [2, 1, 1, 2];
    assert_eq!(message(&[0.0; 3], shape, None, &["a"]), "values: shape [3], expected [2, 1, 1, 2]");
    assert_eq!(
        message(&[], [usize::MAX, 2, 2, 2], None, &["a"]),
        format!("values: shape [0], expected [{}, 2, 2, 2]", usize::MAX)
    );
    assert_eq!(message(&[], [0, 1, 1, 2], None, &["a"]), "values: no samples, expected at least one");
    let nan = [0.0, 0.0, 0.0, f32::NAN];
    assert_eq!(message(&nan, shape, None, &["a"]), "values: NaN in sample 1, expected finite numbers");
    assert_eq!(message(&[0.0; 4], shape, None, &[]), "classes: no names, expected one for each class of the network");
    assert_eq!(message(&[0.0; 4], shape, Some(&[0]), &["a"]), "labels: 1 for 2 samples");
    assert_eq!(message(&[0.0; 4], shape, Some(&[0, 1]), &["a"]), "label 1: there are 1 classes");
}

#[test]
fn samples_are_the_same_by_their_content_and_not_by_their_labels() {
    let classes = || ["a", "b"].map(str::to_owned).to_vec();
    let open = |values: &[f32], labels| Dataset::from_arrays(values.to_vec(), [2, 1, 1, 2], labels, classes()).unwrap();
    let data = open(&[1.0, 2.0, 3.0, 4.0], Some(vec![0, 1]));
    assert!(data.has_same_samples(&open(&[1.0, 2.0, 3.0, 4.0], Some(vec![0, 1]))));
    assert!(!data.has_same_samples(&open(&[1.0, 2.0, 3.0, 5.0], Some(vec![0, 1]))));
    assert!(!data.has_same_samples(&open(&[1.0, 2.0, 3.0, 4.0], Some(vec![1, 0]))));
    assert!(!data.has_same_samples(&open(&[1.0, 2.0, 3.0, 4.0], None)));
    // The same storage, but other samples of it.
    assert!(digits().limit(9).has_same_samples(&digits().limit(9)));
    assert!(!digits().drop_first(1).limit(9).has_same_samples(&digits().limit(9)));
    // The size in which images are seen is the network's.
    let seen = |resize| {
        let resize_crop = ResizeCrop { resize, crop: None };
        Dataset::open(&"digits".parse().unwrap(), Split::Test, &resize_crop).unwrap()
    };
    assert!(seen(Some(10)).has_same_samples(&seen(None)));
}

#[test]
fn folders_have_the_same_samples_where_their_files_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, value) in [("one", 10), ("other", 200)] {
        for class in ["a", "b"] {
            let path = dir.path().join(folder).join(class);
            std::fs::create_dir_all(&path).unwrap();
            image::RgbImage::from_pixel(4, 4, image::Rgb([value; 3])).save(path.join("0.png")).unwrap();
        }
    }
    let open = |folder: &str| {
        let spec = format!("folder:{}/{folder}", dir.path().display()).parse().unwrap();
        Dataset::open(&spec, Split::Test, &ResizeCrop::default()).unwrap()
    };
    assert_eq!(open("one").labels(), open("other").labels());
    assert!(!open("one").has_same_samples(&open("other")));
    assert!(open("one").has_same_samples(&open("other/../one")));
}

#[test]
fn named_arrays_are_samples_as_those_of_a_file() {
    let words = || ("words".to_owned(), vec![2, 3], vec![5.0, 1.0, 2.0, 5.0, 3.0, 0.0]);
    let mask = || ("mask".to_owned(), vec![2, 1], vec![1.0, 0.0]);
    let labels = |values: &[f32]| ("labels".to_owned(), vec![2, values.len() / 2], values.to_vec());
    let data = Dataset::from_named_arrays(vec![labels(&[3.0, -100.0, 0.0, 1.0]), words(), mask()]).unwrap();
    assert_eq!((data.len(), data.shape(), data.label_positions()), (2, [1, 1, 4], Some(2)));
    assert_eq!((data.label_at(0, 0), data.label_at(0, 1), data.is_labelled()), (Some(3), None, true));
    let message = |arrays| Dataset::from_named_arrays(arrays).unwrap_err().to_string();
    assert_eq!(message(vec![]), "arrays: no array of samples in it");
    assert_eq!(message(vec![labels(&[1.0, 0.0])]), "arrays: no array of samples in it");
    assert_eq!(message(vec![words(), labels(&[0.5, 0.0])]), "arrays: label 0.5, expected a number from 0");
    assert_eq!(message(vec![("a".into(), vec![2, 2], vec![0.0; 3])]), "a: shape [3], expected [2, 2]");
    assert_eq!(message(vec![("a".into(), vec![], vec![0.0])]), "a: shape [1], expected []");
    let three = ("b".to_owned(), vec![3], vec![0.0; 3]);
    assert_eq!(message(vec![words(), three]), "arrays: 'b' has 3 rows, 'words' has 2");
    let nan = ("a".to_owned(), vec![2, 1], vec![0.0, f32::NAN]);
    assert_eq!(message(vec![nan]), "arrays: 'a' holds NaN in row 1, expected finite numbers");
}
