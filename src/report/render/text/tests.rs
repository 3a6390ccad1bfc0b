use super::*;
use crate::report::render::sample;
use crate::report::section::{Cell, Column, Format};

#[test]
fn lines_fit_the_terminal() {
    for report in [sample::single(), sample::deep()] {
        for width in [80, 120] {
            for line in text(&report, width).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn tables_about_blocks_are_one_table_in_groups_of_columns() {
    let text = text(&sample::single(), 120);
    let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("block ")).collect();
    assert!(heads.len() >= 2, "{text}");
    let rows = text.lines().filter(|line| line.starts_with("stage2.block5 (layer2.4) ")).count();
    assert_eq!(rows, heads.len(), "every group has a row for every block");
    assert!(text.contains("Estimation error") && text.contains("Leaving one block out"));
    // A block that one of the tables lacks has a row all the same.
    assert!(text.lines().any(|line| line.starts_with("stage2.block4 (layer2.3)")));
    assert!(!text.contains("why it cannot be left out"), "columns that are not brief are left to the report");
}

#[test]
fn rows_beyond_the_brief_ones_are_counted() {
    let text = text(&sample::single(), 100);
    assert!(text.contains("75 more rows are in the report.\n"), "{text}");
    assert!(text.contains("233 more rows are in the report.\n"));
}

#[test]
fn sentences_stand_below_the_tables_and_name_their_network() {
    let single = text(&sample::single(), 100);
    let sentence = single.find("The standard deviation falls").unwrap();
    assert!(sentence > single.rfind("──").unwrap());
    assert!(!single.contains("resnet56.th: The standard"));
    let several = text(&sample::comparison(), 100);
    assert!(several.contains("resnet56.th: The standard deviation falls"));
    let lines: Vec<&str> = several.lines().collect();
    for name in ["resnet56.th", sample::HOSTILE, sample::LONG] {
        assert!(lines.contains(&name), "{name} stands above its table of blocks");
    }
}

#[test]
fn text_has_no_markup() {
    let text = text(&sample::single(), 100);
    assert!(!text.contains('`'));
    assert!(text.contains("mean of a_k − A"));
}

#[test]
fn empty_columns_are_left_out_and_control_characters_are_shown() {
    let mut section = Section::new("a", "A section");
    let columns =
        [Column::text("name", "name"), Column::new("x", "nothing", Format::Real), Column::new("y", "y", Format::Real)];
    let mut table = Table::new("a", "", RowKey::Other, columns);
    table.push(["\u{1b}[31mred".into(), Cell::Empty, (-1.5).into()]);
    section.tables.push(table);
    let report = Report { sections: vec![section, Section::new("empty", "Empty")], ..Report::default() };
    let text = text(&report, 80);
    assert_eq!(text, "A section\nname                y\n─────────────  ──────\n\\u001b[31mred  −1.500\n");
}
