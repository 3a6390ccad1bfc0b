//! Reports as data, and their renderings: text, CSV, JSON, HTML and SVG.
//!
//! A [`Report`] is made of sections with sentences, tables and figures. This module knows no measurement and reads and
//! writes no file: every rendering is a string.

mod render;
mod section;

pub use render::{DataTable, DataValue, SvgOptions, Theme};
pub use render::{counted, csv, data_tables, figures, html, json, separated, short, svg, text};
pub use section::*;
