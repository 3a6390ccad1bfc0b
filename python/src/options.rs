//! What a caller says of a file that the file does not say.

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use unrolled::checkpoint_folder::CheckpointFolder;
use unrolled::nn::AnswerOptions;
use unrolled::open::{self, AnyNetwork, OpenOptions, is_graph_path};
use unrolled::{Error, Result};

/// The keywords of `unrolled.open`, which are the options of the command line.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct OpenKeywords {
    arch: Option<String>,
    mean: Option<Vec<f32>>,
    std: Option<Vec<f32>>,
    labels: Option<Labels>,
    key: Option<String>,
    partial: bool,
    output: Option<String>,
    answer: Option<String>,
    positions: Option<String>,
    mask: Option<String>,
    cut: Option<Cut>,
    device: String,
}

/// Names of classes.
#[derive(FromPyObject)]
enum Labels {
    File(PathBuf),
    Names(Vec<String>),
}

/// The blocks of every stage of a graph.
#[derive(FromPyObject)]
enum Cut {
    File(PathBuf),
    Blocks(Vec<Vec<[String; 2]>>),
}

impl OpenKeywords {
    /// Opens a network.
    pub(crate) fn open(self, path: &Path) -> Result<AnyNetwork> {
        if let Some(why) = CheckpointFolder::why_not_computed(path) {
            return Err(Error::unsupported(path.display(), why));
        }
        self.check_graph_options(path)?;
        let (arch, key, partial) = (self.arch.is_some(), self.key.is_some(), self.partial);
        let opened = self.options()?.open(path)?;
        let unused = [("arch", arch), ("key", key), ("partial", partial)].into_iter().find(|(_, is_given)| *is_given);
        match unused {
            Some((name, _)) if !opened.is_foreign() => {
                let why = format!("for PyTorch and safetensors files that others wrote, not {}", path.display());
                Err(Error::argument(name, why))
            }
            _ => Ok(opened),
        }
    }

    fn check_graph_options(&self, path: &Path) -> Result<()> {
        let given = [
            ("output", self.output.is_some()),
            ("answer", self.answer.is_some()),
            ("positions", self.positions.is_some()),
            ("mask", self.mask.is_some()),
            ("cut", self.cut.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((name, _)) if !is_graph_path(path) => {
                Err(Error::argument(name, format!("for ONNX files alone, not {}", path.display())))
            }
            _ => Ok(()),
        }
    }

    fn options(self) -> Result<OpenOptions> {
        let kind = self.answer.map(|kind| kind.parse()).transpose()?;
        let positions = self.positions.map(|positions| positions.parse()).transpose()?;
        let answers = AnswerOptions { output: self.output, mask: self.mask, kind, positions };
        let device = unrolled::device::open(&self.device)?;
        let mut options = OpenOptions::new().partial(self.partial).answers(answers).backend(&device);
        if let Some(arch) = &self.arch {
            options = options.arch(open::read_arch(arch)?);
        }
        if let Some(key) = self.key {
            options = options.key(key);
        }
        if let Some(mean) = self.mean {
            options = options.mean(mean);
        }
        if let Some(std) = self.std {
            options = options.std(std);
        }
        options = match self.labels {
            Some(Labels::File(path)) => options.labels(open::read_labels(&path)?),
            Some(Labels::Names(names)) => options.labels(names),
            None => options,
        };
        Ok(match self.cut {
            Some(Cut::File(path)) => options.boundaries(open::read_boundaries(&path)?),
            Some(Cut::Blocks(blocks)) => options.boundaries(blocks),
            None => options,
        })
    }
}
