use image::{GrayImage, RgbImage};

use super::*;

/// Returns a directory with these files. All but `.txt` files are gray PNG images of the given width and height.
fn tree(files: &[(&str, [u32; 2])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (i, (name, [width, height])) in files.iter().enumerate() {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match name.ends_with(".txt") {
            true => std::fs::write(path, "text").unwrap(),
            false => {
                let image = GrayImage::from_pixel(*width, *height, image::Luma([i as u8]));
                image.save_with_format(path, image::ImageFormat::Png).unwrap();
            }
        }
    }
    dir
}

const S: [u32; 2] = [4, 3];

fn resize_crop(resize: Option<usize>, crop: Option<usize>) -> ResizeCrop {
    ResizeCrop { resize, crop }
}

/// Opens a folder and reads all its samples. The error message has `DIR` for the directory.
fn outcome(dir: &Path, split: Split, resize_crop: ResizeCrop) -> std::result::Result<Vec<PlanarImage>, String> {
    let folder = Folder::open(dir, split, resize_crop);
    let samples = folder.and_then(|folder| (0..folder.files.len()).map(|i| folder.sample(i)).collect());
    samples.map_err(|e| e.to_string().replace(&dir.display().to_string(), "DIR"))
}

#[test]
fn samples_alternate_between_the_classes() {
    let dir = tree(&[
        ("train/b/2.png", S),
        ("train/b/1.JPG", S),
        ("train/a/x.jpeg", S),
        ("train/a/notes.txt", S),
        ("train/.hidden/x.png", S),
        ("train/list.txt", S),
        ("val/b/1.png", S),
    ]);
    let train = Folder::open(dir.path(), Split::Train, ResizeCrop::default()).unwrap();
    assert_eq!((train.shape(), &train.labels[..]), ([3, 3, 4], &[0, 1, 1][..]));
    assert_eq!(train.classes, ["a", "b"]);
    assert_eq!(train.passed_over, [".hidden", "a/notes.txt", "list.txt"]);
    let names: Vec<_> = train.files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
    assert_eq!(names, ["x.jpeg", "1.JPG", "2.png"]);
    assert_eq!(train.sample(2).unwrap().pixels, [0.0; 36]);
    // The classes are those of the training split, although one of them has no test images.
    let test = Folder::open(dir.path(), Split::Test, ResizeCrop::default()).unwrap();
    assert_eq!((test.labels, test.classes.len()), (vec![1], 2));
}

#[test]
fn without_split_directories_both_splits_are_the_same() {
    let dir = tree(&[("a/1.png", S), ("b/1.png", S)]);
    for split in [Split::Train, Split::Test] {
        assert_eq!(outcome(dir.path(), split, ResizeCrop::default()).unwrap().len(), 2);
    }
}

#[test]
fn resize_and_crop_give_all_images_one_size() {
    let dir = tree(&[("a/1.png", [4, 3]), ("a/2.png", [8, 16]), ("a/3.png", [5, 5])]);
    let images = outcome(dir.path(), Split::Test, resize_crop(Some(6), Some(5))).unwrap();
    assert!(images.iter().all(|image| image.shape == [3, 5, 5]));
    let images = outcome(dir.path(), Split::Test, resize_crop(None, Some(2))).unwrap();
    assert!(images.iter().all(|image| image.shape == [3, 2, 2]));
    assert_eq!(resize_crop(Some(224), None).sizes([375, 500]).unwrap().cropped, [224, 298]);
}

#[test]
fn colors_become_planes() {
    let dir = tree(&[]);
    std::fs::create_dir(dir.path().join("a")).unwrap();
    let image = RgbImage::from_fn(2, 1, |x, _| image::Rgb([255 * x as u8, 51, 102]));
    image.save(dir.path().join("a/1.png")).unwrap();
    let images = outcome(dir.path(), Split::Train, ResizeCrop::default()).unwrap();
    assert_eq!(images[0].pixels, [0.0, 1.0, 0.2, 0.2, 0.4, 0.4]);
}

#[test]
fn invalid_folders_are_refused_with_what_was_expected() {
    let none = ResizeCrop::default();
    for (files, split, resize_crop, message) in [
        (&[][..], Split::Train, none, "DIR: no directories here, expected one for each class"),
        (&[("train/a/1.png", S)], Split::Test, none, "DIR: no directory test, val or valid here"),
        (&[("test/a/1.png", S)], Split::Train, none, "DIR: no directory train here"),
        (&[("train/x.txt", S)], Split::Train, none, "DIR/train: no directories here, expected one for each class"),
        (
            &[("train/a/1.png", S), ("test/b/1.png", S)],
            Split::Test,
            none,
            "DIR/test/b: there is no such class in DIR/train",
        ),
        (
            &[("train/a/1.png", S), ("test/x.txt", S)],
            Split::Test,
            none,
            "DIR/test: no directories here, expected one for each class",
        ),
        (
            &[("a/1.txt", S)],
            Split::Train,
            none,
            "DIR/a: no .png, .jpg or .jpeg files here; 1 of other kinds, such as 1.txt",
        ),
        (
            &[("a/1.png", S), ("a/2.png", [3, 4])],
            Split::Train,
            none,
            "DIR/a/2.png: 3x4 pixels, expected 4x3 as in DIR/a/1.png; resize and crop them",
        ),
        (
            &[("a/1.png", S), ("b/1.png", [6, 3])],
            Split::Train,
            resize_crop(Some(2), None),
            "DIR/b/1.png: 4x2 pixels, expected 2x2 as in DIR/a/1.png; resize and crop them",
        ),
        (
            &[("a/1.png", S)],
            Split::Train,
            resize_crop(None, Some(4)),
            "DIR/a/1.png: 4x3 pixels are too few for a crop of 4x4; resize them",
        ),
        (
            &[("a/1.png", [300, 1])],
            Split::Train,
            resize_crop(Some(64), None),
            "DIR/a/1.png: 300x1 pixels would become 19200x64, expected at most 16384 on a side",
        ),
    ] {
        let dir = tree(files);
        assert_eq!(outcome(dir.path(), split, resize_crop).unwrap_err(), message);
    }
}

#[test]
fn an_image_that_cannot_be_decoded_is_refused() {
    let dir = tree(&[("a/1.png", S), ("a/2.png", S)]);
    let path = dir.path().join("a/2.png");
    let bytes = std::fs::read(&path).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], b"text", b""] {
        std::fs::write(&path, damaged).unwrap();
        let error = outcome(dir.path(), Split::Train, ResizeCrop::default()).unwrap_err();
        assert!(error.starts_with("DIR/a/2.png: cannot be decoded as PNG or JPEG: "), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn a_palette_that_is_no_list_of_colors_is_refused() {
    let dir = tree(&[("a/0.png", S)]);
    let chunk = |kind: &[u8], data: &[u8]| {
        let content = [kind, data].concat();
        [&(data.len() as u32).to_be_bytes()[..], &content, &crc32fast::hash(&content).to_be_bytes()].concat()
    };
    let header = chunk(b"IHDR", &[0, 0, 0, 4, 0, 0, 0, 3, 8, 3, 0, 0, 0]);
    let png = [b"\x89PNG\r\n\x1a\n".to_vec(), header, chunk(b"PLTE", &[1, 2, 3, 4]), chunk(b"IEND", &[])].concat();
    std::fs::write(dir.path().join("a/1.png"), png).unwrap();
    let error = outcome(dir.path(), Split::Test, ResizeCrop::default()).unwrap_err();
    assert_eq!(error, "DIR/a/1.png: cannot be decoded as PNG: a palette of 4 bytes, expected three a color");
}

#[test]
fn a_class_without_images_names_what_is_there() {
    let dir = tree(&[("a/0.png", S), ("b/notes.txt", S)]);
    let error = outcome(dir.path(), Split::Test, ResizeCrop::default()).unwrap_err();
    assert_eq!(error, "DIR/b: no .png, .jpg or .jpeg files here; 1 of other kinds, such as notes.txt");
}
