//! The layouts of estimates: where the units of each lie in its value.
//!
//! The estimates of a stage can be views of one another, such as `[batch, height, width, channels]` in one block and
//! `[batch, positions, channels]` in the next. They are compared, and given to other blocks than the next one, in the order
//! of one layout, with the channels first.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::find_blocks::BlockMatch;
use super::layers::{shape_of_value, weight};
use super::linked_graph::Graph;
use super::probe::Shapes;
use super::subgraph::Subgraph;
use super::views::{Order, is_view_of, order_after};

/// The layout of a value.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Values of one group hold the same units.
    pub group: usize,
    /// The shape of a sample.
    pub shape: Vec<usize>,
    pub channels: usize,
    /// For each unit its position where the channels are first; `None` where it lies there.
    pub order: Option<Arc<Vec<u32>>>,
}

impl Layout {
    /// Returns the values of samples in the order where the channels are first.
    pub(super) fn channels_first(&self, values: Vec<f32>) -> Vec<f32> {
        self.permuted(values, |to, from, place, unit| to[place] = from[unit])
    }

    /// Returns the values of samples in the order of this layout, where `values` have the channels first.
    pub(super) fn in_own_order(&self, values: Vec<f32>) -> Vec<f32> {
        self.permuted(values, |to, from, place, unit| to[unit] = from[place])
    }

    fn permuted(&self, values: Vec<f32>, set: impl Fn(&mut [f32], &[f32], usize, usize)) -> Vec<f32> {
        let Some(order) = self.order.as_ref().filter(|order| !order.is_empty()) else { return values };
        let mut permuted = vec![0.0; values.len()];
        for (to, from) in permuted.chunks_exact_mut(order.len()).zip(values.chunks_exact(order.len())) {
            order.iter().enumerate().for_each(|(unit, &place)| set(to, from, place as usize, unit));
        }
        permuted
    }

    /// Whether another layout has the same units in the same shape and order.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.group == other.group && self.shape == other.shape && self.order == other.order
    }
}

/// The layouts of the estimates of a network, and of its groups.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    of_values: HashMap<usize, Layout>,
    /// The shape of a sample of each group, the channels first.
    shapes: Vec<Vec<usize>>,
}

impl Layouts {
    /// Returns the layout of the estimate in the place of a value.
    pub(super) fn get(&self, value: usize) -> Option<&Layout> {
        self.of_values.get(&value)
    }

    /// Gives a value the layout of another value that stands in its place.
    pub(super) fn add_alias(&mut self, value: usize, other: usize) {
        if let Some(layout) = self.of_values.get(&other).cloned() {
            self.of_values.entry(value).or_insert(layout);
        }
    }

    /// Returns the shape of a sample in the place of a value, the channels first.
    pub(super) fn shape_of_group(&self, value: usize) -> Vec<usize> {
        self.get(value).map_or_else(Vec::new, |layout| self.shapes[layout.group].clone())
    }
}

/// A value of a group with the shape of a sample, and the order of its units among those of the group's first value.
type Member = (usize, Vec<usize>, Order);

/// Relates the estimates of successive blocks.
pub(super) struct LayoutBuilder<'a> {
    graph: &'a Graph,
    shapes: &'a Shapes,
    done: Layouts,
    members: Vec<Member>,
    /// The shapes of the weights of the convolutions in the blocks of the group, and how many channels each reads.
    convolutions: BTreeSet<(Vec<usize>, usize)>,
}

impl<'a> LayoutBuilder<'a> {
    pub(super) fn new(graph: &'a Graph, shapes: &'a Shapes) -> Self {
        Self { graph, shapes, done: Layouts::default(), members: Vec::new(), convolutions: BTreeSet::new() }
    }

    /// Adds a block. Returns whether its output holds the same units as the output of the block before; `is_connected` says
    /// whether it takes this output.
    pub(super) fn add(&mut self, block: &BlockMatch, is_connected: bool) -> bool {
        let shape =
            |value: usize| self.shapes.get(&value).and_then(|shape| shape.get(1..)).unwrap_or_default().to_vec();
        let (x, sum, output) = (shape(block.input), shape(block.sum), shape(block.output));
        if !is_connected {
            self.finish_group();
            self.members.push((block.input, x.clone(), None));
        }
        let before = self.members.last().and_then(|(.., order)| order.clone());
        let shortcut = block.skip.as_ref().map(|skip| skip.shortcut);
        let is_identity = shortcut.is_some_and(|shortcut| is_view_of(self.graph, shortcut, block.input));
        let relate = |from: usize, to: usize, order: Order| order_after(self.graph, self.shapes, (from, to), order);
        let of_sum = match shortcut {
            Some(shortcut) if is_identity && units(&x) == units(&sum) => relate(block.input, shortcut, before),
            _ if x == sum => Some(before),
            _ => None,
        };
        let keeps_units = of_sum.is_some();
        if !keeps_units {
            self.finish_group();
        }
        let of_sum = of_sum.unwrap_or_default();
        let of_output = relate(block.sum, block.output, of_sum.clone()).filter(|_| units(&sum) == units(&output));
        self.add_convolutions(block);
        if let Some(shortcut) = shortcut.filter(|&shortcut| shortcut != block.input) {
            self.members.push((shortcut, sum.clone(), of_sum.clone()));
        }
        self.members.push((block.sum, sum, of_sum));
        let Some(of_output) = of_output else {
            self.finish_group();
            self.members.push((block.output, output, None));
            return false;
        };
        if block.sum != block.output {
            self.members.push((block.output, output, of_output));
        }
        keeps_units && is_connected
    }

