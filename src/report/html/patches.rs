use image::{ExtendedColorType, ImageEncoder, RgbaImage};

use super::element;
use crate::report::result::{BlockOutline, Measurements, Outline, Patch, StageOutline};
use crate::report::table::Table;
use crate::report::{number, summary};
use crate::{Error, Result};

/// Of a stage with more blocks so many are shown, the first and the last among them.
const MOST_ROWS: usize = 24;
/// Larger pictures are made smaller, to about the room that they have on the page.
const MOST_SIDE: usize = 96;

/// The paper's Figure 4: what excites one filter of every stage, a row of pictures a block.
pub(super) fn section(networks: &[Measurements]) -> Result<String> {
    let has = |network: &Measurements| network.patches.as_ref().is_some_and(|blocks| !blocks.is_empty());
    if !networks.iter().any(has) {
        return Ok(String::new());
    }
    let mut body = element::prose(
        "One filter of each stage, followed through its blocks: the patches of the data that excite it most, at most one a \
         sample, the greatest activation first (paper, Figure 4). A patch is what the unit sees, its receptive field, \
         which grows from block to block; where it reaches beyond the sample nothing is shown. The filter is the one whose \
         greatest activation in a sample varies most over the samples, after the stage’s last block.",
    );
    body += &element::prose(
        "If a stage refines one estimate, the same filter keeps its meaning: alike patches from row to row, and more and \
         more of the samples that excite it at the end.",
    );
    body += &element::seen(networks, sentence);
    for network in networks.iter().filter(|network| has(network)) {
        if networks.len() > 1 {
            body += &format!("<h3>{}</h3>\n", element::escape(&network.target));
        }
        for stage in &network.outline.stages {
            body += &pictures(network, stage)?;
        }
    }
    body += &element::numbers("Every patch", table(networks));
    Ok(element::section("patches", "What excites one filter", &body))
}

fn sentence(network: &Measurements) -> Option<String> {
    let blocks = network.patches.as_ref()?;
    let stages = network.outline.stages.iter().filter_map(|stage| {
        let shared = summary::shared_patches(blocks, stage);
        let [(_, _, first), .., (_, _, before), (_, last, count)] = shared[..] else { return None };
        Some(format!("{} (filter {}) {first}, then {before} of {count}", stage.name, last.filter))
    });
    let stages: Vec<String> = stages.collect();
    (!stages.is_empty()).then(|| {
        let stages = stages.join("; ");
        format!("Of the samples of the last block, those of the first block and of the last but one share: {stages}.")
    })
}

/// The rows of one stage.
fn pictures(network: &Measurements, stage: &StageOutline) -> Result<String> {
    let shared = network.patches.iter().flat_map(|blocks| summary::shared_patches(blocks, stage));
    let shared: Vec<_> = shared.collect();
    let Some((_, found, _)) = shared.first() else { return Ok(String::new()) };
    let few = match shared.len() {
        rows if rows > MOST_ROWS => format!(", {MOST_ROWS} of its {rows} blocks"),
        _ => String::new(),
    };
    let mut grid = format!("<h4>{}, filter {}{few}</h4>\n", element::escape(&stage.name), found.filter);
    grid += "<div class=\"scroll\" tabindex=\"0\"><div class=\"patches\">\n";
    for (row, (name, found, _)) in shared.iter().enumerate() {
        let Some(block) = stage.blocks.iter().find(|block| block.name() == *name) else { continue };
        if !is_shown(row, shared.len()) {
            continue;
        }
        grid += &format!("<span>{}</span>", element::escape(name.rsplit('.').next().unwrap_or(name)));
        for place in 0..9 {
            grid += &match found.patches.get(place) {
                Some(patch) => picture(&network.outline, block, patch)?,
                None => "<span></span>".into(),
            };
        }
        grid.push('\n');
    }
    Ok(grid + "</div></div>\n")
}

/// Whether a row is among the few that stand for many.
fn is_shown(row: usize, rows: usize) -> bool {
    rows <= MOST_ROWS || (0..MOST_ROWS).any(|shown| shown * (rows - 1) / (MOST_ROWS - 1) == row)
}

fn picture(outline: &Outline, block: &BlockOutline, patch: &Patch) -> Result<String> {
    let Some(image) = framed(outline, block, patch) else { return Ok("<span></span>".into()) };
    let large = image.width().max(image.height()) as usize > MOST_SIDE;
    let image = if large {
        let scale = MOST_SIDE as f64 / f64::from(image.width().max(image.height()));
        let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        image::imageops::thumbnail(&image, side(image.width()), side(image.height()))
    } else {
        image
    };
    let mut bytes = Vec::new();
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(image.as_raw(), image.width(), image.height(), ExtendedColorType::Rgba8)
        .map_err(|fault| Error::Usage(format!("a patch of {} cannot be drawn: {fault}", block.name())))?;
    let about = format!(
        "sample {}, {}, activation {} at row {}, column {}",
        patch.sample,
        patch.class,
        number::real(f64::from(patch.activation)),
        patch.row,
        patch.column,
    );
    let about = element::escape(&about);
    let class = if large { "" } else { " class=\"crisp\"" };
    Ok(format!("<img{class} alt=\"{about}\" title=\"{about}\" src=\"data:image/png;base64,{}\">", base64(&bytes)))
}

