//! Other sections of the samples.

use super::parts::{Noise, network_cell, network_column};
use super::*;

pub(super) fn training(networks: &[String], noise: &mut Noise) -> Section {
    let mut section = Section::new("training", "Training").about("Loss and error after every epoch.");
    let axes = [("loss", "nats", Scale::Logarithmic), ("error", "%", Scale::Including(vec![0.0]))];
    let [mut loss, mut error] = axes.map(|(label, unit, scale)| {
        let y = Axis::new(label, scale).unit(unit);
        Chart::new(&y.heading(), Axis::new("epoch", Scale::Linear), y)
    });
    let columns = [
        Column::new("epoch", "epoch", Format::Count),
        Column::text("split", "split"),
        Column::new("loss_nats", "loss, nats", Format::Real),
        Column::new("error_percent", "error, %", Format::Fixed2),
    ];
    let columns = network_column(networks).into_iter().chain(columns);
    let mut table = Table { brief_rows: Some(5), ..Table::new("training", "Every epoch", RowKey::Other, columns) };
    for place in 0..networks.len() {
        // The last network of several was trained for one epoch.
        let epochs = if place + 1 == networks.len() && place > 0 { 1 } else { 40 };
        for (split, floor) in [("training", 0.004), ("validation", 0.3)] {
            let values: Vec<[f64; 3]> = (1..=epochs)
                .map(|epoch| {
                    let decay = (-0.11 * f64::from(epoch)).exp();
                    let loss = (floor + 2.0 * decay) * (1.0 + 0.05 * noise.next());
                    [f64::from(epoch), loss, 100.0 * (1.0 - (-0.25 * loss).exp())]
                })
                .collect();
            for (chart, which) in [(&mut loss, 1), (&mut error, 2)] {
                let points = values.iter().map(|value| Point::new(value[0], value[which]));
                chart.series.push(Series::new(split, place, Mark::Line, points));
            }
            for [epoch, loss, error] in values {
                let cells: [Cell; 4] = [epoch.into(), split.into(), loss.into(), error.into()];
                table.push(network_cell(networks, place).into_iter().chain(cells));
            }
        }
    }
    section.figures.push(Figure::new("training", "").panel(loss).panel(error.reference(90.0, "chance")));
    section.tables.push(table);
    section
}

pub(super) fn patches(outline: &Outline, noise: &mut Noise) -> Section {
    let mut section =
        Section::new("patches", "What excites a filter").about("Patches of the data that excite it most.");
    let rows = outline.stages[0].blocks.iter().take(3).map(|block| {
        let pictures = (0..9).map(|place| Picture {
            uri: picture(noise),
            size: [8, 8],
            description: format!("patch {} of {}, activation {:.2}", place + 1, block.id, 3.0 - 0.2 * f64::from(place)),
        });
        (block.id.to_string(), pictures.collect())
    });
    let pictures = Pictures { title: "stage1, filter 12".into(), rows: rows.collect(), network: Some(0) };
    section.figures.push(Figure::new("patches", "").panel(pictures));
    section
}

/// Returns a bitmap of 8×8 pixels as a `data:` URI.
fn picture(noise: &mut Noise) -> String {
    let mut bytes = vec![b'B', b'M'];
    let sizes = [54 + 192, 0, 54, 40, 8, 8, 1 | (24 << 16), 0, 192, 2835, 2835, 0, 0];
    bytes.extend(sizes.iter().flat_map(|size: &u32| size.to_le_bytes()));
    let colour: Vec<f64> = (0..6).map(|_| 120.0 + 100.0 * noise.next()).collect();
    for place in 0..192_usize {
        let share = (place / 24) as f64 / 7.0;
        let value = colour[place % 3] * share + colour[3 + place % 3] * (1.0 - share) + 25.0 * noise.next();
        bytes.push(value.clamp(0.0, 255.0) as u8);
    }
    format!("data:image/bmp;base64,{}", base64(&bytes))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, &byte| (bits << 8) | u32::from(byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let is_there = digit <= three.len();
            text.push(if is_there { DIGITS[(bits >> (18 - 6 * digit)) as usize & 63] as char } else { '=' });
        }
    }
    text
}

