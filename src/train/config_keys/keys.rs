//! The table of keys.

use super::{Key, Kinds, ValueType};
use crate::model::ModelKind;

const TEXT: Kinds = Kinds::Only(&[ModelKind::CharLm]);
const IMAGES: Kinds = Kinds::Except(&[ModelKind::CharLm]);
/// The kinds whose channels double from stage to stage.
const WITH_STAGES: Kinds = Kinds::Except(&[ModelKind::Mlp, ModelKind::HighwayMnist, ModelKind::CharLm]);
/// The kinds whose width matches the parameters of another wiring.
const WITH_MATCHED_WIDTH: Kinds = Kinds::Only(&[ModelKind::Highway50, ModelKind::HighwayFull50]);

/// A key for all networks, with a default.
const fn key(path: &'static str, value: ValueType, about: &'static str) -> Key {
    Key { path, value, kinds: Kinds::All, derived: Kinds::None, example: "", about }
}

impl Key {
    const fn only_for(self, kinds: Kinds) -> Self {
        Self { kinds, ..self }
    }

    /// The default depends on the data set or on other keys.
    const fn derived(self, derived: Kinds) -> Self {
        Self { derived, ..self }
    }

    /// There is no default, at least for some kinds.
    const fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }
}

/// All keys, in the order of the document.
#[rustfmt::skip]
pub(in crate::train) static KEYS: &[Key] = {
    use ValueType::*;
    &[
        key("model.kind", Choice(&["mlp", "resnet", "imagenet", "highway-mnist", "highway-110", "highway-50", "highway-full-50", "char-lm"]),
            "The kind of network, which determines its layout and all defaults."),
        key("model.depth", Integer, "The number of layers, as counted in the literature.").only_for(IMAGES),
        key("model.blocks", Integers, "The number of blocks of each stage, in place of depth.").only_for(Kinds::Except(&[ModelKind::Mlp])).example("[3, 3, 3]"),
        key("model.size", Choice(&["small", "large"]), "The size of the model of Kim et al. 2015, which determines maps and units.").only_for(TEXT).example("\"small\""),
        key("model.maps", Integers, "The number of filters over one character, over two characters, and so on.").only_for(TEXT).derived(TEXT),
        key("model.units", Integer, "The number of units of each LSTM layer.").only_for(TEXT).derived(TEXT),
        key("model.characters", Integer, "The number of different characters; a training takes it from the text.").only_for(TEXT).derived(TEXT),
        key("model.stem", Choice(&["dense", "3x3", "7x7-pool", "deep-pool", "5x5", "characters"]), "The layer before the first stage."),
        key("model.width", IntegerOrString,
            "The units of a dense block or the channels of the stem; match:WIRING takes the width with as many parameters as that wiring has.")
            .only_for(IMAGES).derived(WITH_MATCHED_WIDTH),
        key("model.widen", Integer, "The channels of the first stage divided by those of the stem, the k of Wide ResNets.").only_for(WITH_STAGES),
        key("model.bottleneck_width", Integer, "The channels of the 3x3 convolution of bottlenecks in the first stage; by default a quarter of those of the block.").only_for(WITH_STAGES).example("128"),
        key("model.groups", Integer, "The groups of channels of the 3x3 convolution of bottlenecks, the cardinality of ResNeXts; by default 1.").only_for(WITH_STAGES).example("32"),
        key("model.wiring", Choice(&["plain", "residual", "highway", "full", "t-only", "c-only"]), "How a block combines its new value h and its input x."),
        key("model.body", Choice(&["dense", "conv", "basic", "bottleneck"]), "The layers that compute h."),
        key("model.norm", Boolean, "Whether layers have batch normalization."),
        key("model.order", Choice(&["post", "pre"]), "Whether normalization and ReLU follow a layer (post) or precede it (pre)."),
        key("model.last_relu", Choice(&["sum", "h", "none"]), "Where the last ReLU of a block is: after the sum, on h, or nowhere.").derived(Kinds::All),
        key("model.last_norm", Boolean, "Whether, in pre order, normalization and ReLU precede the classifier.").derived(Kinds::All),
        key("model.shortcut", Choice(&["zero-padding", "projection", "pooled-projection"]), "The skip connection of a block that changes the shape (options A and B of He et al. 2015; ResNet-D of He et al. 2019)."),
        key("model.gate", Choice(&["body", "1x1"]), "The layers of the gates T and C: those of the body, or one 1x1 convolution."),
        key("model.gate_bias", Float, "The initial bias of T; that of a carry gate of its own is the negative."),
        key("model.body_scale", Float, "A factor on the initial weights of the last layer of every body.").derived(Kinds::All),
        key("model.layer_dropout", Float, "The probability that layer dropout drops the last block; it grows linearly from the first block."),
        key("model.survival", Floats, "The probability that layer dropout keeps each block, in place of layer_dropout.").example("[1.0, 0.9, 0.8]"),
        key("model.share_weights", Boolean, "Whether the blocks of a stage share their parameters, but not the statistics of normalizations."),
        key("model.dropout", FloatOrFloats, "The dropout of the input, of the input of each later stage, and of that of the classifier; one number stands for all."),

        key("data.source", String, "The data set: digits, mnist:DIR, fashion-mnist:DIR, cifar10:DIR, cifar100:DIR, folder:DIR, arrays:FILE or text:DIR.").example("\"digits\""),
        key("data.resize", Integer, "The length in pixels that the shorter side of an image is resized to.").only_for(IMAGES).example("256"),
        key("data.crop", Integer, "The side in pixels of the square that is then cut from the center.").only_for(IMAGES).example("224"),
        key("data.augment.pad", Integer, "Augmentation: the black border in pixels; the original size is cut out at a random place.").only_for(IMAGES),
        key("data.augment.flip", Boolean, "Augmentation: whether images are mirrored left to right with probability 1/2.").only_for(IMAGES),
        key("data.augment.random_resized_crop", Integer, "Augmentation: the side in pixels of a random resized crop.").only_for(IMAGES).example("224"),
        key("data.normalization.mean", Floats, "What is subtracted from the samples, one value or one per channel; by default that of the data set.").only_for(IMAGES).example("[0.5]"),
        key("data.normalization.std", Floats, "What the samples are divided by after that; belongs to mean.").only_for(IMAGES).example("[0.25]"),
        key("data.limit", Integer, "The number of training samples to use, the first ones; 0 for all."),
        key("data.validation", Integer, "The number of training samples, the last ones, that are held out and evaluated instead of the test split."),
        key("data.select_on_test", Boolean, "Whether the best epoch is selected on the test split where no training samples are held out. Its figures are then too good on average."),
        key("data.workers", Integer, "The number of threads that prepare batches in advance."),

        key("train.epochs", Integer, "The number of passes over the training samples."),
        key("train.batch", Integer, "The number of samples per step; for texts, the number of streams that are read in parallel."),
        key("train.steps", Integer, "The number of words of each stream in a step (truncated backpropagation through time).").only_for(TEXT).example("35"),
        key("train.seed", Integer, "The seed of initial values, order of the samples, augmentation and dropout."),
        key("train.from", String, "The run or file whose weights the training starts from; without it initial values are drawn.").example("\"resnet56.th\""),
        key("train.optimizer", Choice(&["sgd", "adamw"]), "The optimizer: SGD with momentum, or AdamW."),
        key("train.rate", Float, "The learning rate, which the schedule multiplies by a factor."),
        key("train.momentum", Float, "The momentum of sgd."),
        key("train.nesterov", Boolean, "Whether sgd uses Nesterov momentum."),
        key("train.betas", Floats, "The decay rates of the two moments of adamw."),
        key("train.weight_decay", Float, "The weight decay: added to the gradient by sgd, decoupled in adamw."),
        key("train.decay", Choice(&["weights", "all"]), "What weight decay applies to: the weights of layers, or all parameters."),
        key("train.schedule", Choice(&["constant", "step", "cosine", "plateau"]), "How the learning rate changes."),
        key("train.warmup", Float, "The number of epochs over which the rate grows linearly at the beginning."),
        key("train.milestones", Integers, "The epochs after which the schedule step multiplies the rate by factor."),
        key("train.factor", Float, "The factor of the schedules step and plateau."),
        key("train.threshold", Float, "The least decrease of the loss (or perplexity) in an epoch, without which the schedule plateau multiplies the rate."),
        key("train.clip_norm", Float, "The largest norm of the gradient over all parameters; 0 for no limit."),
        key("train.label_smoothing", Float, "The share of the target distribution that is spread evenly over all classes."),
        key("train.sync_norm", Boolean, "Whether several processes (mpirun) take the statistics of batch normalization over the whole batch; otherwise each over its own samples."),
        key("train.ema", Float, "The decay of a moving average of the parameters, which is evaluated and saved; 0 for none."),
        key("train.checkpoint_steps", Integer, "The number of steps between two checkpoints; 0 for the end of epochs only."),
        key("train.keep", Integer, "The number of checkpoints that are kept, the latest ones."),
    ]
};
