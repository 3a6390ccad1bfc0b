//! How patches are reported: the paper's Figure 4, a row of pictures for each block.

use super::{BlockPatches, Patch, frame};
use crate::measure::Presented;
use crate::measure::charts::{row_table, with_content};
use crate::measure::score::PerBlock;
use crate::measure::sentences::{number, sentences};
use crate::nn::{BlockId, StageOutline};
use crate::picture::shown_size;
use crate::report::{Cell, Column, Figure, Format, Panel, Picture, Pictures, RowKey, Section, Table};

/// The output of one network.
type Output = PerBlock<BlockPatches>;
type Networks<'a> = [Presented<'a, Output>];

/// The most rows of pictures of a stage. With more blocks, the first, the last and blocks at equal distances are shown.
const MOST_ROWS: usize = 24;

/// Returns the section about patches.
pub(super) fn section(networks: &Networks) -> Section {
    if networks.iter().all(|network| network.output.is_empty()) {
        return Section::default();
    }
    Section {
        title: "What excites one filter".into(),
        about: vec![
            "One filter of each stage is followed through the blocks: the patches of the data that excite it most, at most \
             one for each sample, the greatest activation first (paper, Figure 4). A patch is what the unit sees, its \
             receptive field, which grows from block to block. What lies beyond the edge of the sample is empty. The \
             filter is the one whose greatest activation in a sample varies most over the samples, after the stage's last \
             block."
                .into(),
            "If a stage refines one estimate, the filter keeps its meaning: the patches are alike from row to row, and \
             more and more of the samples are those that excite the filter at the end of the stage."
                .into(),
        ],
        findings: sentences(networks, sentence),
        figures: with_content([figure(networks)]),
        tables: vec![shared_table(networks), table(networks)],
        ..Section::default()
    }
}

/// The patches of one stage, held against those of its last block.
struct StagePatches<'a> {
    stage: &'a StageOutline,
    /// Of every block its patches, and how many of the last block's samples are among them.
    blocks: Vec<(BlockId, &'a BlockPatches, usize)>,
    /// The patches of the last block.
    last: &'a BlockPatches,
}

impl StagePatches<'_> {
    /// Returns how many samples the first block and the last block but one share with the last block. A stage of one
    /// block is compared with itself.
    fn shared(&self) -> [usize; 2] {
        let first = self.blocks[0].2;
        [first, self.blocks.iter().rev().nth(1).map_or(first, |(.., shared)| *shared)]
    }
}

/// Returns the stages of a network that have patches.
fn stages<'a>(network: &'a Presented<Output>) -> Vec<StagePatches<'a>> {
    let stage = |stage: &'a StageOutline| {
        let found = stage.blocks.iter().filter_map(|block| Some((block.id, network.output.get(&block.id)?)));
        let found: Vec<(BlockId, &BlockPatches)> = found.collect();
        let &(_, last) = found.last()?;
        let has = |block: &BlockPatches, sample| block.patches.iter().any(|patch| patch.sample == sample);
        let shared = |block: &BlockPatches| last.patches.iter().filter(|patch| has(block, patch.sample)).count();
        let blocks = found.into_iter().map(|(id, block)| (id, block, shared(block))).collect();
        Some(StagePatches { stage, blocks, last })
    };
    network.outline.stages.iter().filter_map(stage).collect()
}

/// Returns how many samples of every stage's last block are also among those of its first block and its last but one.
fn sentence(network: &Presented<Output>) -> Option<String> {
    let stages = stages(network);
    let shared = stages.iter().filter(|found| found.blocks.len() > 1).map(|found| {
        let [first, before] = found.shared();
        let (name, filter, count) = (&found.stage.name, found.last.filter, found.last.patches.len());
        format!("{first} and {before} of {count} in {name} (filter {filter})")
    });
    let shared: Vec<String> = shared.collect();
    (!shared.is_empty()).then(|| {
        format!(
            "Of the samples that excite the filter most after a stage's last block, some do so after its first block, and \
             some after its last block but one: {}.",
            shared.join("; ")
        )
    })
}

