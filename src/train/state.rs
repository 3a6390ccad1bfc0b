//! The state of a training, which a checkpoint holds: a training that is resumed from it ends in the same bits.

use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::{Optimizer, Schedule, TrainConfig};
use crate::kernel::Backend;
use crate::model::{Epoch, Metadata, Model, ModelConfig, from_bytes, to_bytes};
use crate::nn::{RecurrentState, tensor_to_vec};
use crate::{Error, Result};

/// The progress of a training. All random numbers follow from it and the seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingProgress {
    /// The number of finished epochs.
    pub epoch: u64,
    /// The number of finished batches of the current epoch.
    pub batch: u64,
    /// The number of steps since the beginning.
    pub step: u64,
    /// The sum of the losses of the samples of the current epoch, in nats.
    pub loss_sum: f64,
    /// The number of samples of the current epoch that were classified correctly.
    pub correct: u64,
    /// The number of samples of the current epoch so far.
    pub seen: u64,
    /// The duration of the current epoch so far.
    pub seconds: f64,
}

/// The state of a training.
#[derive(Clone, Debug)]
pub struct TrainingState {
    /// The network after the last step.
    pub model: Model,
    /// The optimizer with its moments.
    pub optimizer: Optimizer,
    /// The moving average of all trained values, if `train.ema` asks for one.
    pub average: Option<Tensor<1>>,
    /// The schedule of the learning rate.
    pub schedule: Schedule,
    /// The progress.
    pub progress: TrainingProgress,
    /// The metrics of the finished epochs.
    pub history: Vec<Epoch>,
    /// The state of recurrent layers after the last batch.
    pub recurrent_state: RecurrentState,
}

/// What a training is about. A checkpoint of another network, optimizer or data set cannot be resumed.
#[derive(Clone, Debug)]
pub struct TrainingSetup {
    /// The optimizer and its schedule.
    pub train: TrainConfig,
    /// The network, with all defaults filled in.
    pub model: ModelConfig,
    /// The data.
    pub data: DataFingerprints,
}

/// What tells the data of a training from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFingerprints {
    /// [`Dataset::fingerprint`](crate::data::Dataset::fingerprint) of the training samples.
    #[serde(rename = "data")]
    pub training: u32,
    /// That of the evaluated samples, where they are a split of their own; absent in checkpoints of an early version.
    #[serde(default)]
    pub evaluated: Option<u32>,
}

/// The part of a checkpoint that is not an array.
#[derive(Serialize, Deserialize)]
struct CheckpointHeader {
    #[serde(flatten)]
    data: DataFingerprints,
    #[serde(rename = "position")]
    progress: TrainingProgress,
    schedule: Schedule,
    history: Vec<Epoch>,
    optimizer_steps: u64,
}

/// The metadata entry that holds the header as JSON.
const HEADER: &str = "unrolled.training";
/// The names of arrays that are not parameters.
const AVERAGE: &str = "training.average";
const MOMENT: &str = "training.moment";
/// The state of an LSTM layer: its output and its cell.
const LSTM_STATE: [&str; 2] = ["h", "c"];

fn lstm_array(layer: usize, name: &str) -> String {
    format!("training.lstm{}.{name}", layer + 1)
}

impl TrainingState {
    /// Returns the state before the first step.
    pub fn new(model: Model, config: &TrainConfig) -> Self {
        let optimizer = Optimizer::new(config, &model.parameters);
        let average = (config.ema > 0.0).then(|| model.parameters.flatten());
        Self {
            model,
            optimizer,
            average,
            schedule: Schedule::default(),
            progress: TrainingProgress::default(),
            history: Vec::new(),
            recurrent_state: RecurrentState::new(config.batch),
        }
    }

    /// Returns the network to evaluate and to save. It has the averaged values if there is an average.
    pub fn evaluated_model(&self) -> Model {
        let mut model = self.model.clone();
        if let Some(average) = &self.average {
            model.parameters.unflatten(average);
        }
        model
    }

