mod xml;

use super::*;
use xml::{Element, elements};

use crate::nn::{BlockId, Wiring};
use crate::report::render::sample;
use crate::report::section::{Axis, Chart, HeatMap, Mark, NetworkDrawing, Panel, Point, Scale, Series};

fn draw(panel: impl Into<Panel>, networks: &[&str]) -> Vec<Element> {
    let networks: Vec<String> = networks.iter().map(|&name| name.to_owned()).collect();
    let report = Report { networks, ..Report::default() };
    let figure = Figure::new("figure", "").panel(panel);
    elements(&svg(&report, &figure, &SvgOptions::default()))
}

fn texts(elements: &[Element]) -> Vec<&str> {
    elements.iter().filter(|element| element.name == "text").map(|element| element.text.as_str()).collect()
}

fn titles(elements: &[Element]) -> Vec<&str> {
    elements.iter().filter(|element| element.name == "title").map(|element| element.text.as_str()).collect()
}

/// The paths that join the points of a series of [`Mark::Line`].
fn lines(elements: &[Element]) -> Vec<Vec<[f64; 2]>> {
    let is_line = |element: &&Element| element.name == "path" && element.get("opacity") == "0.55";
    // The first place of a plot is to the right of its labels, and that of a legend's line is not.
    elements.iter().filter(is_line).map(Element::points).filter(|points| points[0][0] > 0.0).collect()
}

fn blocks(stages: &[usize]) -> Vec<BlockId> {
    sample::outline("", Wiring::Residual, stages).blocks().map(|(id, _)| id).collect()
}

fn line_of_blocks(ids: &[BlockId], value: impl Fn(usize) -> Option<f64>) -> Chart {
    let points = ids.iter().enumerate().filter_map(|(n, id)| Some(Point::new(n as f64, value(n)?).of(*id)));
    Chart::new("", Axis::new("block", Scale::Blocks(ids.to_vec())), Axis::new("error", Scale::Linear))
        .series(Series::new("error", Some(0), Mark::Line, points))
}

#[test]
fn no_line_crosses_a_border_of_stages_or_a_block_without_a_value() {
    let ids = blocks(&[9, 9, 9]);
    // Block 4 is missing, block 13 is not a number.
    let chart = line_of_blocks(&ids, |n| match n {
        4 => None,
        13 => Some(f64::NAN),
        _ => Some(n as f64),
    });
    let elements = draw(chart, &["a"]);
    let lines = lines(&elements);
    let counts: Vec<usize> = lines.iter().map(Vec::len).collect();
    assert_eq!(counts, [4, 4, 4, 4, 9], "runs of blocks: 1–4, 6–9; 1–4, 6–9; 1–9");
    let vertical =
        |element: &&Element| element.name == "path" && matches!(element.points()[..], [[a, _], [b, _]] if a == b);
    let is_border = |element: &&Element| element.get("stroke") == "#c3c8cd";
    let borders: Vec<f64> = elements
        .iter()
        .filter(|element| element.get("d").starts_with('M') && !element.get("d").contains('a'))
        .filter(vertical)
        .filter(is_border)
        .map(|element| element.points()[0][0])
        .collect();
    assert_eq!(borders.len(), 2);
    for line in &lines {
        for pair in line.windows(2) {
            assert!(borders.iter().all(|border| !(pair[0][0] < *border && *border < pair[1][0])), "{line:?}");
        }
    }
    assert!(texts(&elements).contains(&"blocks of stage2"));
    assert_eq!(titles(&elements).iter().filter(|title| title.starts_with("stage")).count(), 25);
}

#[test]
fn lines_over_relative_depth_break_between_stages_too() {
    let series = |place: usize, stages: &[usize]| {
        let ids = blocks(stages);
        let last = ids.len() as f64 - 1.0;
        let points = ids.iter().enumerate().map(|(n, id)| Point::new(n as f64 / last, n as f64 / last).of(*id));
        Series::new("", Some(place), Mark::Line, points.collect::<Vec<_>>())
    };
    let chart = Chart::new("", Axis::new("relative depth", Scale::RelativeDepth), Axis::new("y", Scale::Linear));
    let elements = draw(chart.series(series(0, &[9, 9, 9])).series(series(1, &[3, 3])), &["deep", "shallow"]);
    let lines = lines(&elements);
    assert_eq!(lines.iter().map(Vec::len).collect::<Vec<_>>(), [9, 9, 9, 3, 3]);
    // Networks of unequal depth begin and end at the same places.
    assert_eq!((lines[0][0][0], lines[2][8][0]), (lines[3][0][0], lines[4][2][0]));
}

