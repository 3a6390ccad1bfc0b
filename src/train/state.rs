//! Everything that a training changes: what a checkpoint holds, so that resuming continues bit for bit.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Optimizer, Schedule, TrainConfig};
use crate::kernel::Backend;
use crate::model::{Metadata, Model, ModelConfig, from_bytes, to_bytes};
use crate::nn::{RecurrentState, parameters_host};
use crate::report::Epoch;
use crate::{Error, Result};

/// Where a training stands. All its random numbers follow from this and the seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Epochs that are finished.
    pub epoch: u64,
    /// Batches that are finished in the epoch under way.
    pub batch: u64,
    /// Steps since the beginning.
    pub step: u64,
    /// Sums over the epoch under way: loss over samples, correct answers, samples, seconds.
    pub loss_sum: f64,
    /// See `loss_sum`.
    pub correct: u64,
    /// See `loss_sum`.
    pub seen: u64,
    /// See `loss_sum`.
    pub seconds: f64,
}

/// Everything that a training changes.
#[derive(Clone, Debug)]
pub struct State {
    /// The network as the last step left it.
    pub model: Model,
    /// What the optimizer remembers.
    pub optimizer: Optimizer,
    /// The moving average of all trained values, where one is kept.
    pub average: Option<Tensor<1>>,
    /// What the schedule remembers.
    pub schedule: Schedule,
    /// Where the training stands.
    pub position: Position,
    /// Finished epochs.
    pub history: Vec<Epoch>,
    /// What recurrent layers remember of the batch before.
    pub memory: RecurrentState,
}

/// What a training is of: a checkpoint of another network, optimizer or data set is not continued.
#[derive(Clone, Debug)]
pub struct Origin {
    /// How parameters are found.
    pub train: TrainConfig,
    /// The network, with nothing left open.
    pub model: ModelConfig,
    /// [`Dataset::fingerprint`](crate::data::Dataset::fingerprint) of the training samples.
    pub data: u32,
}

/// The part of a checkpoint that is no array.
#[derive(Serialize, Deserialize)]
struct Progress {
    data: u32,
    position: Position,
    schedule: Schedule,
    history: Vec<Epoch>,
    optimizer_steps: u64,
}

/// The metadata entry that holds the memory as JSON.
const MEMORY: &str = "unrolled.training";
/// Names of the arrays that are no parameters.
const AVERAGE: &str = "training.average";
const MOMENT: &str = "training.moment";
/// What a recurrent layer remembers.
const REMEMBERED: [&str; 2] = ["h", "c"];

fn remembered(layer: usize, name: &str) -> String {
    format!("training.lstm{}.{name}", layer + 1)
}

impl State {
    /// Before the first step.
    pub fn new(model: Model, config: &TrainConfig) -> Self {
        let optimizer = Optimizer::new(config, &model.parameters);
        let average = (config.ema > 0.0).then(|| model.parameters.flatten());
        Self {
            model,
            optimizer,
            average,
            schedule: Schedule::default(),
            position: Position::default(),
            history: Vec::new(),
            memory: RecurrentState::new(config.batch),
        }
    }

    /// The network to evaluate and to keep: with the averaged values where an average is kept.
    pub fn averaged(&self) -> Model {
        let mut model = self.model.clone();
        if let Some(average) = &self.average {
            model.parameters.unflatten(average);
        }
        model
    }

    /// A checkpoint's bytes; `data` is the fingerprint of the training samples.
    ///
    /// # Errors
    /// [`Error::Usage`] if it cannot be put into bytes.
    pub fn to_bytes(&self, card: &Metadata, data: u32) -> Result<Vec<u8>> {
        let (moments, optimizer_steps) = self.optimizer.state();
        let mut extra: Vec<_> = moments
            .into_iter()
            .enumerate()
            .map(|(i, values)| (format!("{MOMENT}{}", i + 1), vec![values.len()], values))
            .collect();
        if let Some(average) = &self.average {
            let values = parameters_host(average.clone());
            extra.push((AVERAGE.to_owned(), vec![values.len()], values));
        }
        for (layer, state) in self.memory.state.iter().enumerate() {
            for (name, values) in REMEMBERED.into_iter().zip(state) {
                extra.push((remembered(layer, name), values.dims().to_vec(), parameters_host(values.clone())));
            }
        }
        let memory = Progress {
            data,
            position: self.position.clone(),
            schedule: self.schedule.clone(),
            history: self.history.clone(),
            optimizer_steps,
        };
        let json = serde_json::to_string(&memory).map_err(|e| Error::Usage(format!("the checkpoint: {e}")))?;
        to_bytes(&self.model, card, &extra, HashMap::from([(MEMORY.to_owned(), json)]))
    }