    /// Returns the bytes of a checkpoint.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the state cannot be serialized.
    pub fn to_bytes(&self, metadata: &Metadata, data: DataFingerprints) -> Result<Vec<u8>> {
        let (moments, optimizer_steps) = self.optimizer.state();
        let mut extra: Vec<_> = moments
            .into_iter()
            .enumerate()
            .map(|(i, values)| (format!("{MOMENT}{}", i + 1), vec![values.len()], values))
            .collect();
        if let Some(average) = &self.average {
            let values = tensor_to_vec(average.clone());
            extra.push((AVERAGE.to_owned(), vec![values.len()], values));
        }
        for (layer, state) in self.recurrent_state.layers.iter().enumerate() {
            for (name, values) in LSTM_STATE.into_iter().zip(state) {
                extra.push((lstm_array(layer, name), values.dims().to_vec(), tensor_to_vec(values.clone())));
            }
        }
        let header = CheckpointHeader {
            data,
            progress: self.progress.clone(),
            schedule: self.schedule.clone(),
            history: self.history.clone(),
            optimizer_steps,
        };
        let json = serde_json::to_string(&header).map_err(|e| Error::unsupported("checkpoint", e.to_string()))?;
        to_bytes(&self.model, metadata, &extra, HashMap::from([(HEADER.to_owned(), json)]))
    }

    /// Returns the state that the bytes of a checkpoint hold. `path` is named in errors.
    ///
    /// # Errors
    /// [`Error::File`] if the bytes are not a checkpoint of a training of this network, [`Error::Mismatch`] if they are one with
    /// other data.
    pub fn from_bytes(path: &Path, bytes: &[u8], setup: &TrainingSetup, backend: &Backend) -> Result<Self> {
        let opened = from_bytes(path, bytes, backend)?;
        let header = opened
            .entries
            .get(HEADER)
            .ok_or_else(|| Error::file(path, "a model without a training's state; resuming needs a checkpoint"))?;
        let header: CheckpointHeader = serde_json::from_str(header)
            .map_err(|e| Error::file(path, format!("metadata entry '{HEADER}' cannot be read: {e}")))?;
        if opened.metadata.model != setup.model {
            return Err(Error::file(path, "a checkpoint of another network than config.toml has"));
        }
        let other_data = |which: &str| {
            let what = format!("the {which} samples are not those that the run began with; is data.source right?");
            Err(Error::mismatch(path.display(), what))
        };
        if header.data.training != setup.data.training {
            return other_data("training");
        }
        if header.data.evaluated.is_some_and(|evaluated| Some(evaluated) != setup.data.evaluated) {
            return other_data("evaluated");
        }
        let mut state = Self::new(opened.model, &setup.train);
        let trained = state.model.parameters.trainable_count() as usize;
        let mut arrays: HashMap<String, (Vec<usize>, Vec<f32>)> =
            opened.extra.into_iter().map(|(name, shape, values)| (name, (shape, values))).collect();
        state.recurrent_state = Self::recurrent_state(path, &mut arrays, setup.train.batch, &backend.device)?;
        let mut extra: HashMap<String, Vec<f32>> =
            arrays.into_iter().map(|(name, (_, values))| (name, values)).collect();
        if let Some((name, values)) = extra.iter().find(|(_, values)| values.len() != trained) {
            return Err(Error::file(path, format!("{name}: {} values, expected {trained}", values.len())));
        }
        let moments: Vec<Vec<f32>> = (1..).map_while(|i| extra.remove(&format!("{MOMENT}{i}"))).collect();
        let expected = if header.optimizer_steps > 0 { setup.train.moments() } else { 0 };
        if moments.len() != expected {
            let what = format!("{} arrays of the optimizer, expected {expected}", moments.len());
            return Err(Error::file(path, what));
        }
        state.optimizer.restore(&moments, header.optimizer_steps, &state.model.parameters);
        if state.average.is_some() {
            let values = extra
                .remove(AVERAGE)
                .ok_or_else(|| Error::file(path, format!("{AVERAGE} is missing, but train.ema asks for it")))?;
            state.average = Some(Tensor::from_floats(values.as_slice(), &backend.device));
        }
        state.progress = header.progress;
        state.schedule = header.schedule;
        state.history = header.history;
        Ok(state)
    }

    /// Removes the states of the recurrent layers from `arrays` and returns them.
    fn recurrent_state(
        path: &Path,
        arrays: &mut HashMap<String, (Vec<usize>, Vec<f32>)>,
        streams: usize,
        device: &Device,
    ) -> Result<RecurrentState> {
        let mut recurrent_state = RecurrentState::new(streams);
        for layer in 0.. {
            let mut both = Vec::new();
            for name in LSTM_STATE.map(|name| lstm_array(layer, name)) {
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
                Ok(state) => recurrent_state.layers.push(state),
                Err(none) if none.is_empty() => break,
                Err(_) => return Err(Error::file(path, format!("{} has no partner", lstm_array(layer, "h or c")))),
            }
        }
        Ok(recurrent_state)
    }
}