/// The patch within its whole receptive field, or, where that is larger than a sample, within the sample. `None` where
/// the pixels are not at hand.
fn framed(outline: &Outline, block: &BlockOutline, patch: &Patch) -> Option<RgbaImage> {
    let [channels, height, width] = outline.input[..] else { return None };
    let plane = patch.height * patch.width;
    if plane == 0 || patch.pixels.len() != channels * plane {
        return None;
    }
    // Side of the frame, and where the patch stands in it.
    let frame = |i: usize, first: usize, side: usize| match block.receptive_field {
        Some(field) if field.size < side => (field.size, (first as isize - field.first_row(i)) as usize),
        _ => (side, first),
    };
    let (rows, top) = frame(patch.row, patch.top, height);
    let (columns, left) = frame(patch.column, patch.left, width);
    let mut image = RgbaImage::new(columns as u32, rows as u32);
    for row in 0..patch.height {
        for column in 0..patch.width {
            let value = |channel: usize| patch.pixels[channel * plane + row * patch.width + column];
            let [red, green, blue] = if channels == 3 { [0, 1, 2].map(value) } else { [value(0); 3] };
            let place = image.get_pixel_mut_checked((left + column) as u32, (top + row) as u32)?;
            *place = image::Rgba([red, green, blue, u8::MAX]);
        }
    }
    Some(image)
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place > group.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

fn table(networks: &[Measurements]) -> Table {
    let mut table = Table::new([
        "network",
        "<block",
        "filter",
        "sample",
        "<class",
        "activation",
        "row",
        "column",
        "<rows and columns that it sees",
    ]);
    for network in networks {
        for (block, found) in network.patches.iter().flatten() {
            for patch in &found.patches {
                table.row([
                    network.target.clone(),
                    block.clone(),
                    found.filter.to_string(),
                    patch.sample.to_string(),
                    patch.class.clone(),
                    number::real(f64::from(patch.activation)),
                    patch.row.to_string(),
                    patch.column.to_string(),
                    format!(
                        "{}–{}, {}–{}",
                        patch.top,
                        patch.top + patch.height - 1,
                        patch.left,
                        patch.left + patch.width - 1
                    ),
                ]);
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::ReceptiveField;
    use crate::report::sample;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        cases.iter().for_each(|(text, expected)| assert_eq!(base64(text.as_bytes()), *expected));
    }

    #[test]
    fn what_lies_beyond_the_sample_is_transparent() {
        let outline = Outline { input: vec![3, 4, 4], ..sample::residual().outline };
        let field = Some(ReceptiveField { size: 3, jump: 1, start: -1 });
        let block = BlockOutline { receptive_field: field, ..outline.stages[0].blocks[0].clone() };
        let pixels = (0..12).collect();
        let patch = Patch {
            sample: 7,
            class: "a".into(),
            activation: 1.0,
            row: 0,
            column: 3,
            top: 0,
            left: 2,
            height: 2,
            width: 2,
            pixels,
        };
        let image = framed(&outline, &block, &patch).unwrap();
        assert_eq!(image.dimensions(), (3, 3));
        for (x, y, pixel) in image.enumerate_pixels() {
            let expected = match (y, x) {
                (0, _) | (_, 2) => [0; 4],
                (y, x) => {
                    [0, 4, 8].map(|plane| (plane + (y - 1) * 2 + x) as u8).into_iter().chain([255]).collect::<Vec<_>>()
                        [..]
                        .try_into()
                        .unwrap()
                }
            };
            assert_eq!(pixel.0, expected, "{x} {y}");
        }
        let wide = BlockOutline { receptive_field: Some(ReceptiveField { size: 9, jump: 1, start: -4 }), ..block };
        assert_eq!(framed(&outline, &wide, &patch).unwrap().dimensions(), (4, 4));
        assert!(framed(&outline, &wide, &Patch { pixels: Vec::new(), ..patch }).is_none());
    }

    #[test]
    fn rows_that_are_not_shown_are_told() {
        let mut network = sample::highway(0);
        let stage = network.outline.stages[0].clone();
        let none = crate::report::result::Patches { filter: 3, patches: Vec::new() };
        let of = |blocks: &[BlockOutline]| Some(blocks.iter().map(|b| (b.name().to_owned(), none.clone())).collect());
        network.patches = of(&stage.blocks);
        assert!(pictures(&network, &stage).unwrap().starts_with("<h4>stage1, filter 3, 24 of its 49 blocks</h4>"));
        network.patches = of(&stage.blocks[..24]);
        assert!(pictures(&network, &stage).unwrap().starts_with("<h4>stage1, filter 3</h4>"));
    }

    #[test]
    fn few_rows_stand_for_many() {
        let shown = |rows| (0..rows).filter(|&row| is_shown(row, rows)).collect::<Vec<_>>();
        assert_eq!(shown(24).len(), 24);
        let many = shown(3000);
        assert_eq!((many.len(), many[0], many[23]), (24, 0, 2999));
    }
}