#[test]
fn a_single_point_is_a_symbol() {
    for mark in [Mark::Line, Mark::Dashed, Mark::Points] {
        let points = [Point::new(1.0, 0.5), Point::new(2.0, f64::NAN), Point::new(3.0, f64::INFINITY)];
        let chart = Chart::new("", Axis::new("epoch", Scale::Linear), Axis::new("loss", Scale::Linear));
        let elements = draw(chart.series(Series::new("", None, mark, points)), &["a"]);
        let symbols = elements.iter().filter(|e| e.get("d").contains("a3.2") && e.get("opacity").is_empty());
        assert_eq!(symbols.count(), 1, "{mark:?}");
        assert!(texts(&elements).contains(&"One value is not drawn: it is infinite."));
    }
}

#[test]
fn what_is_beyond_an_axis_has_an_arrow_at_its_end() {
    let points = [Point::new(0.0, 99.0).between(97.0, 104.0), Point::new(1.0, 130.0), Point::new(2.0, 50.0)];
    let chart =
        Chart::new("", Axis::new("n", Scale::Linear), Axis::new("accuracy", Scale::Between(0.0, 100.0)).unit("%"));
    let elements = draw(chart.series(Series::new("", None, Mark::Points, points)), &["a"]);
    let arrows = elements.iter().filter(|e| e.name == "path" && e.get("d").ends_with('Z') && !e.get("d").contains('a'));
    let tips: Vec<f64> = arrows.map(|arrow| arrow.points()[0][1]).collect();
    assert_eq!(tips.len(), 2);
    assert_eq!(tips[0], tips[1]);
    let whisker = elements.iter().find(|e| e.get("opacity") == "0.7").unwrap().points();
    assert_eq!(whisker[1][1], tips[0] + 1.0, "the whisker ends at the axis");
    let axis = Chart::new("", Axis::new("n", Scale::Linear), Axis::new("accuracy", Scale::Linear).unit("%"));
    let points = [Point::new(0.0, 99.0).between(97.0, 104.0)];
    let elements = draw(axis.series(Series::new("", None, Mark::Points, points)), &["a"]);
    let arrows = elements.iter().filter(|e| e.name == "path" && e.get("d").ends_with('Z') && !e.get("d").contains('a'));
    assert_eq!(arrows.count(), 0, "a scale that is free includes all ends of intervals");
}

#[test]
fn a_line_is_cut_off_where_it_leaves_the_axis() {
    let points = [Point::new(0.0, 50.0), Point::new(1.0, 150.0), Point::new(2.0, 50.0)];
    let chart = Chart::new("", Axis::new("n", Scale::Linear), Axis::new("y", Scale::Between(0.0, 100.0)));
    let elements = draw(chart.series(Series::new("", None, Mark::Line, points)), &["a"]);
    let [line] = &lines(&elements)[..] else { panic!("one path") };
    let [a, b, c, d] = line[..] else { panic!("two pieces: {line:?}") };
    assert_eq!((b[1], c[1]), (b[1].min(a[1]), b[1]), "both pieces end at the top");
    assert!((b[0] - 0.5 * (a[0] + 0.5 * (a[0] + d[0]))).abs() < 0.2, "half way to the point in the middle");
}

#[test]
fn panels_that_are_compared_share_their_scale() {
    let chart = |high: f64| {
        Chart::new("", Axis::new("n", Scale::Linear), Axis::new("y", Scale::Linear)).series(Series::new(
            "",
            None,
            Mark::Points,
            [Point::new(0.0, 0.0), Point::new(1.0, high)],
        ))
    };
    let map = |high: f64| HeatMap {
        columns: vec!["a".into()],
        rows: vec!["b".into()],
        values: vec![vec![Some(high)]],
        ends: Some([0.0, high]),
        ..HeatMap::default()
    };
    for (shares_y, both) in [(true, 2), (false, 1)] {
        let figure = Figure { shares_y, ..Figure::new("f", "") };
        let charts = figure.clone().panel(chart(1.0)).panel(chart(100.0));
        let maps = figure.panel(map(1.0)).panel(map(100.0));
        for figure in [charts, maps] {
            let elements = elements(&svg(&Report::default(), &figure, &SvgOptions::default()));
            assert_eq!(texts(&elements).iter().filter(|text| **text == "100").count(), both, "{shares_y}");
        }
    }
}

