use super::*;
use crate::measure::example::{assert_is_complete, estimate, outline, presented, score};
use crate::nn::Outline;
use crate::report::Cell;

fn activity(mean: f64, channels: usize) -> GateActivity {
    GateActivity {
        mean: estimate(mean),
        std_over_samples: 0.1,
        std_over_units: 0.05,
        open_share: 0.25,
        histogram: vec![0.5, 0.3, 0.15, 0.05],
        sparsity_per_sample: 0.6,
        sparsity_of_average: 0.3,
        sparsity_of_average_permuted: 0.05,
        sparsity_per_class: vec![0.35, 0.45, f64::NAN],
        channels: (0..channels).map(|channel| channel as f32 / (2 * channels) as f32).collect(),
        class_channels: Vec::new(),
    }
}

/// A transform gate in every block; a carry gate where it is asked for.
fn gates(outline: &Outline, has_carry: bool, channels: usize) -> PerBlock<BlockGates> {
    let gate = |mean| Some(activity(mean, channels));
    let block = || BlockGates { transform: gate(0.2), carry: gate(0.8).filter(|_| has_carry) };
    outline.blocks().map(|(id, _)| (id, block())).collect()
}

#[test]
fn both_gates_have_their_figures() {
    let (shallow, deep, whole) = (outline(&[2]), outline(&[2, 1]), score(0.9));
    let mut second = gates(&deep, true, 300);
    let broken = second[1].transform.as_mut().unwrap();
    (broken.mean.value, broken.channels[0], broken.histogram[0]) = (f64::NAN, f32::NAN, f64::NAN);
    let networks = presented(vec![(&shallow, &whole, gates(&shallow, false, 4)), (&deep, &whole, second)]);
    let section = section(&networks);
    assert_is_complete(&section);
    let figures: Vec<_> = section.figures.iter().map(|f| (f.name.as_str(), f.panels.len())).collect();
    let expected = [
        ("transform-gate-channels", 3),
        ("transform-gate-mean", 1),
        ("transform-gate-histogram", 1),
        ("transform-gate-sparsity", 2),
        ("carry-gate-channels", 2),
        ("carry-gate-mean", 1),
        ("carry-gate-histogram", 1),
        ("carry-gate-sparsity", 1),
    ];
    assert_eq!(figures, expected);
    let Panel::HeatMap(map) = &section.figures[0].panels[1] else { panic!("a heat map") };
    assert_eq!((map.rows.len(), map.columns.len(), map.ends), (2, 100, Some([0.0, 0.5])));
    assert_eq!((map.title.as_str(), map.columns[1].as_str()), ("b · stage1", "3-5"));
    let rows: Vec<_> = section.tables.iter().map(|table| table.rows.len()).collect();
    assert_eq!(rows, [8, 2 * 4 + 6 * 100, 3 * 4]);
    let texts: Vec<_> = section.findings.iter().map(|finding| (finding.network, finding.text.as_str())).collect();
    let first = "Averaged over 2 blocks, `T` is 0.200, and 25.00 % of its values are above one half. It is sparser for \
                 single samples than on average over the samples in 2 of 2 blocks.";
    assert_eq!(texts[0], (Some(0), first));
    assert!(texts[2].1.starts_with("Averaged over 3 blocks, `C` is 0.800"), "{texts:?}");
    assert!(texts[3].1.starts_with("1 figure of the table is not finite"), "{texts:?}");
}

#[test]
fn the_area_of_classes_reaches_from_the_least_to_the_greatest() {
    let (outline, whole) = (outline(&[2]), score(0.9));
    let section = section(&presented(vec![(&outline, &whole, gates(&outline, false, 4))]));
    let Panel::Chart(chart) = &section.figures[3].panels[0] else { panic!("a chart") };
    let point = &chart.series[0].points[0];
    assert_eq!((chart.series[0].mark, point.range), (Mark::Band, Some([0.35, 0.45])));
    let row = &section.tables[0].rows[0];
    assert_eq!(row[row.len() - 2..], [Cell::Number(0.35), Cell::Number(0.45)]);
}

#[test]
fn gates_without_units_and_networks_without_gates() {
    let (outline, whole) = (outline(&[2]), score(0.9));
    let empty = GateActivity { histogram: Vec::new(), sparsity_per_class: Vec::new(), ..activity(0.2, 0) };
    let block = BlockGates { transform: Some(empty), carry: None };
    let output = outline.blocks().map(|(id, _)| (id, block.clone())).collect();
    let section_of = |output| section(&presented(vec![(&outline, &whole, output)]));
    assert_is_complete(&section_of(output));
    assert_eq!(section_of(PerBlock::new()), Section::default());
}
