//! Pixels to the `image` tensor: scaled to fit, centred, bars in the manifest's colour.

use std::{cell::RefCell, sync::Arc};

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use image::RgbImage;

use crate::artefacts::ImageInput;

/// One photo as the models read it: uint8 `[height, width, 3]`, RGB, rows from the top. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoTensor(Arc<[u8]>);

impl PhotoTensor {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
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
        let mut canvas: Vec<u8> =
            letterbox.iter().copied().cycle().take(width as usize * height as usize * 3).collect();

        let mut scaled = Image::new(inner_width, inner_height, PixelType::U8x3);
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        let source = ImageRef::new(photo.width(), photo.height(), photo.as_raw(), PixelType::U8x3);
        let resized = RESIZER.with_borrow_mut(|resizer| {
            source.is_ok_and(|source| resizer.resize(&source, &mut scaled, &options).is_ok())
        });
        debug_assert!(resized, "both images are U8x3 and hold width * height pixels");

        let row_bytes = inner_width as usize * 3;
        let left = (width - inner_width) as usize / 2 * 3;
        let top = (height - inner_height) as usize / 2;
        let target_rows = canvas.chunks_exact_mut(width as usize * 3).skip(top);
        for (target, row) in target_rows.zip(scaled.buffer().chunks_exact(row_bytes)) {
            target[left..left + row_bytes].copy_from_slice(row);
        }
        PhotoTensor(canvas.into())
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