#[test]
fn references_have_names_that_do_not_stand_on_each_other() {
    let chart =
        Chart::new("", Axis::new("n", Scale::Linear), Axis::new("accuracy", Scale::Between(0.0, 100.0)).unit("%"))
            .series(Series::new("", None, Mark::Points, [Point::new(0.0, 50.0)]))
            .reference(93.0, "whole network")
            .reference(92.5, "mean")
            .reference(10.0, "chance")
            .reference(10.0, "chance");
    let elements = draw(chart, &["a"]);
    let labels = ["whole", "network", "mean", "chance"].map(|name| {
        let label = elements.iter().find(|element| element.name == "text" && element.text == name);
        label.expect(name).number("y")
    });
    assert!(labels.windows(2).all(|pair| pair[1] - pair[0] >= 12.0), "{labels:?}");
    assert_eq!(titles(&elements).iter().filter(|title| **title == "chance: accuracy 10 %").count(), 1);
}

#[test]
fn every_heat_map_has_a_colour_bar() {
    let report = sample::single();
    let figure = report.sections.iter().flat_map(|s| &s.figures).find(|f| f.name == "similarity").unwrap();
    let elements = elements(&svg(&report, figure, &SvgOptions::default()));
    let bars = elements.iter().filter(|e| e.name == "rect" && e.get("height") == "9" && e.number("width") < 8.0);
    assert_eq!(bars.count(), 3 * 48);
    for tick in ["−1", "0", "1"] {
        assert!(texts(&elements).iter().filter(|text| **text == tick).count() >= 3, "{tick}");
    }
    let fields = titles(&elements).iter().filter(|title| title.starts_with("first block stage")).count();
    let values = figure.panels.iter().map(|panel| match panel {
        Panel::HeatMap(map) => map.values.iter().flatten().flatten().count(),
        _ => 0,
    });
    assert_eq!(fields, values.sum::<usize>(), "every value is a mark, and no hole is");
    assert!(titles(&elements).contains(&"first block stage1.block3, second block stage1.block5: cosine NaN"));
}

#[test]
fn a_drawing_explains_only_what_it_shows() {
    let drawing = |stages: &[usize], removed: Vec<BlockId>| {
        let outline = sample::outline("net", Wiring::Residual, stages);
        let elements = draw(NetworkDrawing { network: 0, outline, removed }, &["net"]);
        let words: Vec<String> = texts(&elements).iter().map(|text| (*text).to_owned()).collect();
        let dashed = elements.iter().filter(|e| e.name == "rect" && !e.get("stroke-dasharray").is_empty()).count();
        (words, dashed)
    };
    let has = |words: &[String], text: &str| words.iter().any(|word| word == text);
    let (words, dashed) = drawing(&[4], Vec::new());
    assert!(!has(&words, "cannot be left out") && !has(&words, "left out") && dashed == 0);
    let (words, _) = drawing(&[4, 4], Vec::new());
    assert!(has(&words, "cannot be left out") && !has(&words, "left out"));
    let (words, dashed) = drawing(&[4], vec![BlockId { stage: 0, block: 1 }]);
    assert!(has(&words, "left out") && !has(&words, "cannot be left out") && dashed == 2);
    assert!(has(&words, "stem") && has(&words, "head") && has(&words, "stage1"));
}

#[test]
fn blocks_have_both_their_names() {
    let report = sample::single();
    for (name, svg) in figures(&report, &SvgOptions::default()) {
        if name.starts_with("lesion") || name.starts_with("outline") || name.starts_with("estimation") {
            assert!(svg.contains("stage3.block2 (layer3.1): "), "{name}");
        }
    }
}

/// All figures of all samples, in two widths.
fn all() -> Vec<(String, String)> {
    let reports = [sample::single(), sample::comparison(), sample::deep()];
    let widths = [912.0, 420.0];
    let drawn = reports
        .iter()
        .flat_map(|report| widths.map(|width| figures(report, &SvgOptions { width, ..SvgOptions::default() })));
    drawn.flatten().collect()
}

#[test]
fn no_label_is_cut_off() {
    for (name, svg) in all() {
        let elements = elements(&svg);
        let [width, height] = ["width", "height"].map(|side| elements[0].number(side));
        for element in elements.iter().filter(|e| e.name == "text" && e.get("transform").is_empty()) {
            let size = if element.get("font-size").is_empty() { 12.0 } else { element.number("font-size") };
            let own = measure::width(&element.text, size);
            let from = match element.get("text-anchor") {
                "end" => element.number("x") - own,
                "middle" => element.number("x") - 0.5 * own,
                _ => element.number("x"),
            };
            let (from, to) = (from + element.left, from + element.left + own);
            assert!(from >= -0.5 && to <= width + 1.0, "{name}: '{}' from {from} to {to} of {width}", element.text);
            assert!(element.number("y") <= height, "{name}: '{}'", element.text);
        }
    }
}

