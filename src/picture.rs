//! Small pictures as `data:` addresses, for reports that are one file.

use image::{ExtendedColorType, ImageEncoder, RgbaImage};

/// Larger pictures are made smaller, to about the room that they have on a page.
const MOST_SIDE: u32 = 96;

/// Returns the address of a PNG picture, `data:image/png;base64,…`.
///
/// `pixels` are `[channels, height, width]`; with other than three channels the first one is shown in grey. They stand at
/// `[row, column]` `offset` in a transparent frame of `[rows, columns]`. `None` where they do not fit.
pub(crate) fn png_uri(pixels: &[u8], shape: [usize; 3], frame: [usize; 2], offset: [usize; 2]) -> Option<String> {
    let [channels, height, width] = shape;
    let plane = height * width;
    if plane == 0 || pixels.len() != channels * plane {
        return None;
    }
    let mut image = RgbaImage::new(frame[1] as u32, frame[0] as u32);
    for (row, column) in (0..plane).map(|place| (place / width, place % width)) {
        let value = |channel: usize| pixels[channel * plane + row * width + column];
        let [red, green, blue] = if channels == 3 { [0, 1, 2].map(value) } else { [value(0); 3] };
        let place = image.get_pixel_mut_checked((offset[1] + column) as u32, (offset[0] + row) as u32)?;
        *place = image::Rgba([red, green, blue, u8::MAX]);
    }
    let [height, width] = shown_size(frame).map(|side| side as u32);
    if [image.height(), image.width()] != [height, width] {
        image = image::imageops::thumbnail(&image, width, height);
    }
    let mut bytes = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.write_image(image.as_raw(), image.width(), image.height(), ExtendedColorType::Rgba8).ok()?;
    Some(format!("data:image/png;base64,{}", base64(&bytes)))
}

/// Returns the size of the picture that [`png_uri`] makes of a frame of `[rows, columns]`.
pub(crate) fn shown_size(frame: [usize; 2]) -> [usize; 2] {
    let longest = frame[0].max(frame[1]);
    let scaled = |side: usize| (side as f64 * f64::from(MOST_SIDE) / longest as f64).round().max(1.0) as usize;
    if longest > MOST_SIDE as usize { frame.map(scaled) } else { frame }
}

/// Returns bytes in base64 (RFC 4648).
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_picture_stands_in_its_frame_or_is_none() {
        let uri = png_uri(&[7; 4], [1, 2, 2], [3, 3], [1, 1]).unwrap();
        assert!(uri.starts_with("data:image/png;base64,iVBOR"), "{uri}");
        assert_eq!(png_uri(&[7; 4], [1, 2, 2], [2, 2], [1, 0]), None);
        assert_eq!(png_uri(&[7; 3], [1, 2, 2], [3, 3], [0, 0]), None);
        assert_eq!([[96, 20], [192, 20], [7, 960]].map(shown_size), [[96, 20], [96, 10], [1, 96]]);
    }
}
