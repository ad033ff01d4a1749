//! What JPEG offers beyond pixels: decoding at a fraction of the size, and an end that can be looked for.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::RgbImage;
use mozjpeg::{ColorSpace, Decompress};

/// The fractions that the inverse cosine transform can be taken at, in eighths.
const EIGHTHS: [u8; 3] = [1, 2, 4];

/// Decodes a photo of this width and height at the smallest fraction of its size whose longer side has `side` pixels.
/// None where that is its whole size, and where libjpeg does not manage: what is wrong is then for the full decoder to say.
///
/// At an eighth only the mean of each block of 8 x 8 is computed, so the inverse transform, the upsampling and the scaling
/// that follows cost next to nothing, and reading the entropy code is what is left.
pub(super) fn decode_reduced(bytes: &[u8], (width, height): (u32, u32), side: u32) -> Option<RgbImage> {
    let longer = u64::from(width.max(height));
    let eighths = EIGHTHS.into_iter().find(|eighths| longer * u64::from(*eighths) / 8 >= u64::from(side))?;
    // libjpeg reports an error by unwinding; nothing of the half-decoded photo is used after that.
    catch_unwind(AssertUnwindSafe(|| decode(bytes, eighths))).ok().flatten()
}

fn decode(bytes: &[u8], eighths: u8) -> Option<RgbImage> {
    let mut decoder = Decompress::new_mem(bytes).ok()?;
    if matches!(decoder.color_space(), ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK) {
        return None;
    }
    decoder.scale(eighths);
    let mut started = decoder.rgb().ok()?;
    let (width, height) = (u32::try_from(started.width()).ok()?, u32::try_from(started.height()).ok()?);
    let pixels: Vec<u8> = started.read_scanlines().ok()?;
    started.finish().ok()?;
    RgbImage::from_raw(width, height, pixels)
}

/// Whether an end-of-image marker follows the start of the first scan.
///
/// The decoder fills in grey what a cut-off file lacks, so the cut must be found here. Inside entropy-coded data every
/// `FF` is followed by `00` or a restart marker (ITU T.81, F.1.2.3), so `FF D9` after the scan's start is the real end;
/// one before it may belong to the thumbnail inside the EXIF segment.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            START_OF_SCAN => return bytes[at..].windows(2).any(|pair| pair == [0xFF, 0xD9]),
            0xFF => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}
