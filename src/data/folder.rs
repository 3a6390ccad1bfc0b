//! Images in directories: `DIR/{train,test}/CLASS/*.{png,jpg,jpeg}`.
//!
//! `val` or `valid` may stand for `test`. Without any of these directories, `DIR` holds the classes itself, and both splits
//! have the same images. An image is decoded when it is asked for. Gray images become RGB; transparency and the EXIF
//! orientation are ignored, as by torchvision's `ImageFolder`. Everything else in these directories is passed over, and
//! listed in [`Folder::passed_over`].

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use image::{ImageError, ImageReader, Limits};

use super::dataset::{ResizeCrop, format_size};
use super::planar_image::PlanarImage;
use super::spec::Split;
use crate::error::caught_in;
use crate::limits::{advice, file_memory};
use crate::{Error, Result};

/// The share of the memory for a file that the decoder of an image may take: what it decodes becomes four times as many bytes.
const IMAGE_SHARE: u64 = 32;
const TEST_NAMES: [&str; 3] = ["test", "val", "valid"];

/// The image files of one split.
#[derive(Debug)]
pub(super) struct Folder {
    /// The names of the classes, sorted.
    pub(super) classes: Vec<String>,
    /// The label of each file.
    pub(super) labels: Vec<u32>,
    /// The files: the first of each class, then the second of each, and so on. The files of a class are sorted by name.
    files: Vec<PathBuf>,
    /// The entries that are no images of a class, relative to the directory of the split, sorted. They include hidden ones.
    pub(super) passed_over: Vec<String>,
    resize_crop: ResizeCrop,
    /// The height and width of a sample.
    size: [usize; 2],
}

impl Folder {
    /// Lists the files of one split and reads the size of the first image.
    pub(super) fn open(dir: &Path, split: Split, resize_crop: ResizeCrop) -> Result<Self> {
        let (classes_dir, dir) = split_dirs(dir, split)?;
        let classes = directories(&classes_dir)?.kept;
        if classes.is_empty() {
            return Err(Error::file(classes_dir, "no directories here, expected one for each class"));
        }
        let mut files = Vec::new();
        let here = directories(&dir)?;
        // Directories of other splits stand beside the classes only where there are splits, and then not in `dir`.
        let mut passed_over = here.passed_over;
        for class in here.kept {
            let path = dir.join(&class);
            let label = classes.binary_search(&class).map_err(|_| {
                let classes_dir = classes_dir.display();
                Error::file(&path, format!("there is no such class in {classes_dir}"))
            })?;
            let images = images(&path)?;
            if images.kept.is_empty() {
                let others = match images.passed_over.first() {
                    Some(name) => format!("; {} of other kinds, such as {name}", images.passed_over.len()),
                    None => String::new(),
                };
                return Err(Error::file(path, format!("no .png, .jpg or .jpeg files here{others}")));
            }
            passed_over.extend(images.passed_over.iter().map(|name| format!("{}/{name}", class.to_string_lossy())));
            let ranked = images.kept.into_iter().enumerate();
            files.extend(ranked.map(|(rank, file)| (rank, label as u32, path.join(file))));
        }
        passed_over.sort();
        files.sort_by_key(|&(rank, label, _)| (rank, label));
        let Some((_, _, first)) = files.first() else {
            return Err(Error::file(dir, "no directories here, expected one for each class"));
        };
        Ok(Self {
            size: resize_crop.sizes(dimensions(first)?).map_err(|what| Error::file(first, what))?.cropped,
            classes: classes.iter().map(|class| class.to_string_lossy().into_owned()).collect(),
            labels: files.iter().map(|&(_, label, _)| label).collect(),
            files: files.into_iter().map(|(_, _, file)| file).collect(),
            passed_over,
            resize_crop,
        })
    }

    /// Returns whether another folder has the same files in the same order, by whatever path they were named.
    pub(super) fn has_same_files(&self, other: &Self) -> bool {
        let is_same = |(one, other): (&PathBuf, &PathBuf)| {
            one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
        };
        self.files.len() == other.files.len() && self.files.iter().zip(&other.files).all(is_same)
    }

    /// Returns the file names, in the order of the samples.
    pub(super) fn names(&self) -> impl Iterator<Item = &std::ffi::OsStr> {
        self.files.iter().filter_map(|file| file.file_name())
    }

    pub(super) fn resize_crop(&self) -> ResizeCrop {
        self.resize_crop
    }

    /// Returns the shape of a sample, `[channels, height, width]`.
    pub(super) fn shape(&self) -> [usize; 3] {
        [3, self.size[0], self.size[1]]
    }

    /// Returns an image in the size of its file. `index` must be in range.
    pub(super) fn full_size(&self, index: usize) -> Result<PlanarImage> {
        let path = &self.files[index];
        check_palette(path)?;
        let image = caught_in(path, || reader(path)?.decode().map_err(|e| decode_error(path, e)))?.into_rgb8();
        let [height, width] = not_empty(path, image.dimensions())?;
        Ok(PlanarImage::from_interleaved([3, height, width], image.as_raw()))
    }

