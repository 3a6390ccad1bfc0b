//! Reports on networks of unequal depth.

use super::*;

/// Returns a report on three networks of unequal depth; one has a hostile name, and one a long path as its name.
pub(in crate::report::render) fn comparison() -> Report {
    let outlines_of = [
        outline("resnet-56 residual, width 16", Wiring::Residual, &[9, 9, 9]),
        outline("resnet-20 highway, width 16", Wiring::Highway, &[3, 3, 3]),
        outline("highway-50 full, width 50", Wiring::Full, &[49]),
    ];
    let networks = ["resnet56.th", HOSTILE, LONG];
    let mut report = report(&format!("Three networks: {LONG} and others"), &networks, &outlines_of);
    report.sections.insert(4, influence(&report.networks, &outlines_of));
    report
}

/// Returns a report on one network of fifty blocks, with three series over them.
pub(in crate::report::render) fn deep() -> Report {
    let outlines_of = [outline("highway-50 highway, width 50", Wiring::Highway, &[50])];
    let mut report = report("How highway50 refines its estimates", &["runs/highway50"], &outlines_of);
    let ids: Vec<BlockId> = outlines_of[0].blocks().map(|(id, _)| id).collect();
    let mut noise = Noise(3);
    let mut chart = Chart::new(
        "",
        Axis::new("block", Scale::Blocks(ids.clone())),
        Axis::new("accuracy", Scale::Including(vec![100.0])).unit("%"),
    );
    for (name, mark, rate) in [("head", Mark::Line, 0.05), ("linear", Mark::Line, 0.1), ("tuned", Mark::Dashed, 0.2)] {
        let points = ids.iter().enumerate().map(|(n, id)| {
            let accuracy = 100.0 - 90.0 * (-rate * n as f64).exp() + noise.next();
            Point::new(n as f64, accuracy.min(99.0)).plus_minus(1.0).of(*id)
        });
        chart = chart.series(Series::new(name, Some(0), mark, points));
    }
    let mut section = Section::new("readouts", "Reading every estimate").about("What a head makes of every estimate.");
    section.figures.push(Figure::new("readouts", "").panel(chart.reference(10.0, "chance")));
    report.sections.insert(3, section);
    report
}

fn influence(networks: &[String], outlines: &[Outline]) -> Section {
    let mut noise = Noise(11);
    let mut section = Section::new("influence", "Block influence")
        .about("One minus the cosine between a block's input and its output (ShortGPT 2024).");
    let depth = Axis::new("relative depth", Scale::RelativeDepth);
    let mut chart = Chart::new("", depth, Axis::new("block influence", Scale::Linear)).reference(0.0, "identity");
    let columns = [
        Column::text("network", "network"),
        Column::text("block", "block"),
        Column::new("block_influence", "block influence", Format::Real),
    ];
    let mut table = Table::new("influence", "Numbers of every block", RowKey::Block, columns);
    for (place, outline) in outlines.iter().enumerate() {
        let last = outline.blocks().count() as f64 - 1.0;
        let mut points = Vec::new();
        for (n, (id, _)) in outline.blocks().enumerate() {
            let influence = 0.4 * (-3.0 * n as f64 / last).exp() + 0.02 * noise.next() + 0.02;
            points.push(Point::new(n as f64 / last, influence).plus_minus(0.015).of(id));
            table.push([networks[place].clone().into(), id.into(), Cell::Interval(influence, 0.015)]);
        }
        chart.series.push(Series::new(&networks[place], Some(place), Mark::Line, points));
    }
    section.figures.push(Figure::new("influence", "").panel(chart));
    section.tables.push(table);
    section
}