    fn add_convolutions(&mut self, block: &BlockMatch) {
        for node in Subgraph::between(self.graph, block.input, &[block.output]).nodes {
            let groups = self.graph.nodes[node].integer("group").and_then(|groups| usize::try_from(groups).ok());
            if !matches!(self.graph.nodes[node].op.as_str(), "Conv" | "ConvInteger") {
                continue;
            }
            let shape = weight(self.graph, node).and_then(|weight| shape_of_value(self.graph, self.shapes, weight));
            if let Some([out, rest, window @ ..]) = shape.as_deref() {
                let read = rest.saturating_mul(groups.unwrap_or(1));
                self.convolutions.insert(([&[*out, *rest], window].concat(), read));
            }
        }
    }

    /// Completes the group of values that were added last.
    ///
    /// The channels are the first side of a value that a convolution could read or give, or else the last side.
    fn finish_group(&mut self) {
        let members = std::mem::take(&mut self.members);
        let convolutions = std::mem::take(&mut self.convolutions);
        let is_convolved = |(_, shape, _): &&Member| {
            let fits = |(weight, read): &(Vec<usize>, usize)| {
                weight.len() == shape.len() + 1 && (shape[0] == *read || shape[0] == weight[0])
            };
            shape.len() > 1 && convolutions.iter().any(fits)
        };
        let convolved = members.iter().find(is_convolved);
        let Some((_, shape, order)) = convolved.or(members.first()) else { return };
        let is_channels_first = convolved.is_some() || shape.len() < 2;
        let shape_of_group = match shape.as_slice() {
            [rest @ .., channels] if !is_channels_first => [&[*channels], rest].concat(),
            _ => shape.clone(),
        };
        let channels = shape_of_group.first().copied().unwrap_or(1);
        let places = places(order, (!is_channels_first).then_some(channels), units(shape));
        let group = self.done.shapes.len();
        self.done.shapes.push(shape_of_group);
        let mut shared: Vec<(Order, Option<Arc<Vec<u32>>>)> = Vec::new();
        for (value, shape, order) in members {
            let known = shared.iter().find(|(other, _)| *other == order).map(|(_, order)| order.clone());
            let final_order = known.unwrap_or_else(|| {
                let composed: Vec<u32> = match (&order, &places) {
                    (None, places) => places.clone(),
                    (Some(order), places) => {
                        order.iter().map(|&place| places.get(place as usize).copied().unwrap_or(0)).collect()
                    }
                };
                let is_kept = composed.iter().enumerate().all(|(unit, &place)| unit == place as usize);
                let composed = (!is_kept).then(|| Arc::new(composed));
                shared.push((order.clone(), composed.clone()));
                composed
            });
            self.done.of_values.entry(value).or_insert(Layout { group, shape, channels, order: final_order });
        }
    }

    /// Returns the layouts of all blocks.
    pub(super) fn finish(mut self) -> Layouts {
        self.finish_group();
        self.done
    }
}

/// Returns for each unit of a group's first value its position where the channels are first. `order` is that of the value
/// whose channels are known; they are its last side where `last` gives their number.
fn places(order: &Order, last: Option<usize>, count: usize) -> Vec<u32> {
    let mut places = vec![0; count];
    for unit in 0..count {
        let first = order.as_ref().map_or(unit, |order| order.get(unit).map_or(unit, |&place| place as usize));
        let place = last.map_or(unit, |channels| unit % channels * (count / channels) + unit / channels);
        if let Some(slot) = places.get_mut(first) {
            *slot = u32::try_from(place).unwrap_or(u32::MAX);
        }
    }
    places
}

/// Returns the number of units of a sample of this shape.
fn units(shape: &[usize]) -> usize {
    shape.iter().fold(1_usize, |size, &side| size.saturating_mul(side))
}
