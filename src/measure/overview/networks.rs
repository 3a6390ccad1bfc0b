//! What the networks are made of.

use super::super::results::Measurements;
use crate::nn::{BlockOutline, Outline};
use crate::report::{Cell, Column, Figure, Format, NetworkDrawing, Panel, RowKey, Section, Table};

/// Every network drawn from stem to head, and all blocks.
pub(super) fn section(networks: &[Measurements], names: &[String]) -> Section {
    let mut section = Section::new("outline", "What the networks are made of").about(
        "From left to right: the stem makes the first estimate, every block takes an estimate and returns another, and the \
         head reads the last one. A stage is a run of blocks of one shape (paper, Section 3).",
    );
    let blocks = || networks.iter().flat_map(|network| network.outline.blocks());
    if blocks().any(|(_, block)| block.why_not_removable.is_some()) {
        section = section.about("Hollow blocks cannot be left out; the table says why.");
    }
    let has_names = blocks().any(|(_, block)| block.source_name.is_some());
    let columns = [
        Column::text("network", "network"),
        Column::text("block", "block"),
        Column::text("name_in_file", "name in the file"),
        Column::text("wiring", "wiring"),
        Column::text("body", "body"),
        Column::text("skip", "skip"),
        Column::new("parameters", "parameters", Format::Count),
        Column::new("flops", "FLOPs", Format::Count),
        Column::text("removable", "can be left out"),
    ];
    let columns = columns.into_iter().filter(|column| has_names || column.name != "name_in_file").map(Column::detail);
    let table = Table::new("outline", "Every block", RowKey::Other, columns);
    let mut table = Table { brief_rows: Some(0), ..table };
    for (place, (network, name)) in networks.iter().zip(names).enumerate() {
        let drawing = NetworkDrawing { network: place, outline: network.outline.clone(), removed: Vec::new() };
        section.figures.push(Figure {
            name: if networks.len() > 1 { format!("network-{}", place + 1) } else { "network".into() },
            title: if networks.len() > 1 { name.clone() } else { String::new() },
            panels: vec![Panel::Network(drawing)],
            ..Figure::default()
        });
        for (id, block) in network.outline.blocks() {
            let source_name = block.source_name.as_deref().map_or(Cell::Empty, Cell::from);
            let named = if has_names { vec![id.into(), source_name] } else { vec![id.into()] };
            let rest = vec![
                block.wiring.name().into(),
                block.body.as_str().into(),
                block.shortcut.name().into(),
                Cell::Number(block.parameters as f64),
                Cell::Number(block.flops as f64),
                removable(block),
            ];
            table.push([vec![name.as_str().into()], named, rest].concat());
        }
    }
    section.tables.push(table);
    section
}

fn removable(block: &BlockOutline) -> Cell {
    block.why_not_removable.as_ref().map_or("yes".into(), |reason| format!("no: {reason}").into())
}

/// Returns the stem, stages and blocks of a network, a row each; blocks that differ in nothing but their place share a row.
/// `removable_heading` says in which sense blocks can be left out.
pub fn outline_table(outline: &Outline, removable_heading: &str) -> Table {
    let columns = [
        Column::text("part", ""),
        Column::text("name_in_file", "name in the file"),
        Column::text("shape", "shape"),
        Column::text("wiring", "wiring"),
        Column::text("body", "body"),
        Column::text("skip", "skip"),
        Column::text("blocks", "blocks"),
        Column::new("parameters", "parameters", Format::Count),
        Column::new("flops", "FLOPs", Format::Count),
        Column::text("removable", removable_heading),
    ];
    let mut table = Table::new("outline", "", RowKey::Other, columns);
    let end = |name: &str, parameters: u64| {
        let empty = vec![Cell::Empty; 6];
        [vec![name.into()], empty, vec![Cell::Number(parameters as f64)]].concat()
    };
    table.push(end("stem", outline.stem_parameters));
    for stage in &outline.stages {
        let shape: Vec<String> = stage.shape.iter().map(usize::to_string).collect();
        let sum = |figure: fn(&BlockOutline) -> u64| Cell::Number(stage.blocks.iter().map(figure).sum::<u64>() as f64);
        table.push([
            stage.name.as_str().into(),
            Cell::Empty,
            shape.join("×").into(),
            Cell::Empty,
            Cell::Empty,
            Cell::Empty,
            stage.blocks.len().to_string().into(),
            sum(|block| block.parameters),
            sum(|block| block.flops),
        ]);
        stage.blocks.chunk_by(is_alike).for_each(|run| table.push(folded(run)));
    }
    table.push(end("head", outline.head_parameters));
    table
}

/// Whether two blocks differ in nothing but their places.
fn is_alike(a: &BlockOutline, b: &BlockOutline) -> bool {
    let moved = BlockOutline { id: b.id, receptive_field: b.receptive_field, ..a.clone() };
    moved == *b
}

/// The row of some blocks that are alike.
fn folded(run: &[BlockOutline]) -> Vec<Cell> {
    let [block, ..] = run else { return Vec::new() };
    let last = run[run.len() - 1].id.block + 1;
    let name = if run.len() > 1 { format!("  {}-{last}", block.id) } else { format!("  {}", block.id) };
    vec![
        name.into(),
        block.source_name.as_deref().map_or(Cell::Empty, Cell::from),
        Cell::Empty,
        block.wiring.name().into(),
        block.body.as_str().into(),
        block.shortcut.name().into(),
        if run.len() > 1 { format!("{} alike, each", run.len()).into() } else { Cell::Empty },
        Cell::Number(block.parameters as f64),
        Cell::Number(block.flops as f64),
        removable(block),
    ]
}
