//! Colours: names for the page's style sheet to fill in, and one ramp for quantities.

use plotters::style::RGBColor;

/// How many colours networks take in turn: those of Okabe and Ito that can be told apart in print, on light and on dark.
pub(in crate::report) const NETWORKS: usize = 6;

/// What a colour stands for; its looks follow the page's light or dark scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Colour {
    /// Text and lines that must be seen.
    Ink,
    /// Labels and lines that stand back.
    Muted,
    /// Grid lines.
    Grid,
    /// What everything is drawn on.
    Paper,
    /// The network at this place of the report.
    Network(usize),
}

impl Colour {
    /// A stand-in for plotters, which knows no variables; [`resolve`] replaces it.
    pub(super) fn rgb(self) -> RGBColor {
        match self {
            Self::Ink => RGBColor(1, 1, 1),
            Self::Muted => RGBColor(1, 1, 2),
            Self::Grid => RGBColor(1, 1, 3),
            Self::Paper => RGBColor(1, 1, 4),
            Self::Network(place) => RGBColor(1, 2, (place % NETWORKS) as u8),
        }
    }
}

/// Replaces the stand-ins in plotters' SVG by variables of the style sheet.
pub(super) fn resolve(svg: &str) -> String {
    let named = [
        (Colour::Ink, "ink".to_owned()),
        (Colour::Muted, "muted".into()),
        (Colour::Grid, "grid".into()),
        (Colour::Paper, "paper".into()),
    ];
    let networks = (0..NETWORKS).map(|place| (Colour::Network(place), format!("n{place}")));
    named.into_iter().chain(networks).fold(svg.to_owned(), |svg, (colour, name)| {
        let RGBColor(r, g, b) = colour.rgb();
        svg.replace(&format!("\"#{r:02X}{g:02X}{b:02X}\""), &format!("\"var(--{name})\""))
    })
}

/// Dark blue at 0 to pale yellow at 1: a straight line in Oklab, so that equal steps of the value look equally large,
/// also to eyes that confuse red and green.
pub(in crate::report) fn ramp(value: f64) -> RGBColor {
    const LOW: [f64; 3] = [0.24, -0.012, -0.095];
    const HIGH: [f64; 3] = [0.94, -0.022, 0.115];
    let value = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
    let [l, a, b] = std::array::from_fn(|axis| LOW[axis] + value * (HIGH[axis] - LOW[axis]));
    let long = (l + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let medium = (l - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let short = (l - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
    RGBColor(
        channel(4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short),
        channel(-1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short),
        channel(-0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701 * short),
    )
}

/// The sRGB transfer function.
fn channel(linear: f64) -> u8 {
    let linear = linear.clamp(0.0, 1.0);
    let encoded = if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
    (255.0 * encoded).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_grows_brighter_all_the_way() {
        let light = |value| {
            let RGBColor(r, g, b) = ramp(value);
            0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
        };
        let steps: Vec<f64> = (0..=20).map(|step| light(f64::from(step) / 20.0)).collect();
        assert!(steps.windows(2).all(|pair| pair[0] < pair[1]), "{steps:?}");
        assert_eq!((ramp(f64::NAN), ramp(-3.0)), (ramp(0.0), ramp(0.0)));
    }

    #[test]
    fn stand_ins_become_variables() {
        assert_eq!(
            resolve("<a fill=\"#010102\" stroke=\"#010205\"/>"),
            "<a fill=\"var(--muted)\" stroke=\"var(--n5)\"/>"
        );
    }
}
