//! Sample reports with made-up numbers, for tests and for a look at a page without training a network.

mod depth;
mod figures;
mod parts;

use super::svg::{SvgOptions, Theme};
use crate::nn::{Answer, BlockId, BlockOutline, Outline, Shortcut, StageOutline, Wiring};
use crate::report::section::*;

pub(super) use depth::{comparison, deep};
use figures::{agreement, patches, training};
use parts::{Noise, estimation, everything, lesion, outlines, overview};

/// A name that is a script unless it is escaped.
pub(super) const HOSTILE: &str = "<script>alert(1)</script>&\"'";
/// A name that is too long for a legend.
pub(super) const LONG: &str = "/home/someone/experiments/2024-05-01-imagenet-highway-full-gates/seed-1/checkpoints/model-step-0000450000.safetensors";

/// Returns an outline with these numbers of blocks. The first block of every later stage changes the shape.
pub(super) fn outline(name: &str, wiring: Wiring, stages: &[usize]) -> Outline {
    let stage = |(s, &count): (usize, &usize)| StageOutline {
        name: format!("stage{}", s + 1),
        shape: vec![16 << s, 32 >> s, 32 >> s],
        blocks: (0..count).map(|b| block(BlockId { stage: s, block: b }, wiring)).collect(),
    };
    let stages: Vec<StageOutline> = stages.iter().enumerate().map(stage).collect();
    let parameters = stages.iter().flat_map(|stage| &stage.blocks).map(|block| block.parameters).sum::<u64>() + 1_114;
    Outline {
        name: name.into(),
        input: vec![3, 32, 32],
        classes: 10,
        answer: Answer::default(),
        is_language_model: false,
        parameters,
        flops: 250_966_016,
        stem_parameters: 464,
        head_parameters: 650,
        stages,
    }
}

fn block(id: BlockId, wiring: Wiring) -> BlockOutline {
    let changes_shape = id.stage > 0 && id.block == 0;
    BlockOutline {
        id,
        source_name: Some(format!("layer{}.{}", id.stage + 1, id.block)),
        wiring,
        body: format!("3x3 {0} · 3x3 {0}", 16 << id.stage),
        shortcut: if changes_shape { Shortcut::ZeroPadding } else { Shortcut::Identity },
        parameters: 4_672 << (2 * id.stage),
        flops: 9_437_184,
        receptive_field: None,
        why_not_removable: changes_shape.then(|| "it changes the shape".into()),
    }
}

/// Returns a report on one network with three stages of nine blocks. Of the estimation errors one is missing, and one is
/// NaN.
pub(super) fn single() -> Report {
    let outlines_of = [outline("resnet-56 residual, width 16", Wiring::Residual, &[9, 9, 9])];
    report("How resnet56.th refines its estimates", &["resnet56.th"], &outlines_of)
}

/// Returns the sections that all samples have.
fn report(title: &str, networks: &[&str], outlines_of: &[Outline]) -> Report {
    let networks: Vec<String> = networks.iter().map(|&name| name.to_owned()).collect();
    let mut noise = Noise(7);
    let mut empty = Section::new("nothing", "A section without contents");
    empty.tables.push(Table::new("nothing", "No row", RowKey::Other, [Column::text("name", "name")]));
    let sections = vec![
        overview(&networks, outlines_of),
        outlines(outlines_of, &networks),
        training(&networks, &mut noise),
        estimation(&networks, outlines_of, &mut noise),
        patches(&outlines_of[0], &mut noise),
        lesion(&networks, outlines_of, &mut noise),
        agreement(&outlines_of[0], &mut noise),
        everything(&networks, outlines_of, &mut noise),
        empty,
    ];
    Report {
        title: title.into(),
        intro: vec!["Measured on cifar10:data, test split: 1,000 samples, seed 0.".into()],
        networks,
        sections,
        facts: [
            ("command", "unrolled measure resnet56.th --data cifar10:data --limit 1000"),
            ("version", "0.1.0"),
            ("machine", "Linux x86_64, 16 threads"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
    }
}

/// Writes the pages and figures of all samples into the folder that `UNROLLED_PAGES` names.
#[test]
#[ignore = "writes pages to look at; tests/page/README.md tells how"]
fn write_pages() {
    let folder = std::path::PathBuf::from(std::env::var("UNROLLED_PAGES").expect("the folder, in UNROLLED_PAGES"));
    for (name, report) in [("single", single()), ("comparison", comparison()), ("deep", deep())] {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("report.html"), super::html(&report)).unwrap();
        std::fs::write(folder.join("report.txt"), super::text(&report, 100)).unwrap();
        std::fs::write(folder.join("report.json"), super::json(&report)).unwrap();
        let dark = SvgOptions { theme: Theme::Dark, width: 480.0, ..SvgOptions::default() };
        let narrow = super::figures(&report, &dark).into_iter().map(|(name, svg)| (format!("dark-{name}"), svg));
        let figures = super::figures(&report, &SvgOptions::default());
        for (name, content) in super::csv(&report).into_iter().chain(figures).chain(narrow) {
            std::fs::write(folder.join(name), content).unwrap();
        }
    }
}
