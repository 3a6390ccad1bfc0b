//! The file of a graph without its removed blocks: what is written, and opened again.

use std::path::Path;
use std::sync::Arc;

use super::build::Computation;
use super::external_data::ExternalData;
use super::network::GraphNetwork;
use super::write;
use crate::nn::Outline;
use crate::text::excerpt;
use crate::{Error, FileContents, Result};

impl GraphNetwork {
    /// Returns the contents of the network's file for a file name. Arrays that the original stores in other files go to one
    /// new file of this name with `.data` appended.
    ///
    /// # Errors
    /// [`Error::Io`] where the original file cannot be read; [`Error::File`] where it changed, or where it holds something
    /// that cannot be written without the removed blocks.
    pub fn draft(&self, name: &str) -> Result<FileContents> {
        let bytes = Arc::new(std::fs::read(&self.path).map_err(Error::io(&self.path))?);
        let data = format!("{name}.data");
        let mut external = ExternalData::new(&self.path, &data);
        let pieces = write::pieces(&bytes, (&self.edit, &self.graph.raw.order), &mut external)
            .map_err(|e| Error::file(&self.path, excerpt(&e)))?;
        let ExternalData { pieces: arrays, .. } = external;
        let beside = (!self.graph.external_files.is_empty()).then(|| (data.clone().into(), arrays));
        Ok(FileContents { chunks: pieces, companion: beside })
    }

    /// Returns the number of nodes of its graph.
    pub fn node_count(&self) -> usize {
        (0..self.graph.nodes.len()).filter(|&node| !self.is_removed(&self.edit, node)).count()
    }

    /// Opens the file that this network was written to, with the blocks of this network.
    ///
    /// # Errors
    /// As [`GraphNetwork::open`]; [`Error::File`] for a graph with other blocks.
    pub fn reopen(&self, path: &Path) -> Result<Self> {
        let graph = Self::read(path)?;
        let places = graph.values_by_name();
        let find = |value: usize| {
            let name = &self.graph.values[value].name;
            let place = places.get(name.as_str()).copied();
            place.ok_or_else(|| Error::file(path, format!("'{}' is not in it", excerpt(name))))
        };
        let blocks = self.blocks.iter().map(|block| block.with_values(&find)).collect::<Result<Vec<_>>>()?;
        drop(places);
        let counts = self.parts.stages.iter().map(|stage| stage.blocks.len()).collect();
        let shapes: Vec<Vec<usize>> = self.inputs.iter().map(|input| input.shape.clone()).collect();
        let computation = Computation { is_fused: self.is_fused, uses_kernels: Some(self.uses_kernels) };
        let mut network =
            Self::from_blocks(path, graph, (blocks, counts), (&shapes, &self.answer_options), computation)?;
        network.answers.select_like(&self.answers);
        network.outline.answer = network.answers.answer();
        network.outline.input.clone_from(&self.outline.input);
        // A block can be named differently where the nodes around it are gone.
        let names = self.outline.blocks().map(|(_, block)| block.source_name.clone());
        let reopened = network.outline.stages.iter_mut().flat_map(|stage| &mut stage.blocks);
        reopened.zip(names).for_each(|(block, name)| block.source_name = name);
        // The name of the network contains that of the file.
        let outline = Outline { name: self.outline.name.clone(), ..network.outline.clone() };
        match outline == self.outline {
            true => Ok(network),
            false => Err(Error::file(path, "opens with other blocks than were written")),
        }
    }
}
