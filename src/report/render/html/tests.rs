use super::*;
use crate::report::render::{csv, sample};
use crate::report::section::{Panel, Section};

fn decoded(uri: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = uri.bytes();
    while let Some(byte) = rest.next() {
        let digits: Vec<u8> = if byte == b'%' { rest.by_ref().take(2).collect() } else { Vec::new() };
        let code = std::str::from_utf8(&digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(byte));
    }
    String::from_utf8(bytes).unwrap()
}

/// The files that links of a page hold, by name.
fn downloads(page: &str) -> Vec<(String, String)> {
    let links = page.split("<a class=\"save\" download=\"").skip(1);
    links
        .map(|link| {
            let (name, rest) = link.split_once('"').unwrap();
            let uri = rest.split("href=\"data:text/csv;charset=utf-8,").nth(1).unwrap();
            (name.to_owned(), decoded(uri.split('"').next().unwrap()))
        })
        .collect()
}

/// The page without its script and style sheet.
fn body(page: &str) -> &str {
    page.split("<body>").nth(1).unwrap().split("<script>").next().unwrap()
}

#[test]
fn a_page_asks_for_nothing_from_anywhere() {
    for report in [sample::single(), sample::comparison()] {
        let page = html(&report);
        for request in ["href=\"http", "src=\"http", "url(", "@import", "<link", "<iframe", "fetch(", "XMLHttpRequest"]
        {
            assert!(!page.contains(request), "{request}");
        }
        assert_eq!(page.matches("<style>").count(), 1);
        assert!(page.contains("default-src 'none'"));
    }
    // A picture that is not in the report is left out.
    let mut report = sample::single();
    for panel in report.sections.iter_mut().flat_map(|s| &mut s.figures).flat_map(|f| &mut f.panels) {
        if let Panel::Pictures(pictures) = panel {
            pictures.rows[0].1[0].uri = "https://example.org/picture.png".into();
        }
    }
    assert!(!html(&report).contains("example.org"));
}

#[test]
fn names_cannot_become_markup() {
    let page = html(&sample::comparison());
    assert_eq!(page.matches("<script").count(), 1, "the page's own");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;"));
}

#[test]
fn the_script_is_small_and_the_page_says_all_without_it() {
    assert!(include_str!("../report.js").len() < 14_000);
    let page = html(&sample::single());
    let body = body(&page);
    assert!(!body.contains("<button"), "what needs the script comes with it");
    for section in sample::single().sections.iter().filter(|section| !section.is_empty() && !section.title.is_empty()) {
        assert!(body.contains(&format!("<h2>{}</h2>", section.title)), "{}", section.title);
        assert!(body.contains(&format!("href=\"#{}\"", section.name)), "{}", section.title);
    }
    assert!(body.contains("<title>stage1.block2 (layer1.1): "), "marks say their values");
}

#[test]
fn empty_parts_leave_no_trace() {
    let page = html(&sample::single());
    assert!(!page.contains("A section without contents"));
    let empty = html(&Report::default());
    assert!(empty.contains("<main>") && !empty.contains("<section") && !empty.contains("<footer>"));
    let mut report = Report::default();
    report.sections.push(Section::new("a", "Alone"));
    report.sections[0].find(None, "A sentence.");
    assert!(html(&report).contains("A sentence."));
}

#[test]
fn tables_have_all_numbers_in_full_precision_to_download() {
    let report = sample::comparison();
    let page = html(&report);
    let downloads = downloads(&page);
    for (name, content) in csv(&report) {
        let found = downloads.iter().any(|(_, csv)| *csv == content);
        assert!(found, "{name} among {:?}", downloads.iter().map(|(name, _)| name).collect::<Vec<_>>());
    }
}

#[test]
fn every_number_of_a_figure_is_in_its_data() {
    for report in [sample::single(), sample::comparison(), sample::deep()] {
        let page = html(&report);
        let downloads = downloads(&page);
        let all = |name: &str| {
            downloads.iter().filter(|(file, _)| file.starts_with(name)).map(|(_, csv)| csv.as_str()).collect::<String>()
        };
        for figure in report.sections.iter().flat_map(|section| &section.figures) {
            let csv = all(&figure.name);
            let fields: std::collections::HashSet<&str> = csv.split([',', '\n']).collect();
            let mut numbers: Vec<f64> = Vec::new();
            for panel in &figure.panels {
                match panel {
                    Panel::Chart(chart) => {
                        let points = chart.series.iter().flat_map(|series| &series.points);
                        numbers.extend(
                            points.flat_map(|point| point.range.into_iter().flatten().chain([point.x, point.y])),
                        );
                    }
                    Panel::HeatMap(map) => numbers.extend(map.values.iter().flatten().flatten()),
                    Panel::Pictures(_) | Panel::Network(_) => {}
                }
            }
            for number in numbers {
                assert!(fields.contains(number.to_string().as_str()), "{}: {number}", figure.name);
            }
        }
    }
}

#[test]
fn what_belongs_to_a_network_can_be_hidden_with_it() {
    let report = sample::comparison();
    let page = html(&report);
    let body = body(&page);
    for place in 0..3 {
        for element in ["<g data-n", "<tr data-n", "<li data-n", "<figure data-n"] {
            assert!(body.contains(&format!("{element}=\"{place}\"")), "{element} of {place}");
        }
    }
    let single = html(&sample::single());
    assert!(!single.contains("<tr data-n"), "one network cannot be hidden");
}

#[test]
fn long_names_lose_their_middle_and_can_be_read_whole() {
    let page = html(&sample::comparison());
    assert!(page.contains(&format!("title=\"{}\"", sample::LONG)));
    assert!(page.contains("/home/…/model-step-0000450000.safetensors"));
}

#[test]
fn rows_and_marks_of_a_block_are_found_together() {
    let page = html(&sample::single());
    let body = body(&page);
    let of = |element: &str| body.matches(&format!("{element} data-b=\"stage2.block2\"")).count();
    assert!(of("<tr") >= 3, "rows: {}", of("<tr"));
    assert!(of("<g class=\"m\" role=\"img\"") >= 4, "marks: {}", of("<g class=\"m\" role=\"img\""));
    assert!(body.contains("data-b=\"stage2.block2 stage2.block3\""), "fields of heat maps have two");
}

#[test]
fn numbers_have_the_real_minus_sign() {
    let page = html(&sample::single());
    let body = body(&page);
    let texts = body.split('>').skip(1).filter_map(|rest| rest.split('<').next());
    for text in texts {
        let bytes = text.trim().as_bytes();
        let starts_with_hyphen = bytes.len() > 1 && bytes[0] == b'-' && bytes[1].is_ascii_digit();
        assert!(!starts_with_hyphen && !text.contains(" -0"), "{text}");
    }
    assert!(page.contains("−0.754"));
}
