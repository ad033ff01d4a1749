//! Photo bytes to pixels: bounded, oriented, opaque RGB.

use std::io::Cursor;

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage,
    codecs::jpeg::JpegEncoder, error::LimitErrorKind,
};

use super::jpeg;

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

/// How many of a photo's pixels are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All of them.
    Full,
    /// Enough for a picture whose longer side has this many pixels. A JPEG far larger than that is decoded at a half, a
    /// quarter or an eighth of its size, which leaves out most of the work.
    Side(u32),
}

/// Decodes a JPEG, PNG or WebP to upright RGB; transparency is laid on white.
///
/// Of an animation the first frame counts; 16-bit and CMYK files become 8-bit RGB.
pub fn decode_photo(bytes: &[u8], limits: &PhotoLimits, detail: Detail) -> Result<RgbImage, PhotoError> {
    if bytes.len() > limits.max_bytes {
        return Err(PhotoError::TooManyBytes { bytes: bytes.len(), max: limits.max_bytes });
    }
    let format = image::guess_format(bytes).map_err(|_| PhotoError::UnknownFormat)?;
    // The decoder copies all that it is given.
    let head = if format == ImageFormat::Jpeg { jpeg::head(bytes) } else { bytes };
    let mut decoder = full_decoder(head, format, limits)?;
    check_size(decoder.dimensions(), limits)?;
    if format == ImageFormat::Jpeg && !jpeg::is_complete(bytes) {
        return Err(PhotoError::Truncated);
    }

    // A photo whose orientation cannot be read is shown as it is stored, as browsers do.
    let orientation = decoder.orientation().ok();
    let reduced = match (format, detail) {
        (ImageFormat::Jpeg, Detail::Side(side)) => jpeg::decode_reduced(bytes, decoder.dimensions(), side),
        _ => None,
    };
    let mut photo = match reduced {
        Some(photo) => DynamicImage::ImageRgb8(photo),
        None => DynamicImage::from_decoder(full_decoder(bytes, format, limits)?).map_err(refusal)?,
    };
    if let Some(orientation) = orientation {
        photo.apply_orientation(orientation);
    }
    Ok(if photo.color().has_alpha() { on_white(&photo.into_rgba8()) } else { photo.into_rgb8() })
}

fn full_decoder<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    limits: &PhotoLimits,
) -> Result<impl ImageDecoder + 'a, PhotoError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // The decoder's own working memory: room for 16-bit RGBA and a copy of it.
    let mut decoder_limits = Limits::default();
    decoder_limits.max_alloc = Some(limits.max_pixels.saturating_mul(16));
    reader.limits(decoder_limits);
    reader.into_decoder().map_err(refusal)
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

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: u32 = 1_600;
    const HEIGHT: u32 = 1_200;

    /// Red grows to the right, green downwards, so that a photo turned or mirrored is another one.
    fn gradient() -> RgbImage {
        RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
            image::Rgb([(x * 255 / WIDTH) as u8, (y * 255 / HEIGHT) as u8, 128])
        })
    }

    fn jpeg(photo: &RgbImage) -> Vec<u8> {
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(photo).unwrap();
        jpeg
    }

    /// Puts an EXIF segment with this orientation after the start of the image.
    fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let tiff = [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[orientation], &[0; 6]];
        let exif = [b"Exif\0\0".as_slice(), &tiff.concat()].concat();
        let length = (exif.len() as u16 + 2).to_be_bytes();
        [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat()
    }

    fn decode(bytes: &[u8], detail: Detail) -> RgbImage {
        decode_photo(bytes, &PhotoLimits::default(), detail).unwrap()
    }

    /// Largest difference of a channel between a small photo and the same places of a large one.
    fn difference(small: &RgbImage, large: &RgbImage) -> u8 {
        let pixels = small.enumerate_pixels().map(|(x, y, pixel)| {
            let at = |place: u32, small: u32, large: u32| (2 * place + 1) * large / (2 * small);
            let there =
                large.get_pixel(at(x, small.width(), large.width()), at(y, small.height(), large.height()));
            std::iter::zip(pixel.0, there.0).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0)
        });
        pixels.max().unwrap_or(0)
    }

    #[test]
    fn a_large_jpeg_is_decoded_at_the_smallest_fraction_that_is_enough() {
        let jpeg = jpeg(&gradient());
        let full = decode(&jpeg, Detail::Full);
        for (side, width) in [(200, 200), (201, 400), (224, 400), (401, 800), (801, 1_600)] {
            let small = decode(&jpeg, Detail::Side(side));
            assert_eq!(small.dimensions(), (width, width * HEIGHT / WIDTH), "for {side}");
            assert!(difference(&small, &full) <= 4, "for {side}: {}", difference(&small, &full));
        }
    }

    #[test]
    fn the_orientation_is_honoured_at_every_size() {
        // 6: the camera was held a quarter turn to the left, so left and right become top and bottom.
        let turned = with_orientation(&jpeg(&gradient()), 6);
        let upright = image::imageops::rotate90(&gradient());
        for detail in [Detail::Full, Detail::Side(200)] {
            let photo = decode(&turned, detail);
            assert_eq!(photo.width() * WIDTH, photo.height() * HEIGHT);
            assert!(difference(&photo, &upright) <= 6, "{}", difference(&photo, &upright));
        }
    }

    #[test]
    fn a_jpeg_with_broken_data_never_takes_the_process_down() {
        let whole = jpeg(&gradient());
        for place in (700..whole.len() - 2).step_by(997) {
            let mut broken = whole.clone();
            broken[place..place + 2].copy_from_slice(&[0xFF, 0xC4]);
            let _ = decode_photo(&broken, &PhotoLimits::default(), Detail::Side(200));
        }
    }
}
