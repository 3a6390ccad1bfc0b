//! What the answers of a graph are: which output holds them, what their values are, and which positions count.

use super::ParseResult;
use super::linked_graph::Graph;
use super::mask_input::MaskInput;
use super::network::GraphNetwork;
use super::raw_graph::FLOAT32;
use super::views;
use crate::nn::{Answer, AnswerKind, AnswerOptions, Logits, Positions};
use crate::text::excerpt;
use crate::{Error, Result};

/// How the answers are read from the output.
#[derive(Clone, Debug)]
pub(super) struct AnswerReader {
    /// The output that holds the answers.
    output: usize,
    /// The number of classes, or of the values of an answer.
    classes: usize,
    /// The number of positions of the output.
    pub(super) positions: usize,
    /// Whether the output is `[batch, classes, positions…]`, as of images of classes, and not `[batch, positions, classes]`.
    is_classes_first: bool,
    kind: AnswerKind,
    /// How the kind is known; `None` where it is assumed.
    reason: Option<String>,
    selected: Positions,
    /// The input that says which positions count; `None` where all count.
    pub(super) mask: Option<MaskInput>,
    /// Why an input that could be the mask is none; `None` where there is no such input.
    pub(super) unfit_mask: Option<String>,
    /// Whether the outputs are probabilities.
    is_softmax: bool,
}

/// Returns the value that holds the answers: the output of this name, or the first one that is computed from an input.
pub(super) fn answer_value(graph: &Graph, name: Option<&str>) -> ParseResult<usize> {
    let mut outputs = computed_outputs(graph);
    let Some(name) = name else {
        return outputs.next().map(|(_, value)| value).ok_or_else(|| "none of its outputs is computed".into());
    };
    let found = outputs.find(|(output, _)| *output == name).map(|(_, value)| value);
    found.ok_or_else(|| format!("no output '{}', it has {}", excerpt(name), names(graph)))
}

/// Returns the outputs that are computed from an input, each with its name in the file.
fn computed_outputs(graph: &Graph) -> impl Iterator<Item = (&str, usize)> {
    let is_computed = |value: usize| graph.values[value].producer.is_some() && !graph.values[value].is_constant;
    let outputs = graph.raw.outputs.iter().map(String::as_str).zip(graph.outputs.iter().copied());
    outputs.filter(move |(_, value)| is_computed(*value))
}

/// Returns the names of the outputs that are computed.
fn names(graph: &Graph) -> String {
    computed_outputs(graph).map(|(name, _)| format!("'{}'", excerpt(name))).collect::<Vec<_>>().join(", ")
}

/// Returns the name of an output in the file.
fn name_of(graph: &Graph, output: usize) -> &str {
    let named = computed_outputs(graph).find(|(_, value)| *value == output);
    named.map_or(graph.values[output].name.as_str(), |(name, _)| name)
}

impl AnswerReader {
    /// Returns how the output of this shape is read, in a run of `batch` samples.
    pub(super) fn new(
        graph: &Graph,
        (output, shape): (usize, &[usize]),
        batch: usize,
        options: &AnswerOptions,
    ) -> ParseResult<Self> {
        let name = excerpt(name_of(graph, output));
        let guess = guess_kind(graph, output, shape);
        let kind = options.kind.unwrap_or_else(|| guess.as_ref().map_or(AnswerKind::Classes, |(kind, _)| *kind));
        let reason = match options.kind {
            Some(_) => Some("given".to_owned()),
            None => guess.map(|(_, reason)| reason),
        };
        let (classes, positions, is_classes_first) = match (shape, kind) {
            ([first, ..], _) if *first != batch => (0, 0, false),
            ([_], AnswerKind::Cosine | AnswerKind::Mse) => (1, 1, false),
            ([_, classes] | [_, classes, 1, 1], _) => (*classes, 1, false),
            ([_, positions, classes], _) => (*classes, *positions, false),
            ([_, classes, positions @ ..], AnswerKind::Classes) if positions.len() == 2 => {
                (*classes, positions.iter().product(), true)
            }
            ([_, values @ ..], AnswerKind::Cosine | AnswerKind::Mse) => (values.iter().product(), 1, false),
            _ => (0, 0, false),
        };
        if classes == 0 || positions == 0 {
            return Err(format!(
                "output '{name}' has shape {shape:?}, expected [batch, classes], [batch, positions, classes] or [batch, \
                 classes, height, width]; name another output, or say that its values are compared by cosine or mse"
            ));
        }
        if classes == 1 && kind == AnswerKind::Classes {
            return Err(format!(
                "output '{name}' has shape {shape:?}: a single value is no class, compare it by mse or cosine"
            ));
        }
        let mut reader = Self {
            output,
            classes,
            positions,
            is_classes_first,
            kind,
            reason,
            selected: Positions::All,
            mask: None,
            unfit_mask: None,
            is_softmax: graph.produced_by(output, &["Softmax"]).is_some(),
        };
        reader.select(options.positions.unwrap_or(Positions::All))?;
        Ok(reader)
    }