/// Returns heat maps with holes and a NaN, a histogram, a null model and categories.
pub(super) fn agreement(outline: &Outline, noise: &mut Noise) -> Section {
    let mut section =
        Section::new("similarity", "Similarity of estimates").about("Cosines between the steps of two blocks.");
    let mut table = Table::new(
        "similarity",
        "Every pair",
        RowKey::Other,
        [
            Column::text("first", "first block"),
            Column::text("second", "second block"),
            Column::new("cosine", "cosine", Format::Fixed3),
        ],
    );
    table.brief_rows = Some(10);
    let mut figure = Figure::new("similarity", "Cosine of steps").shared();
    for (s, stage) in outline.stages.iter().enumerate() {
        let ids: Vec<BlockId> = stage.blocks.iter().map(|block| block.id).collect();
        let value = |row: usize, column: usize, noise: &mut Noise| match () {
            () if row == column || (row + 2 * column) % 13 == 5 => None,
            () if (s, row, column) == (0, 2, 4) => Some(f64::NAN),
            () => Some(0.6 - 0.2 * (row as f64 - column as f64).abs() + 0.1 * noise.next()),
        };
        let count = ids.len();
        let values: Vec<Vec<_>> = (0..count).map(|r| (0..count).map(|c| value(r, c, noise)).collect()).collect();
        for (row, cells) in values.iter().enumerate() {
            for (column, value) in cells.iter().enumerate() {
                table.push([ids[row].into(), ids[column].into(), (*value).into()]);
            }
        }
        let names: Vec<String> = ids.iter().map(BlockId::to_string).collect();
        figure = figure.panel(HeatMap {
            title: stage.name.clone(),
            x_label: "second block".into(),
            y_label: "first block".into(),
            columns: names.clone(),
            rows: names,
            value_label: "cosine".into(),
            is_diverging: true,
            values,
            ..HeatMap::default()
        });
    }
    let bins: Vec<f64> =
        (0..24).map(|bin| (400.0 * (-0.5 * ((f64::from(bin) - 9.0) / 4.0).powi(2)).exp()).floor()).collect();
    let histogram =
        Chart::new("", Axis::new("gate `T`", Scale::Linear), Axis::new("units", Scale::Linear)).series(Series::new(
            "units",
            None,
            Mark::Steps,
            bins.iter().enumerate().map(|(bin, &count)| Point::new((bin as f64 + 0.5) / 24.0, count)),
        ));
    let blocks = 0..9;
    let measured = blocks.clone().map(|n| Point::new(f64::from(n), 30.0 + 7.0 * f64::from(n) + 2.0 * noise.next()));
    let measured: Vec<Point> = measured.collect();
    let null = blocks.map(|n| Point::new(f64::from(n), 28.0 + 6.0 * f64::from(n)).plus_minus(6.0));
    let exit =
        Chart::new("", Axis::new("swaps", Scale::Linear), Axis::new("accuracy", Scale::Between(20.0, 80.0)).unit("%"))
            .series(Series::new("random order", None, Mark::Band, null))
            .series(Series::new("this order", Some(0), Mark::Line, measured))
            .series(Series::new("straight line", None, Mark::Dashed, [Point::new(0.0, 30.0), Point::new(8.0, 90.0)]));
    let kinds = ["as it is", "another's step", "mean step", "twice, rescaled"].map(str::to_owned).to_vec();
    let kinds = Chart::new(
        "",
        Axis::new("intervention", Scale::Categories(kinds)),
        Axis::new("loss", Scale::Logarithmic).unit("nats"),
    )
    .series(Series::new(
        "loss",
        None,
        Mark::Points,
        [0.31, 0.9, 0.4, 4.2].iter().enumerate().map(|(n, &y)| Point::new(n as f64, y).between(0.8 * y, 1.3 * y)),
    ));
    section.figures.push(figure);
    section.figures.push(Figure::new("gates", "Gates and orders").panel(histogram).panel(exit).panel(kinds));
    section.tables.push(table);
    section
}