#[test]
fn numbers_have_the_real_minus_sign() {
    for (name, svg) in all() {
        for element in elements(&svg).iter().filter(|e| matches!(e.name.as_str(), "text" | "title")) {
            let bytes = element.text.as_bytes();
            // A hyphen within a name is none.
            let is_minus = |at: usize| {
                bytes[at] == b'-'
                    && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
                    && (at == 0 || matches!(bytes[at - 1], b' ' | b'('))
            };
            assert!(!(0..bytes.len()).any(is_minus), "{name}: {}", element.text);
        }
    }
}

#[test]
fn the_same_data_are_the_same_bytes_and_names_are_escaped() {
    let (first, second) = (all(), all());
    assert!(first == second);
    let names: std::collections::HashSet<&String> = first.iter().map(|(name, _)| name).collect();
    assert!(names.len() > 12);
    for (name, svg) in &first {
        assert!(!svg.contains("<script") && svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{name}");
        assert!(!svg.contains("var(") && !svg.contains("NaN\"") && !svg.contains("inf\""), "{name}");
    }
}

#[test]
fn many_names_and_extreme_values_are_drawn() {
    let scales = [Scale::Linear, Scale::Logarithmic, Scale::Between(0.0, 0.0), Scale::Including(vec![f64::NAN])];
    let values = [f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, 0.0, -1e-300, 1e300];
    for y in scales {
        for x in [
            Scale::Linear,
            Scale::Logarithmic,
            Scale::Categories(vec!["name".repeat(30); 7]),
            Scale::Blocks(Vec::new()),
        ] {
            for mark in [Mark::Points, Mark::Line, Mark::Dashed, Mark::Bars, Mark::Steps, Mark::Band] {
                let points =
                    values.iter().enumerate().map(|(n, &v)| Point::new(n as f64, v).between(-v, f64::INFINITY));
                let chart = Chart::new("", Axis::new("x", x.clone()), Axis::new("y", y.clone()));
                let elements = draw(chart.series(Series::new("", None, mark, points)), &[]);
                for element in &elements {
                    for (name, value) in &element.attributes {
                        let is_number = !value.contains("NaN") && !value.contains("inf");
                        assert!(
                            is_number || name == "xmlns" || name == "font-family",
                            "{x:?} {y:?} {mark:?}: {name}={value}"
                        );
                    }
                }
            }
        }
    }
}

/// Formulas have commas of their own: a unit stands only where it is told.
#[test]
fn a_comma_in_a_label_is_no_unit() {
    let formula = "`1 - cos(a_(k-1), a_k)`";
    let points = [Point::new(0.0, 0.5)];
    let x = Axis::new("f(a, b)", Scale::Linear);
    let chart =
        Chart::new("", x, Axis::new(formula, Scale::Linear)).series(Series::new("", None, Mark::Points, points));
    let elements = draw(chart.reference(0.25, "zero"), &["a"]);
    let titles = titles(&elements);
    assert!(titles.contains(&"f(a, b) 0: 1 − cos(a_(k−1), a_k) 0.5000"), "{titles:?}");
    assert!(titles.contains(&"zero: 1 − cos(a_(k−1), a_k) 0.2500"), "{titles:?}");
    let map = HeatMap {
        columns: vec!["a".into()],
        rows: vec!["b".into()],
        values: vec![vec![Some(0.5)]],
        x_label: "first, or only".into(),
        ..HeatMap::default()
    };
    let elements = draw(map.value("cos(a, b)", "nats"), &["a"]);
    let titles = self::titles(&elements);
    assert!(titles.contains(&" b, first, or only a: cos(a, b) 0.5000 nats"), "{titles:?}");
    assert!(texts(&elements).contains(&"cos(a, b), nats"));
}

#[test]
fn a_figure_is_as_wide_as_was_asked_for() {
    let report = sample::single();
    for (asked, written) in
        [(200.0, "200"), (300.0, "300"), (936.0, "936"), (4_000.0, "4000"), (1.0, "200"), (1e9, "4000")]
    {
        for (name, figure) in figures(&report, &SvgOptions { width: asked, ..SvgOptions::default() }) {
            let root = &elements(&figure)[0];
            assert_eq!((root.get("width"), root.get("viewBox").split(' ').nth(2)), (written, Some(written)), "{name}");
        }
    }
}
