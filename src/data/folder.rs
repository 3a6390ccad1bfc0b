//! Images in directories: `DIR/{train,test}/CLASS/*.{png,jpg,jpeg}`.
//!
//! `val` or `valid` serve as `test`. A `DIR` without any of these directories holds the classes itself and serves
//! both splits. Images are decoded when asked for; grey ones become RGB, transparency is dropped, and the
//! orientation that a camera noted (EXIF) is ignored.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use image::{ImageError, ImageReader};

use super::dataset::ResizeCrop;
use super::planes::{MAX_SIDE, Planes, Window};
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
    /// One file of each class in turn, the files of a class sorted by name.
    files: Vec<PathBuf>,
    view: ResizeCrop,
    /// Height and width of a sample.
    size: [usize; 2],
}

impl Folder {
    /// Lists the files of one split and reads the size of the first of them.
    pub(super) fn open(dir: &Path, split: Split, view: ResizeCrop) -> Result<Self> {
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
            size: viewed(view, first, dimensions(first)?)?.size,
            classes: classes.iter().map(|class| class.to_string_lossy().into_owned()).collect(),
            labels: files.iter().map(|&(_, label, _)| label).collect(),
            files: files.into_iter().map(|(_, _, file)| file).collect(),
            view,
        })
    }

    /// The file names, in the order of the samples.
    pub(super) fn names(&self) -> impl Iterator<Item = &std::ffi::OsStr> {
        self.files.iter().filter_map(|file| file.file_name())
    }

    /// `[channels, height, width]` of a sample.
    pub(super) fn shape(&self) -> [usize; 3] {
        [3, self.size[0], self.size[1]]
    }

    /// One image in its own size; `index` must be in range.
    pub(super) fn original(&self, index: usize) -> Result<Planes> {
        let path = &self.files[index];
        let image = reader(path)?.decode().map_err(|e| undecodable(path, e))?.into_rgb8();
        let [height, width] = not_empty(path, image.dimensions())?;
        Ok(Planes::from_interleaved([3, height, width], image.as_raw()))
    }

    /// One image in the size of all samples; `index` must be in range.
    pub(super) fn sample(&self, index: usize) -> Result<Planes> {
        let path = &self.files[index];
        let image = self.original(index)?;
        let [_, height, width] = image.shape;
        let viewed = viewed(self.view, path, [height, width])?;
        if viewed.size != self.size {
            let (found, expected) = (shown(viewed.size), shown(self.size));
            let first = self.files[0].display();
            return Err(Error::file(
                path,
                format!("{found} pixels, expected {expected} as in {first}; set data.resize and data.crop"),
            ));
        }
        let image = match viewed.resized {
            resized if resized == [height, width] => image,
            [height, width] => image.resize(height, width),
        };
        let [height, width] = viewed.size;
        let window = image.middle(height, width);
        Ok(match window {
            Window { top: 0, left: 0, .. } if image.shape == self.shape() => image,
            window => image.crop(window),
        })
    }
}

/// What a view makes of an image, as height and width.
struct Viewed {
    resized: [usize; 2],
    size: [usize; 2],
}

fn viewed(view: ResizeCrop, path: &Path, size: [usize; 2]) -> Result<Viewed> {
    let shorter = size[0].min(size[1]);
    let resized = match view.resize {
        // The shorter side comes out exact, the longer one is rounded down as others do it.
        Some(resize) => size.map(|side| side.saturating_mul(resize) / shorter),
        None => size,
    };
    if view.resize.is_some() && resized.iter().any(|&side| side > MAX_SIDE) {
        let (size, resized) = (shown(size), shown(resized));
        let what = format!("{size} pixels would become {resized}, expected at most {MAX_SIDE} on a side");
        return Err(Error::file(path, what));
    }
    match view.crop {
        Some(crop) if crop > resized[0].min(resized[1]) => {
            let resized = shown(resized);
            let what = format!("{resized} pixels are too few for a crop of {crop}x{crop}; set data.resize");
            Err(Error::file(path, what))
        }
        Some(crop) => Ok(Viewed { resized, size: [crop, crop] }),
        None => Ok(Viewed { resized, size: resized }),
    }
}

/// Height and width as people write them, width first.
fn shown([height, width]: [usize; 2]) -> String {
    format!("{width}x{height}")
}

/// The directory whose sub-directories name the classes, and the one that holds the images of the split.
///
/// The classes are those of `train` for both splits: a class that happens to have no test images must not shift
/// the labels of the others.
fn split_dirs(dir: &Path, split: Split) -> Result<(PathBuf, PathBuf)> {
    let there = |name: &&str| dir.join(name).is_dir();
    let train = Some("train").filter(there).map(|name| dir.join(name));
    let test = TEST_NAMES.into_iter().find(there).map(|name| dir.join(name));
    let missing = |what: &str| Error::file(dir, format!("no directory {what} here"));
    match (split, train, test) {
        (_, None, None) => Ok((dir.to_owned(), dir.to_owned())),
        (Split::Train, Some(train), _) => Ok((train.clone(), train)),
        (Split::Train, None, Some(_)) => Err(missing("train")),
        (Split::Test | Split::Valid, train, Some(test)) => Ok((train.unwrap_or_else(|| test.clone()), test)),
        (Split::Test | Split::Valid, Some(_), None) => Err(missing("test, val or valid")),
    }
}

/// The names in `dir`, sorted, except hidden ones, for which `keep` holds.
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
    let known = |extension: &std::ffi::OsStr| ["png", "jpg", "jpeg"].iter().any(|e| extension.eq_ignore_ascii_case(e));
    let names = listing(dir, |path| path.extension().is_some_and(known) && path.is_file())?;
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>> {
    let reader = ImageReader::open(path).map_err(Error::io(path))?;
    // Told by content: pictures from the web often carry the wrong ending.
    reader.with_guessed_format().map_err(Error::io(path))
}

/// Height and width of an image, from its header.
fn dimensions(path: &Path) -> Result<[usize; 2]> {
    let size = reader(path)?.into_dimensions();
    not_empty(path, size.map_err(|e| undecodable(path, e))?)
}

/// Height and width of an image that has pixels at all.
fn not_empty(path: &Path, (width, height): (u32, u32)) -> Result<[usize; 2]> {
    match width.min(height) {
        0 => Err(Error::file(path, "an image without pixels")),
        _ => Ok([height as usize, width as usize]),
    }
}

fn undecodable(path: &Path, error: ImageError) -> Error {
    let reason = error.to_string().replace('\n', " ");
    Error::file(path, format!("cannot be decoded as PNG or JPEG: {reason}"))
}

#[cfg(test)]
mod tests;