    /// Counts these positions only.
    pub(super) fn select(&mut self, selected: Positions) -> ParseResult<()> {
        if let Positions::At(position) = selected
            && position >= self.positions
        {
            return Err(format!("no position {position}, it answers at {} positions, counted from 0", self.positions));
        }
        self.selected = selected;
        Ok(())
    }

    /// Counts the positions that count in another network.
    pub(super) fn select_like(&mut self, other: &Self) {
        self.selected = other.selected;
    }

    /// Returns the number of classes, or of the values of an answer.
    pub(super) fn classes(&self) -> usize {
        self.classes
    }

    /// Returns what the network answers with.
    pub(super) fn answer(&self) -> Answer {
        Answer { kind: self.kind, positions: self.positions, selected: self.selected }
    }

    /// Returns the index among the inputs of the one that says which positions count.
    pub(super) fn mask_input_index(&self) -> Option<usize> {
        self.mask.as_ref().map(|mask| mask.index)
    }

    /// Returns a line that says what the answers are.
    pub(super) fn describe(&self, graph: &Graph) -> String {
        let mask = match (&self.mask, &self.unfit_mask) {
            (Some(MaskInput { name, has_answer_positions, .. }), _) => {
                let of = if *has_answer_positions { "" } else { " of estimates" };
                format!("; positions{of} count where '{name}' is not 0")
            }
            (None, Some(why)) => format!("; all positions count: {why}"),
            (None, None) => String::new(),
        };
        let others = match computed_outputs(graph).count() {
            0 | 1 => String::new(),
            count => format!(", one of {count} outputs: {}", names(graph)),
        };
        let assumed = "assumed; if these are no classes, have them compared by cosine or mse";
        let reason = self.reason.as_deref().unwrap_or(assumed);
        let what = self.answer().describe(self.classes);
        format!("answers: {what} ({reason}); output '{}'{others}{mask}", excerpt(name_of(graph, self.output)))
    }
}

/// Returns what the values of an output are and how that is known; `None` where the graph does not say.
fn guess_kind(graph: &Graph, output: usize, shape: &[usize]) -> Option<(AnswerKind, String)> {
    let name = name_of(graph, output).to_lowercase();
    let is_named = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let ends_in = |ops: &[&str]| graph.produced_by(output, ops).map(|node| node.op.clone());
    // One value is no class, whatever it is called: a reranker or a reward model calls it `logits`.
    if matches!(shape, [_] | [_, 1] | [_, _, 1] | [_, 1, _, _]) {
        return Some((AnswerKind::Mse, "a single value is no class".into()));
    }
    if let Some(op) = ends_in(&["Softmax", "LogSoftmax"]) {
        return Some((AnswerKind::Classes, format!("it ends in {op}")));
    }
    if is_named(&["logit", "prob", "class"]) {
        return Some((AnswerKind::Classes, "by its name".into()));
    }
    if is_named(&["embed", "hidden_state", "pooler_output", "pooled_output"]) {
        return Some((AnswerKind::Cosine, "by its name".into()));
    }
    if is_named(&["box"]) && shape.last() == Some(&4) {
        return Some((AnswerKind::Mse, "by its name".into()));
    }
    if let Some(op) =
        ends_in(&["LpNormalization", "LayerNormalization", "SimplifiedLayerNormalization", "RMSNormalization"])
    {
        return Some((AnswerKind::Cosine, format!("it ends in {op}")));
    }
    is_divided_by_norm(graph, output).then(|| (AnswerKind::Cosine, "its vectors have the length 1".into()))
}

/// Returns whether the classes of an output are the words that the graph reads: an input of integers selects the rows of an
/// array, which are as many as the classes.
pub(super) fn are_words(graph: &Graph, classes: usize) -> bool {
    let is_vocabulary = |mut table: usize| {
        // Weights of another type are cast, and quantized ones made floats.
        while let Some(node) = graph.values[table].producer.filter(|_| graph.values[table].is_constant) {
            let Some(before) = graph.nodes[node].present_inputs().next() else { break };
            table = before;
        }
        let array = graph.values[table].array.as_ref();
        array.is_some_and(|array| matches!(array.shape[..], [words, _] if words == classes))
    };
    let is_input = |value: Option<usize>| {
        let value = value.map(|value| views::source(graph, value));
        value.is_some_and(|value| graph.inputs.contains(&value) && graph.values[value].element_type != FLOAT32)
    };
    graph.nodes.iter().any(|node| match &node.inputs[..] {
        [Some(table), ids, ..] if node.op == "Gather" => is_vocabulary(*table) && is_input(*ids),
        _ => false,
    })
}

