//! Colours, as variables of the page's style sheet or as literals of a standalone file.

use std::borrow::Cow;

/// Number of colours that networks take in turn, chosen after Okabe and Ito to be distinct for colour-blind readers.
pub(in crate::report::render) const NETWORK_COLOURS: usize = 6;

/// The colours of standalone files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark on white.
    #[default]
    Light,
    /// Light on dark.
    Dark,
}

/// The role of a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report::render) enum Paint {
    /// Important text and lines.
    Ink,
    /// Labels and lines in the background.
    Muted,
    /// Grid lines.
    Grid,
    /// Borders between stages.
    Border,
    /// The background.
    Paper,
    /// The network at this place of the report, or the series at this place of a chart.
    Network(usize),
    /// A colour of a heat map: red, green, blue.
    Literal([u8; 3]),
}

/// The destination of a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report::render) enum Destination {
    /// A page: its style sheet has the colours, and its script finds marks by their attributes.
    Page,
    /// A standalone file.
    File(Theme),
}

impl Destination {
    /// Returns a colour as the value of an attribute.
    pub(in crate::report::render) fn colour(self, paint: Paint) -> Cow<'static, str> {
        match (self, paint) {
            (_, Paint::Literal([r, g, b])) => format!("#{r:02x}{g:02x}{b:02x}").into(),
            (Self::Page, Paint::Network(place)) => format!("var(--n{})", place % NETWORK_COLOURS).into(),
            (Self::Page, paint) => paint.variable().into(),
            (Self::File(theme), paint) => paint.literal(theme).into(),
        }
    }
}

impl Paint {
    fn variable(self) -> &'static str {
        match self {
            Self::Ink => "var(--ink)",
            Self::Muted => "var(--muted)",
            Self::Grid => "var(--grid)",
            Self::Border => "var(--border)",
            Self::Paper | Self::Network(_) | Self::Literal(_) => "var(--paper)",
        }
    }

    /// Returns the colour that the page's style sheet has too.
    fn literal(self, theme: Theme) -> &'static str {
        const LIGHT: [&str; NETWORK_COLOURS] = ["#0b66a5", "#cf5a0e", "#0a8765", "#b0568c", "#8a6d00", "#5a646f"];
        const DARK: [&str; NETWORK_COLOURS] = ["#6db3ea", "#f2935a", "#54c4a2", "#dd97c2", "#d8bb55", "#a7b1bb"];
        let is_light = theme == Theme::Light;
        let (light, dark) = match self {
            Self::Ink => ("#1c2127", "#eef1f3"),
            Self::Muted => ("#626b75", "#99a3ad"),
            Self::Grid => ("#e6e9eb", "#2b3137"),
            Self::Border => ("#c3c8cd", "#4a525a"),
            Self::Network(place) => (LIGHT[place % NETWORK_COLOURS], DARK[place % NETWORK_COLOURS]),
            Self::Paper | Self::Literal(_) => ("#ffffff", "#14171a"),
        };
        if is_light { light } else { dark }
    }
}

/// Returns the colour of a sequential scale: dark blue at 0, pale yellow at 1. The scale is a straight line in Oklab, so
/// that equal steps look equally large, also to colour-blind readers.
pub(super) fn sequential(share: f64) -> Paint {
    oklab_between([0.24, -0.012, -0.095], [0.94, -0.022, 0.115], share)
}

/// Returns the colour of a diverging scale: blue at -1, nearly white at 0, orange at 1.
pub(super) fn diverging(value: f64) -> Paint {
    const MIDDLE: [f64; 3] = [0.965, 0.0, 0.004];
    let end = if value < 0.0 { [0.42, -0.035, -0.125] } else { [0.55, 0.115, 0.105] };
    oklab_between(MIDDLE, end, value.abs())
}

fn oklab_between(low: [f64; 3], high: [f64; 3], share: f64) -> Paint {
    let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
    let [l, a, b] = std::array::from_fn(|axis| low[axis] + share * (high[axis] - low[axis]));
    let long = (l + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let medium = (l - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let short = (l - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
    Paint::Literal([
        channel(4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short),
        channel(-1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short),
        channel(-0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701 * short),
    ])
}

/// Returns a channel after the sRGB transfer function.
fn channel(linear: f64) -> u8 {
    let linear = linear.clamp(0.0, 1.0);
    let encoded = if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
    (255.0 * encoded).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lightness(paint: Paint) -> f64 {
        let Paint::Literal([r, g, b]) = paint else { panic!("{paint:?}") };
        0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
    }

    #[test]
    fn colours_of_heat_maps_grow_lighter_all_the_way() {
        let steps: Vec<f64> = (0..=20).map(|step| lightness(sequential(f64::from(step) / 20.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
        for sign in [-1.0, 1.0] {
            let steps: Vec<f64> = (0..=20).map(|step| lightness(diverging(sign * f64::from(step) / 20.0))).collect();
            assert!(steps.windows(2).all(|pair| pair[0] > pair[1]), "{steps:?}");
        }
        assert_eq!((sequential(f64::NAN), sequential(-3.0)), (sequential(0.0), sequential(0.0)));
    }

    #[test]
    fn a_page_has_variables_and_a_file_literal_colours() {
        assert_eq!(Destination::Page.colour(Paint::Network(7)), "var(--n1)");
        assert_eq!(Destination::File(Theme::Dark).colour(Paint::Network(7)), "#f2935a");
        assert_eq!(Destination::Page.colour(Paint::Literal([1, 2, 255])), "#0102ff");
    }

    /// The palette is written twice, in the style sheet and here.
    #[test]
    fn files_have_the_colours_of_the_page() {
        let sheet = include_str!("../report.css");
        let [light, dark] = [Theme::Light, Theme::Dark].map(|theme| {
            let networks = (0..NETWORK_COLOURS).map(|place| (format!("n{place}"), Paint::Network(place)));
            let named = [Paint::Ink, Paint::Muted, Paint::Grid, Paint::Border]
                .map(|paint| (paint.variable().trim_start_matches("var(--").trim_end_matches(')').to_owned(), paint));
            networks
                .chain(named)
                .map(|(name, paint)| format!("--{name}: {};", paint.literal(theme)))
                .collect::<Vec<_>>()
        });
        for colour in light.iter().chain(&dark) {
            assert!(sheet.contains(colour.as_str()), "{colour}");
        }
    }
}