    /// Continues from a checkpoint's bytes; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::File`] for bytes that are no checkpoint of a training with this configuration.
    pub fn from_bytes(path: &Path, bytes: &[u8], origin: &Origin, backend: &Backend) -> Result<Self> {
        let opened = from_bytes(path, bytes, backend)?;
        let device = &backend.device;
        let memory = opened
            .metadata
            .get(MEMORY)
            .ok_or_else(|| Error::file(path, "a model without a training's state; resuming needs a checkpoint"))?;
        let memory: Progress = serde_json::from_str(memory)
            .map_err(|e| Error::file(path, format!("metadata entry '{MEMORY}' cannot be read: {e}")))?;
        if opened.card.model != origin.model {
            return Err(Error::file(path, "a checkpoint of another network than config.toml has"));
        }
        if memory.data != origin.data {
            return Err(Error::file(path, "the training samples are not those that the run began with"));
        }
        let mut state = Self::new(opened.model, &origin.train);
        let trained = state.model.parameters.trained() as usize;
        let mut arrays: HashMap<String, (Vec<usize>, Vec<f32>)> =
            opened.extra.into_iter().map(|(name, shape, values)| (name, (shape, values))).collect();
        state.memory = Self::recall(path, &mut arrays, origin.train.batch, device)?;
        let mut extra: HashMap<String, Vec<f32>> =
            arrays.into_iter().map(|(name, (_, values))| (name, values)).collect();
        if let Some((name, values)) = extra.iter().find(|(_, values)| values.len() != trained) {
            return Err(Error::file(path, format!("{name}: {} values, expected {trained}", values.len())));
        }
        let moments: Vec<Vec<f32>> = (1..).map_while(|i| extra.remove(&format!("{MOMENT}{i}"))).collect();
        let expected = if memory.optimizer_steps > 0 { origin.train.moments() } else { 0 };
        if moments.len() != expected {
            let what = format!("{} arrays of the optimizer, expected {expected}", moments.len());
            return Err(Error::file(path, what));
        }
        state.optimizer.restore(&moments, memory.optimizer_steps, &state.model.parameters);
        if state.average.is_some() {
            let values = extra
                .remove(AVERAGE)
                .ok_or_else(|| Error::file(path, format!("{AVERAGE} is missing, but train.ema asks for it")))?;
            state.average = Some(Tensor::from_floats(values.as_slice(), device));
        }
        state.position = memory.position;
        state.schedule = memory.schedule;
        state.history = memory.history;
        Ok(state)
    }

    /// What recurrent layers remembered.
    fn recall(
        path: &Path,
        arrays: &mut HashMap<String, (Vec<usize>, Vec<f32>)>,
        streams: usize,
        device: &Device,
    ) -> Result<RecurrentState> {
        let mut memory = RecurrentState::new(streams);
        for layer in 0.. {
            let mut both = Vec::new();
            for name in REMEMBERED.map(|name| remembered(layer, name)) {
                match arrays.remove(&name) {
                    Some((shape, values)) if shape.len() == 2 && shape[0] == streams => {
                        both.push(Tensor::<2>::from_data(TensorData::new(values, [shape[0], shape[1]]), device));
                    }
                    Some((shape, _)) => {
                        return Err(Error::file(path, format!("{name}: {shape:?}, expected {streams} streams")));
                    }
                    None => {}
                }
            }
            match <[Tensor<2>; 2]>::try_from(both) {
                Ok(state) => memory.state.push(state),
                Err(none) if none.is_empty() => break,
                Err(_) => return Err(Error::file(path, format!("{} has no partner", remembered(layer, "h or c")))),
            }
        }
        Ok(memory)
    }
}
