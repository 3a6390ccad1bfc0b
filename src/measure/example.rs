//! Small outlines and scores for the tests of sections.

use super::measurement::Presented;
use super::score::{Estimate, Score};
use crate::nn::{Answer, BlockId, BlockOutline, Outline, ReceptiveField, Shortcut, StageOutline, Wiring};
use crate::report::{Cell, Panel, Section};

/// A network with so many blocks in each stage; the first block of every stage but the first changes the shape.
pub(crate) fn outline(blocks: &[usize]) -> Outline {
    let block = |id: BlockId| BlockOutline {
        id,
        source_name: None,
        wiring: Wiring::Full,
        body: "3x3 4".into(),
        shortcut: if id.stage > 0 && id.block == 0 { Shortcut::Projection } else { Shortcut::Identity },
        parameters: 100,
        flops: 1000,
        receptive_field: Some(ReceptiveField { size: 5, jump: 1, start: -2 }),
        why_not_removable: None,
    };
    let stage = |(stage, &count): (usize, &usize)| StageOutline {
        name: format!("stage{}", stage + 1),
        shape: vec![4, 8, 8],
        blocks: (0..count).map(|place| block(BlockId { stage, block: place })).collect(),
    };
    Outline {
        name: "resnet-8 full".into(),
        input: vec![3, 8, 8],
        classes: 10,
        answer: Answer::default(),
        is_language_model: false,
        parameters: 1000,
        flops: 10_000,
        stem_parameters: 10,
        head_parameters: 10,
        stages: blocks.iter().enumerate().map(stage).collect(),
    }
}

/// A score of 100 samples.
pub(crate) fn score(accuracy: f64) -> Score {
    let accuracy_ci95 = [accuracy - 0.05, accuracy + 0.05];
    Score { accuracy, loss: 1.0 - accuracy, samples: 100, positions: None, accuracy_ci95, loss_ci95: 0.01 }
}

/// Networks `a`, `b`, … with an accuracy of 0.9 and these outputs.
pub(crate) fn presented<'a, T>(networks: Vec<(&'a Outline, &'a Score, T)>) -> Vec<Presented<'a, T>> {
    let named = networks.into_iter().zip(["a", "b"]).enumerate();
    named
        .map(|(place, ((outline, baseline, output), name))| Presented {
            place,
            name,
            outline,
            baseline,
            output,
            untrained: Vec::new(),
        })
        .collect()
}

/// A value with a half width of 0.01.
pub(crate) fn estimate(value: f64) -> Estimate {
    Estimate { value, ci95: 0.01 }
}

/// Asserts that every row has a cell for every column, and that every number that a figure draws is in a table, there
/// perhaps as a fraction of 1.
pub(crate) fn assert_is_complete(section: &Section) {
    for table in &section.tables {
        let widths: Vec<usize> = table.rows.iter().map(Vec::len).collect();
        assert!(widths.iter().all(|&width| width == table.columns.len()), "{}: {widths:?}", table.name);
    }
    let cells = section.tables.iter().flat_map(|table| table.rows.iter().flatten());
    let numbers: Vec<f64> = cells
        .filter_map(|cell| match cell {
            Cell::Number(value) | Cell::Interval(value, _) | Cell::Range(value, _) => Some(*value),
            Cell::Empty | Cell::Text(_) | Cell::Block(_) => None,
        })
        .collect();
    let drawn = section.figures.iter().flat_map(|figure| &figure.panels).flat_map(|panel| match panel {
        Panel::Chart(chart) => chart.series.iter().flat_map(|series| &series.points).map(|point| point.y).collect(),
        Panel::HeatMap(map) => map.values.iter().flatten().flatten().copied().collect(),
        Panel::Pictures(_) | Panel::Network(_) => Vec::new(),
    });
    for value in drawn.filter(|value| value.is_finite()) {
        let is_near = |number: &f64| [1.0, 100.0].iter().any(|scale| (scale * number - value).abs() < 1e-9);
        assert!(numbers.iter().any(is_near), "{value} is in no table");
    }
}
