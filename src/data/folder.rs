//! Images in directories: `DIR/{train,test}/CLASS/*.{png,jpg,jpeg}`.
//!
//! `val` or `valid` may stand for `test`. Without any of these directories, `DIR` holds the classes itself, and both splits
//! have the same images. An image is decoded when it is asked for. Gray images become RGB; transparency and the EXIF
//! orientation are ignored.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use image::{ImageError, ImageReader};

use super::dataset::ResizeCrop;
use super::planar_image::{MAX_SIDE, PlanarImage, Window};
use super::spec::Split;
use crate::{Error, Result};

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
    resize_crop: ResizeCrop,
    /// The height and width of a sample.
    size: [usize; 2],
}

impl Folder {
    /// Lists the files of one split and reads the size of the first image.
    pub(super) fn open(dir: &Path, split: Split, resize_crop: ResizeCrop) -> Result<Self> {
        let (classes_dir, dir) = split_dirs(dir, split)?;
        let classes = directories(&classes_dir)?;
        if classes.is_empty() {
            return Err(Error::file(classes_dir, "no directories here, expected one for each class"));
        }
        let mut files = Vec::new();
        for class in directories(&dir)? {
            let path = dir.join(&class);
            let label = classes.binary_search(&class).map_err(|_| {
                let classes_dir = classes_dir.display();
                Error::file(&path, format!("there is no such class in {classes_dir}"))
            })?;
            let images = images(&path)?;
            if images.is_empty() {
                return Err(Error::file(path, "no .png, .jpg or .jpeg files here"));
            }
            let ranked = images.into_iter().enumerate();
            files.extend(ranked.map(|(rank, file)| (rank, label as u32, file)));
        }
        files.sort_by_key(|&(rank, label, _)| (rank, label));
        let Some((_, _, first)) = files.first() else {
            return Err(Error::file(dir, "no directories here, expected one for each class"));
        };
        Ok(Self {
            size: sizes(resize_crop, first, dimensions(first)?)?.cropped,
            classes: classes.iter().map(|class| class.to_string_lossy().into_owned()).collect(),
            labels: files.iter().map(|&(_, label, _)| label).collect(),
            files: files.into_iter().map(|(_, _, file)| file).collect(),
            resize_crop,
        })
    }

    /// Returns the file names, in the order of the samples.
    pub(super) fn names(&self) -> impl Iterator<Item = &std::ffi::OsStr> {
        self.files.iter().filter_map(|file| file.file_name())
    }

    /// Returns the shape of a sample, `[channels, height, width]`.
    pub(super) fn shape(&self) -> [usize; 3] {
        [3, self.size[0], self.size[1]]
    }

    /// Returns an image in the size of its file. `index` must be in range.
    pub(super) fn full_size(&self, index: usize) -> Result<PlanarImage> {
        let path = &self.files[index];
        let image = reader(path)?.decode().map_err(|e| decode_error(path, e))?.into_rgb8();
        let [height, width] = not_empty(path, image.dimensions())?;
        Ok(PlanarImage::from_interleaved([3, height, width], image.as_raw()))
    }

    /// Returns an image in the size of all samples. `index` must be in range.
    pub(super) fn sample(&self, index: usize) -> Result<PlanarImage> {
        let path = &self.files[index];
        let image = self.full_size(index)?;
        let [_, height, width] = image.shape;
        let sizes = sizes(self.resize_crop, path, [height, width])?;
        if sizes.cropped != self.size {
            let (found, expected) = (format_size(sizes.cropped), format_size(self.size));
            let first = self.files[0].display();
            return Err(Error::file(
                path,
                format!("{found} pixels, expected {expected} as in {first}; set data.resize and data.crop"),
            ));
        }
        let image = match sizes.resized {
            resized if resized == [height, width] => image,
            [height, width] => image.resize(height, width),
        };
        let [height, width] = sizes.cropped;
        let window = image.center_window(height, width);
        Ok(match window {
            Window { top: 0, left: 0, .. } if image.shape == self.shape() => image,
            window => image.crop(window),
        })
    }
}

/// Heights and widths of an image.
struct Sizes {
    /// After the resize.
    resized: [usize; 2],
    /// After resize and crop.
    cropped: [usize; 2],
}

/// Returns the sizes that an image of height and width `size` gets.
fn sizes(resize_crop: ResizeCrop, path: &Path, size: [usize; 2]) -> Result<Sizes> {
    let shorter = size[0].min(size[1]);
    let resized = match resize_crop.resize {
        // The shorter side is exact. The longer one is rounded down, as in torchvision.
        Some(resize) => size.map(|side| side.saturating_mul(resize) / shorter),
        None => size,
    };
    if resize_crop.resize.is_some() && resized.iter().any(|&side| side > MAX_SIDE) {
        let (size, resized) = (format_size(size), format_size(resized));
        let what = format!("{size} pixels would become {resized}, expected at most {MAX_SIDE} on a side");
        return Err(Error::file(path, what));
    }
    match resize_crop.crop {
        Some(crop) if crop > resized[0].min(resized[1]) => {
            let resized = format_size(resized);
            let what = format!("{resized} pixels are too few for a crop of {crop}x{crop}; set data.resize");
            Err(Error::file(path, what))
        }
        Some(crop) => Ok(Sizes { resized, cropped: [crop, crop] }),
        None => Ok(Sizes { resized, cropped: resized }),
    }
}

/// Returns the text of a size, width first.
fn format_size([height, width]: [usize; 2]) -> String {
    format!("{width}x{height}")
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

/// Returns the sorted names of the entries of `dir` for which `keep` returns true, without hidden ones.
fn listing(dir: &Path, keep: impl Fn(&Path) -> bool) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(Error::io(dir))? {
        let entry = entry.map_err(Error::io(dir))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && keep(&entry.path()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn directories(dir: &Path) -> Result<Vec<OsString>> {
    listing(dir, Path::is_dir)
}

fn images(dir: &Path) -> Result<Vec<PathBuf>> {
    let is_image =
        |extension: &std::ffi::OsStr| ["png", "jpg", "jpeg"].iter().any(|e| extension.eq_ignore_ascii_case(e));
    let names = listing(dir, |path| path.extension().is_some_and(is_image) && path.is_file())?;
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>> {
    let reader = ImageReader::open(path).map_err(Error::io(path))?;
    // The content decides: images from the web often have the wrong extension.
    reader.with_guessed_format().map_err(Error::io(path))
}

/// Returns the height and width of an image, from its header.
fn dimensions(path: &Path) -> Result<[usize; 2]> {
    let size = reader(path)?.into_dimensions();
    not_empty(path, size.map_err(|e| decode_error(path, e))?)
}

/// Returns the height and width of an image; an error if it has no pixels.
fn not_empty(path: &Path, (width, height): (u32, u32)) -> Result<[usize; 2]> {
    match width.min(height) {
        0 => Err(Error::file(path, "an image without pixels")),
        _ => Ok([height as usize, width as usize]),
    }
}

fn decode_error(path: &Path, error: ImageError) -> Error {
    let reason = error.to_string().replace('\n', " ");
    Error::file(path, format!("cannot be decoded as PNG or JPEG: {reason}"))
}

#[cfg(test)]
mod tests;