    /// Returns an image in the size of all samples. `index` must be in range.
    pub(super) fn sample(&self, index: usize) -> Result<PlanarImage> {
        let path = &self.files[index];
        let image = self.full_size(index)?;
        let [_, height, width] = image.shape;
        let sizes = self.resize_crop.sizes([height, width]).map_err(|what| Error::file(path, what))?;
        if sizes.cropped != self.size {
            let (found, expected) = (format_size(sizes.cropped), format_size(self.size));
            let first = self.files[0].display();
            return Err(Error::file(
                path,
                format!("{found} pixels, expected {expected} as in {first}; resize and crop them"),
            ));
        }
        Ok(self.resize_crop.apply(image, &sizes))
    }
}

/// Returns the directory whose subdirectories name the classes, and the one that holds the images of the split.
///
/// Both splits have the classes of `train`: a class without test images must not shift the labels of the others.
fn split_dirs(dir: &Path, split: Split) -> Result<(PathBuf, PathBuf)> {
    let exists = |name: &&str| dir.join(name).is_dir();
    let train = Some("train").filter(exists).map(|name| dir.join(name));
    let test = TEST_NAMES.into_iter().find(exists).map(|name| dir.join(name));
    let missing = |what: &str| Error::file(dir, format!("no directory {what} here"));
    match (split, train, test) {
        (_, None, None) => Ok((dir.to_owned(), dir.to_owned())),
        (Split::Train, Some(train), _) => Ok((train.clone(), train)),
        (Split::Train, None, Some(_)) => Err(missing("train")),
        (Split::Test | Split::Valid, train, Some(test)) => Ok((train.unwrap_or_else(|| test.clone()), test)),
        (Split::Test | Split::Valid, Some(_), None) => Err(missing("test, val or valid")),
    }
}

/// The entries of a directory, sorted.
struct Listing {
    /// The names of those that are looked for.
    kept: Vec<OsString>,
    /// The names of all others, and of hidden ones.
    passed_over: Vec<String>,
}

/// Lists the entries of `dir`. Those are kept that are not hidden, and for which `keep` returns true.
fn listing(dir: &Path, keep: impl Fn(&Path) -> bool) -> Result<Listing> {
    let (mut kept, mut passed_over) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
        let entry = entry.map_err(Error::io(dir))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && keep(&entry.path()) {
            kept.push(name);
        } else {
            passed_over.push(name.to_string_lossy().into_owned());
        }
    }
    kept.sort();
    passed_over.sort();
    Ok(Listing { kept, passed_over })
}

fn directories(dir: &Path) -> Result<Listing> {
    listing(dir, Path::is_dir)
}

fn images(dir: &Path) -> Result<Listing> {
    let is_image =
        |extension: &std::ffi::OsStr| ["png", "jpg", "jpeg"].iter().any(|e| extension.eq_ignore_ascii_case(e));
    listing(dir, |path| path.extension().is_some_and(is_image) && path.is_file())
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>> {
    let mut reader = ImageReader::open(path).map_err(Error::io(path))?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(file_memory()? / IMAGE_SHARE);
    reader.limits(limits);
    // The content decides: images from the web often have the wrong extension.
    reader.with_guessed_format().map_err(Error::io(path))
}

/// Returns the height and width of an image, from its header.
fn dimensions(path: &Path) -> Result<[usize; 2]> {
    let size = caught_in(path, || reader(path)?.into_dimensions().map_err(|e| decode_error(path, e)))?;
    not_empty(path, size)
}

/// Returns the height and width of an image; an error if it has no pixels.
fn not_empty(path: &Path, (width, height): (u32, u32)) -> Result<[usize; 2]> {
    match width.min(height) {
        0 => Err(Error::file(path, "an image without pixels")),
        _ => Ok([height as usize, width as usize]),
    }
}

/// Checks that the palette of a PNG file has three bytes a color, which the decoder takes for granted.
fn check_palette(path: &Path) -> Result<()> {
    let mut file = std::io::BufReader::new(std::fs::File::open(path).map_err(Error::io(path))?);
    let mut signature = [0; 8];
    if file.read_exact(&mut signature).is_err() || signature != *b"\x89PNG\r\n\x1a\n" {
        return Ok(());
    }
    let mut chunk = [0; 8];
    while file.read_exact(&mut chunk).is_ok() {
        let [a, b, c, d, kind @ ..] = chunk;
        let length = u32::from_be_bytes([a, b, c, d]);
        match &kind {
            b"PLTE" if length == 0 || !length.is_multiple_of(3) => {
                let what = format!("cannot be decoded as PNG: a palette of {length} bytes, expected three a color");
                return Err(Error::file(path, what));
            }
            b"PLTE" | b"IDAT" => return Ok(()),
            // The content and its checksum.
            _ => file.seek_relative(i64::from(length) + 4).map_err(Error::io(path))?,
        }
    }
    Ok(())
}

fn decode_error(path: &Path, error: ImageError) -> Error {
    let mut reason = error.to_string().replace('\n', " ");
    if let ImageError::Limits(_) = error {
        reason = format!("{reason}; {}", advice());
    }
    Error::file(path, format!("cannot be decoded as PNG or JPEG: {reason}"))
}

#[cfg(test)]
mod tests;
