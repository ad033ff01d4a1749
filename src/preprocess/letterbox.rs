//! Pixels to the `image` tensor: scaled to fit, centred, bars in the manifest's colour.

use std::{cell::RefCell, sync::Arc};

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use image::RgbImage;

use crate::artefacts::ImageInput;

/// One photo as the models read it: uint8 `[height, width, 3]`, RGB, rows from the top. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct PhotoTensor {
    pixels: Arc<[u8]>,
    area: PhotoArea,
}

/// Where the photo lies between the letterbox's bars, in shares of the input's width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhotoArea {
    pub left: f32,
    pub top: f32,
    pub width: f32,
    pub height: f32,
}

impl PhotoTensor {
    /// Pixels that fit the model already: uint8 `[height, width, 3]`, RGB, rows from the top. All of them are the photo.
    pub fn from_pixels(pixels: &[u8]) -> Self {
        let area = PhotoArea { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
        Self { pixels: pixels.into(), area }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.pixels
    }

    pub fn area(&self) -> PhotoArea {
        self.area
    }
}

thread_local! {
    /// Keeps the buffers of its passes from one photo to the next.
    static RESIZER: RefCell<Resizer> = RefCell::new(Resizer::new());
}

/// Fits photos of any size into the models' input without changing their aspect ratio.
#[derive(Debug, Clone, Copy)]
pub struct Letterbox {
    input: ImageInput,
}

impl Letterbox {
    pub fn new(input: ImageInput) -> Self {
        Self { input }
    }

    /// Longer side of the models' input in pixels: a photo needs no more of its own.
    pub fn side(&self) -> u32 {
        self.input.width.max(self.input.height)
    }

    /// Scales by an antialiased triangle filter. The photo must have pixels, as one from
    /// [`decode_photo`](super::decode_photo) has.
    pub fn apply(&self, photo: &RgbImage) -> PhotoTensor {
        let ImageInput { height, width, letterbox } = self.input;
        let (inner_width, inner_height) = self.inner_size(photo.width(), photo.height());
        let mut canvas = letterbox.repeat(width as usize * height as usize);

        let mut scaled = Image::new(inner_width, inner_height, PixelType::U8x3);
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        let source = ImageRef::new(photo.width(), photo.height(), photo.as_raw(), PixelType::U8x3);
        let resized = RESIZER.with_borrow_mut(|resizer| {
            source.is_ok_and(|source| resizer.resize(&source, &mut scaled, &options).is_ok())
        });
        debug_assert!(resized, "both images are U8x3 and hold width * height pixels");

        let (left, top) = ((width - inner_width) / 2, (height - inner_height) / 2);
        let (first_byte, row_bytes) = (left as usize * 3, inner_width as usize * 3);
        let target_rows = canvas.chunks_exact_mut(width as usize * 3).skip(top as usize);
        for (target, row) in target_rows.zip(scaled.buffer().chunks_exact(row_bytes)) {
            target[first_byte..first_byte + row_bytes].copy_from_slice(row);
        }
        let area = PhotoArea {
            left: left as f32 / width as f32,
            top: top as f32 / height as f32,
            width: inner_width as f32 / width as f32,
            height: inner_height as f32 / height as f32,
        };
        PhotoTensor { pixels: canvas.into(), area }
    }

    /// Width and height of the photo inside the input, at least one pixel each.
    fn inner_size(&self, width: u32, height: u32) -> (u32, u32) {
        let scale = f64::min(
            f64::from(self.input.width) / f64::from(width),
            f64::from(self.input.height) / f64::from(height),
        );
        let fit = |side: u32, most: u32| ((f64::from(side) * scale).round() as u32).clamp(1, most);
        (fit(width, self.input.width), fit(height, self.input.height))
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use proptest::prelude::*;

    use super::*;

    const BARS: [u8; 3] = [7, 130, 251];

    /// A photo whose red says how far to the right a pixel is and whose green how far down, from 0 to 200; no blue.
    fn map(width: u32, height: u32) -> RgbImage {
        let share = |at: u32, of: u32| ((f64::from(at) + 0.5) / f64::from(of) * 200.0).round() as u8;
        RgbImage::from_fn(width, height, |x, y| Rgb([share(x, width), share(y, height), 0]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The inverse of the letterbox: every pixel inside the bars shows the place of the photo that lies there, and every
        /// other one is a bar.
        #[test]
        fn a_pixel_shows_the_place_of_the_photo_that_lies_under_it(
            (width, height) in (1_u32..700, 1_u32..700),
            (input_width, input_height) in (1_u32..160, 1_u32..160),
        ) {
            let input = ImageInput { width: input_width, height: input_height, letterbox: BARS };
            let tensor = Letterbox::new(input).apply(&map(width, height));
            prop_assert_eq!(tensor.as_bytes().len(), (input_width * input_height * 3) as usize);

            let scale = f64::min(f64::from(input_width) / f64::from(width), f64::from(input_height) / f64::from(height));
            let inside = |side: u32, most: u32| ((f64::from(side) * scale).round() as u32).clamp(1, most);
            let (inner_width, inner_height) = (inside(width, input_width), inside(height, input_height));
            let (left, top) = ((input_width - inner_width) / 2, (input_height - inner_height) / 2);
            // A pixel covers a piece of the photo; the filter reaches one more on either side.
            let blur = |inner: u32, side: u32| 200.0 * (1.5 / f64::from(inner)).max(1.5 / f64::from(side)) + 2.0;
            for (at, pixel) in (0..).zip(tensor.as_bytes().chunks_exact(3)) {
                let (x, y) = (at % input_width, at / input_width);
                let inside = (left..left + inner_width).contains(&x) && (top..top + inner_height).contains(&y);
                if !inside {
                    prop_assert_eq!(pixel, BARS, "at {}, {}", x, y);
                    continue;
                }
                let place = |at: u32, start: u32, inner: u32| (f64::from(at - start) + 0.5) / f64::from(inner) * 200.0;
                let (right, down) = (place(x, left, inner_width), place(y, top, inner_height));
                prop_assert!((f64::from(pixel[0]) - right).abs() <= blur(inner_width, width), "{pixel:?} at {x}, {y}: {right}");
                prop_assert!((f64::from(pixel[1]) - down).abs() <= blur(inner_height, height), "{pixel:?} at {x}, {y}: {down}");
                prop_assert_eq!(pixel[2], 0);
            }
        }
    }
}