fn figure(networks: &Networks) -> Figure {
    let panels = networks.iter().flat_map(|network| {
        let stages = stages(network);
        stages.iter().filter_map(|stage| pictures(networks, network, stage)).collect::<Vec<Panel>>()
    });
    Figure { name: "patches".into(), panels: panels.collect(), ..Figure::default() }
}

/// Returns the pictures of one stage, a row for each block; `None` without pictures.
fn pictures(networks: &Networks, network: &Presented<Output>, found: &StagePatches) -> Option<Panel> {
    let count = found.blocks.len();
    let shown = found.blocks.iter().enumerate().filter(|(row, _)| is_shown(*row, count));
    let rows = shown.map(|(_, (id, block, _))| {
        let pictures = block.patches.iter().filter_map(|patch| picture(network, *id, patch));
        (id.to_string(), pictures.collect::<Vec<_>>())
    });
    let rows: Vec<(String, Vec<Picture>)> = rows.collect();
    if rows.iter().all(|(_, pictures)| pictures.is_empty()) {
        return None;
    }
    let name = if networks.len() > 1 { format!("{} · ", network.name) } else { String::new() };
    let few = if count > MOST_ROWS { format!(", {MOST_ROWS} of its {count} blocks") } else { String::new() };
    let title = format!("{name}{}, filter {}{few}", found.stage.name, found.last.filter);
    Some(Panel::Pictures(Pictures { title, rows, network: Some(network.place) }))
}

/// Whether a row is among the few that stand for many.
fn is_shown(row: usize, rows: usize) -> bool {
    rows <= MOST_ROWS || (0..MOST_ROWS).any(|shown| shown * (rows - 1) / (MOST_ROWS - 1) == row)
}

fn picture(network: &Presented<Output>, id: BlockId, patch: &Patch) -> Option<Picture> {
    let [_, height, width] = network.outline.input[..] else { return None };
    let field = network.outline.block(id).receptive_field;
    let [rows, columns] = shown_size([height, width].map(|side| frame(field, side)));
    let Patch { sample, class, activation, row, column, .. } = patch;
    let activation = number(f64::from(*activation), Format::Real);
    Some(Picture {
        uri: patch.picture.clone()?,
        size: [columns, rows],
        description: format!("sample {sample}, {class}, activation {activation} at row {row}, column {column}"),
    })
}

/// Returns a row for every stage: how many samples of the last block others share.
fn shared_table(networks: &Networks) -> Table {
    let columns = vec![
        Column::new("stage", "stage", Format::Text),
        Column::new("filter", "filter", Format::Count),
        Column::new("greatest_activation", "greatest activation", Format::Real),
        Column::new("samples", "samples of the last block", Format::Count),
        Column::new("shared_by_first", "of these after the first block", Format::Count),
        Column::new("shared_by_last_but_one", "after the last but one", Format::Count),
    ];
    let row = |found: StagePatches| {
        let greatest = found.last.patches.first().map_or(Cell::Empty, |patch| Cell::Number(patch.activation.into()));
        let [first, before] = found.shared();
        let [filter, count, first, before] =
            [found.last.filter, found.last.patches.len(), first, before].map(|count| Cell::Number(count as f64));
        vec![Cell::Text(found.stage.name.clone()), filter, greatest, count, first, before]
    };
    let title = "Samples that excite the filter of a stage most";
    row_table(("patches-shared", title), RowKey::Stage, networks, columns, |network| {
        stages(network).into_iter().map(row).collect()
    })
}