/// Returns whether a value is divided by its own Euclidean norm.
fn is_divided_by_norm(graph: &Graph, value: usize) -> bool {
    let divisor = graph.produced_by(value, &["Div"]).and_then(|node| node.inputs.get(1).copied().flatten());
    // The norm may be bounded from below and expanded to the shape of the vectors.
    let mut before = divisor;
    for _ in 0..4 {
        let Some(value) = before else { return false };
        if graph.produced_by(value, &["ReduceL2"]).is_some() {
            return true;
        }
        before = graph.produced_by(value, &["Clip", "Expand", "Max", "Add"]).and_then(|node| node.inputs[0]);
    }
    false
}

impl GraphNetwork {
    /// Counts these positions of a sample only.
    ///
    /// # Errors
    /// [`Error::Argument`] for a position that a sample does not have.
    pub fn select_positions(&mut self, positions: Positions) -> Result<()> {
        self.answers.select(positions).map_err(|why| Error::argument("positions", why))?;
        self.outline.answer = self.answers.answer();
        Ok(())
    }

    /// Returns why an input that is called a mask does not say which positions count: it has others. `None` where there is no
    /// such input. The lengths are those of the samples that the network was fitted to.
    pub fn why_no_mask(&self) -> Option<&str> {
        self.answers.unfit_mask.as_deref()
    }

    /// Returns the answers for some samples, of the outputs for each chunk and of which positions of the inputs count.
    ///
    /// Where the graph ends in a softmax they are the logarithms of its outputs, of which a softmax gives the same
    /// probabilities.
    pub(super) fn logits(&self, outputs: &[rten::Value], samples: usize, mask: Option<&[bool]>) -> Result<Logits> {
        let reader = &self.answers;
        let size = reader.positions * reader.classes;
        let mut values: Vec<f32> = Vec::with_capacity(samples * size);
        for output in outputs {
            let all = super::engine::to_floats(output).ok_or_else(|| self.error("its output holds no floats"))?;
            let shape = super::engine::shape_of(output);
            if all.len() != shape.first().copied().unwrap_or(1) * size {
                return Err(self.error(format!("output of shape {shape:?} in place of {size} values a sample")));
            }
            values.extend(all);
        }
        values.truncate(samples * size);
        if reader.is_classes_first {
            values = values.chunks_exact(size).flat_map(|row| reader.positions_first(row)).collect();
        }
        if reader.is_softmax && reader.kind == AnswerKind::Classes {
            // The logarithm of 0 is not finite. A NaN is kept.
            let least = f32::MIN_POSITIVE;
            values.iter_mut().for_each(|p| *p = if *p < least { least } else { *p }.ln());
        }
        let mask = mask.filter(|mask| mask.len() == samples * reader.positions).map(<[bool]>::to_vec);
        let logits = Logits { values, classes: reader.classes, positions: reader.positions, mask, places: None };
        Ok(reader.selected_of(logits, samples))
    }
}

impl AnswerReader {
    /// Transposes `[classes, positions]` to `[positions, classes]`.
    fn positions_first<'a>(&'a self, row: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
        (0..self.positions).flat_map(move |position| row.iter().skip(position).step_by(self.positions).copied())
    }

    /// Returns the answers at the positions that were selected.
    fn selected_of(&self, logits: Logits, samples: usize) -> Logits {
        if self.positions == 1 {
            return logits;
        }
        let last = |sample: usize| (0..self.positions).rev().find(|&at| logits.counts(sample, at));
        let places: Vec<(usize, usize)> = match self.selected {
            Positions::All => return logits,
            Positions::At(position) => (0..samples).map(|n| (n, position)).collect(),
            Positions::Last => (0..samples).map(|n| (n, last(n).unwrap_or(self.positions - 1))).collect(),
        };
        let row = |&(n, at): &(usize, usize)| &logits.sample(n)[at * self.classes..(at + 1) * self.classes];
        let mask = logits.mask.as_ref().map(|_| places.iter().map(|&(n, at)| logits.counts(n, at)).collect());
        let values = places.iter().flat_map(row).copied().collect();
        let places = Some(places.iter().map(|&(_, at)| at).collect());
        Logits { values, classes: self.classes, positions: 1, mask, places }
    }
}
