//! Photo bytes to pixels: bounded, oriented, opaque RGB.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage,
    codecs::jpeg::JpegEncoder, error::LimitErrorKind,
};

/// What a photo may be. Size is read from the header, before any pixel is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhotoLimits {
    /// Bytes of the file.
    pub max_bytes: usize,
    /// Pixels of either side, at least.
    pub min_side: u32,
    /// Pixels of either side, at most.
    pub max_side: u32,
    /// Width times height, at most.
    pub max_pixels: u64,
}

impl Default for PhotoLimits {
    /// Takes every phone's photo and refuses a single-pixel tracker and a decompression bomb.
    fn default() -> Self {
        Self { max_bytes: 12 << 20, min_side: 16, max_side: 16_384, max_pixels: 64_000_000 }
    }
}

/// Why bytes are not a usable photo.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhotoError {
    #[error("the photo is neither JPEG, PNG nor WebP")]
    UnknownFormat,
    #[error("the photo has {bytes} bytes, at most {max} are taken")]
    TooManyBytes { bytes: usize, max: usize },
    #[error(
        "the photo is {width}x{height} pixels; at most {max_side} a side and {max_pixels} in all are taken"
    )]
    TooManyPixels { width: u32, height: u32, max_side: u32, max_pixels: u64 },
    #[error("the photo is {width}x{height} pixels; at least {min_side} a side are needed to see anything")]
    TooSmall { width: u32, height: u32, min_side: u32 },
    #[error("the photo ends too early; it was cut off on its way")]
    Truncated,
    #[error("the photo cannot be decoded: {0}")]
    Broken(String),
}

/// Decodes a JPEG, PNG or WebP to upright RGB; transparency is laid on white.
///
/// Of an animation the first frame counts; 16-bit and CMYK files become 8-bit RGB.
pub fn decode_photo(bytes: &[u8], limits: &PhotoLimits) -> Result<RgbImage, PhotoError> {
    if bytes.len() > limits.max_bytes {
        return Err(PhotoError::TooManyBytes { bytes: bytes.len(), max: limits.max_bytes });
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| PhotoError::Broken(error.to_string()))?;
    let format = reader.format().ok_or(PhotoError::UnknownFormat)?;

    // The decoder's own working memory: room for 16-bit RGBA and a copy of it.
    let mut decoder_limits = Limits::default();
    decoder_limits.max_alloc = Some(limits.max_pixels.saturating_mul(16));
    reader.limits(decoder_limits);
    let mut decoder = reader.into_decoder().map_err(refusal)?;
    check_size(decoder.dimensions(), limits)?;
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        return Err(PhotoError::Truncated);
    }

    // A photo whose orientation cannot be read is shown as it is stored, as browsers do.
    let orientation = decoder.orientation().ok();
    let mut photo = DynamicImage::from_decoder(decoder).map_err(refusal)?;
    if let Some(orientation) = orientation {
        photo.apply_orientation(orientation);
    }
    Ok(if photo.color().has_alpha() { on_white(&photo.into_rgba8()) } else { photo.into_rgb8() })
}

/// A JPEG of the photo with its longer side at `side` pixels (never enlarged).
pub fn thumbnail(photo: &RgbImage, side: u32) -> Result<Vec<u8>, PhotoError> {
    let small = DynamicImage::ImageRgb8(photo.clone());
    let small = if photo.width().max(photo.height()) > side { small.thumbnail(side, side) } else { small };
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 80)
        .encode_image(&small.into_rgb8())
        .map_err(|error| PhotoError::Broken(error.to_string()))?;
    Ok(jpeg)
}

fn check_size((width, height): (u32, u32), limits: &PhotoLimits) -> Result<(), PhotoError> {
    let PhotoLimits { min_side, max_side, max_pixels, .. } = *limits;
    if width.max(height) > max_side || u64::from(width) * u64::from(height) > max_pixels {
        return Err(PhotoError::TooManyPixels { width, height, max_side, max_pixels });
    }
    if width.min(height) < min_side {
        return Err(PhotoError::TooSmall { width, height, min_side });
    }
    Ok(())
}

fn refusal(error: ImageError) -> PhotoError {
    match error {
        ImageError::Unsupported(_) => PhotoError::UnknownFormat,
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => PhotoError::Truncated,
        ImageError::Limits(e) if e.kind() == LimitErrorKind::InsufficientMemory => {
            PhotoError::Broken("decoding it would take too much memory".into())
        }
        other => PhotoError::Broken(other.to_string()),
    }
}

fn on_white(photo: &RgbaImage) -> RgbImage {
    RgbImage::from_fn(photo.width(), photo.height(), |x, y| {
        let [r, g, b, alpha] = photo.get_pixel(x, y).0.map(u16::from);
        let blend = |channel: u16| ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        image::Rgb([blend(r), blend(g), blend(b)])
    })
}

/// Whether an end-of-image marker follows the start of the first scan.
///
/// The decoder fills in grey what a cut-off file lacks, so the cut must be found here. Inside entropy-coded data every
/// `FF` is followed by `00` or a restart marker (ITU T.81, F.1.2.3), so `FF D9` after the scan's start is the real end;
/// one before it may belong to the thumbnail inside the EXIF segment.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
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