/// Returns a row for every patch; the terminal has the other table.
fn table(networks: &Networks) -> Table {
    let count = |name: &str| Column::new(name, name, Format::Count);
    let columns = vec![
        Column::new("block", "block", Format::Text),
        count("filter"),
        count("sample"),
        Column::new("class", "class", Format::Text),
        Column::new("activation", "activation", Format::Real),
        count("row"),
        count("column"),
        Column::new("top", "first row seen", Format::Count),
        Column::new("left", "first column seen", Format::Count),
        Column::new("height", "rows seen", Format::Count),
        Column::new("width", "columns seen", Format::Count),
    ];
    let row = |id: BlockId, block: &BlockPatches, patch: &Patch| {
        let count = |count: usize| Cell::Number(count as f64);
        let (class, activation) = (Cell::Text(patch.class.clone()), Cell::Number(patch.activation.into()));
        let places = [patch.row, patch.column, patch.top, patch.left, patch.height, patch.width].map(count);
        let first = vec![Cell::Block(id), count(block.filter), count(patch.sample), class, activation];
        [first, places.to_vec()].concat()
    };
    let table = row_table(("patches", "Every patch"), RowKey::Block, networks, columns, |network| {
        let blocks = network.output.iter();
        blocks.flat_map(|(id, block)| block.patches.iter().map(move |patch| row(*id, block, patch))).collect()
    });
    Table { brief_rows: Some(0), ..table }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::example::{assert_is_complete, outline, presented, score};
    use crate::nn::Outline;

    fn patch(sample: usize, activation: f32) -> Patch {
        let picture = Some("data:image/png;base64,AA==".into());
        let (top, left, height, width) = (0, 1, 3, 5);
        Patch { sample, class: "cat".into(), activation, row: 0, column: 3, top, left, height, width, picture }
    }

    /// The block at place k of a stage has the samples k and k + 1.
    fn patches(outline: &Outline) -> Output {
        let block =
            |id: BlockId| BlockPatches { filter: 2, patches: [id.block, id.block + 1].map(|n| patch(n, 1.5)).into() };
        outline.blocks().map(|(id, _)| (id, block(id))).collect()
    }

    #[test]
    fn every_stage_of_every_network_has_a_panel() {
        let (shallow, deep, whole) = (outline(&[3]), outline(&[30, 2]), score(0.9));
        let mut second = patches(&deep);
        second[0].patches[0].activation = f32::NAN;
        let networks = presented(vec![(&shallow, &whole, patches(&shallow)), (&deep, &whole, second)]);
        let section = section(&networks);
        assert_is_complete(&section);
        let panels: Vec<_> = section.figures[0]
            .panels
            .iter()
            .map(|panel| match panel {
                Panel::Pictures(pictures) => pictures,
                _ => panic!("pictures"),
            })
            .collect();
        let titles: Vec<_> = panels.iter().map(|panel| panel.title.as_str()).collect();
        let expected = ["a · stage1, filter 2", "b · stage1, filter 2, 24 of its 30 blocks", "b · stage2, filter 2"];
        assert_eq!(titles, expected);
        assert_eq!((panels[1].rows.len(), panels[0].rows[1].0.as_str()), (24, "stage1.block2"));
        let picture = &panels[1].rows[0].1[0];
        let expected = ([5, 5], "sample 0, cat, activation not finite at row 0, column 3");
        assert_eq!((picture.size, picture.description.as_str()), expected);
        let [shared, all] = &section.tables[..] else { panic!("two tables") };
        assert_eq!((shared.rows.len(), all.rows.len()), (3, 70));
        assert!(section.findings[0].text.ends_with("but one: 0 and 1 of 2 in stage1 (filter 2)."), "{section:?}");
        assert!(section.findings[1].text.ends_with("; 1 and 1 of 2 in stage2 (filter 2)."), "{section:?}");
    }

    #[test]
    fn without_patches_there_is_no_section_and_without_pictures_no_figure() {
        let (outline, whole) = (outline(&[2]), score(0.9));
        assert_eq!(section(&presented(vec![(&outline, &whole, PerBlock::new())])), Section::default());
        let mut output = patches(&outline);
        let blocks = output.values_mut();
        blocks.flat_map(|block| &mut block.patches).for_each(|patch| patch.picture = None);
        let section = section(&presented(vec![(&outline, &whole, output)]));
        assert_eq!((section.figures.len(), section.tables.len()), (0, 2));
    }

    #[test]
    fn few_rows_stand_for_many() {
        let shown = |rows| (0..rows).filter(|&row| is_shown(row, rows)).collect::<Vec<_>>();
        assert_eq!(shown(24).len(), 24);
        let many = shown(3000);
        assert_eq!((many.len(), many[0], many[23]), (24, 0, 2999));
    }
}
