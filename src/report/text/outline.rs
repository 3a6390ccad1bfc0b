use crate::report::number;
use crate::report::result::{BlockOutline, Outline};
use crate::report::table::Table;

/// What a network is made of, from input to output; runs of blocks that are alike stand in one line. `left_out` says in
/// which sense blocks can be left out.
pub fn outline(outline: &Outline, left_out: &str) -> String {
    let left_out = format!("<{left_out}");
    let mut table = Table::new(["", "<shape", "<wiring", "<body", "<skip", "blocks", "parameters", "FLOPs", &left_out]);
    table.row(["stem", "", "", "", "", "", &number::count(outline.stem_parameters)]);
    for stage in &outline.stages {
        let parameters = stage.blocks.iter().map(|block| block.parameters).sum();
        let flops = stage.blocks.iter().map(|block| block.flops).sum();
        table.row([
            stage.name.as_str(),
            &number::shape(&stage.shape),
            "",
            "",
            "",
            &stage.blocks.len().to_string(),
            &number::count(parameters),
            &number::short(flops),
        ]);
        for run in stage.blocks.chunk_by(alike) {
            table.row(folded(run));
        }
    }
    table.row(["head", "", "", "", "", "", &number::count(outline.head_parameters)]);

    let blocks: usize = outline.stages.iter().map(|stage| stage.blocks.len()).sum();
    let (stages, blocks) = (number::counted(outline.stages.len(), "stage"), number::counted(blocks, "block"));
    format!(
        "{}\ninput {}, {} classes, {stages}, {blocks}, {} parameters, {} FLOPs a sample\n\n{}",
        outline.name,
        number::shape(&outline.input),
        outline.classes,
        number::count(outline.parameters),
        number::short(outline.flops),
        table.without_empty_columns().text(),
    )
}

/// Whether two blocks differ in nothing but their places.
fn alike(a: &BlockOutline, b: &BlockOutline) -> bool {
    let moved = BlockOutline { id: b.id, receptive_field: b.receptive_field, ..a.clone() };
    moved == *b
}

fn folded(run: &[BlockOutline]) -> Vec<String> {
    let [block, ..] = run else { return Vec::new() };
    let each = if run.len() > 1 { " each" } else { "" };
    vec![
        format!("  {}", names(run)),
        String::new(),
        block.wiring.name().to_owned(),
        block.body.clone(),
        block.shortcut.name().to_owned(),
        if run.len() > 1 { format!("×{}", run.len()) } else { String::new() },
        format!("{}{each}", number::count(block.parameters)),
        format!("{}{each}", number::short(block.flops)),
        block.why_not_removable.as_ref().map_or_else(|| "yes".into(), |reason| format!("no: {reason}")),
    ]
}

/// `stage1.block2-9` where the names count upwards, the first and the last one where they do not.
fn names(run: &[BlockOutline]) -> String {
    let [first, .., last] = run else {
        return run.iter().map(|block| block.name()).collect();
    };
    let (prefix, from) = numbered(first.name());
    let counts_up = from.is_some_and(|from| {
        run.iter().zip(from..).all(|(block, number)| numbered(block.name()) == (prefix, Some(number)))
    });
    match numbered(last.name()).1 {
        Some(to) if counts_up => format!("{}-{to}", first.name()),
        _ => format!("{} … {}", first.name(), last.name()),
    }
}

/// A name's beginning and the number at its end.
fn numbered(name: &str) -> (&str, Option<u64>) {
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (prefix, name[prefix.len()..].parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn blocks_that_are_alike_fold() {
        let text = outline(&sample::residual().outline, "can be left out");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "resnet-56 residual, width 16");
        assert!(lines[1].starts_with("input 3×32×32, 10 classes, 3 stages, 27 blocks, "), "{}", lines[1]);
        let starts: Vec<_> = lines[4..].iter().map(|line| line.split_whitespace().next().unwrap()).collect();
        let expected = [
            "stem",
            "stage1",
            "stage1.block1-9",
            "stage2",
            "stage2.block1",
            "stage2.block2-9",
            "stage3",
            "stage3.block1",
            "stage3.block2-9",
            "head",
        ];
        assert_eq!(starts, expected);
        assert!(text.contains("no: changes the shape"));
        assert!(text.contains("×8") && text.contains(" each"));
    }

    #[test]
    fn a_network_without_stages_has_an_outline() {
        let empty = Outline { stages: Vec::new(), ..sample::residual().outline };
        assert!(outline(&empty, "can be left out").contains("0 stages, 0 blocks"));
    }
}
