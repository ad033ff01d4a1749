//! Other views of a photo, as another seller would have taken it.

use image::{RgbImage, imageops};
use rand::Rng;

/// Smallest share of the photo's area that a view shows.
const SMALLEST_AREA: f32 = 0.4;
/// A view's width over height is the photo's, times at most this or divided by it.
const STRETCH: f32 = 4.0 / 3.0;
/// Brightness and contrast change by at most this share.
const LIGHT: f32 = 0.3;

/// A random crop (Szegedy et al. 2015), mirrored half of the time, in another light.
pub fn augment(photo: &RgbImage, rng: &mut impl Rng) -> RgbImage {
    let view = random_crop(photo, rng);
    let mut view = if rng.random_bool(0.5) { imageops::flip_horizontal(&view) } else { view };
    let contrast = 1.0 + rng.random_range(-LIGHT..LIGHT);
    let brightness = 1.0 + rng.random_range(-LIGHT..LIGHT);
    let table: Vec<u8> = (0..=255_u16)
        .map(|value| ((f32::from(value) * brightness - 127.0) * contrast + 127.0).clamp(0.0, 255.0) as u8)
        .collect();
    for pixel in view.pixels_mut() {
        pixel.0 = pixel.0.map(|value| table[usize::from(value)]);
    }
    view
}

fn random_crop(photo: &RgbImage, rng: &mut impl Rng) -> RgbImage {
    let (width, height) = photo.dimensions();
    let area = rng.random_range(SMALLEST_AREA..1.0);
    let stretch = rng.random_range(-STRETCH.ln()..STRETCH.ln()).exp().sqrt();
    let side = |length: u32, share: f32| ((length as f32 * share).round() as u32).clamp(1, length);
    let crop_width = side(width, area.sqrt() * stretch);
    let crop_height = side(height, area.sqrt() / stretch);
    let left = rng.random_range(0..=width - crop_width);
    let top = rng.random_range(0..=height - crop_height);
    imageops::crop_imm(photo, left, top, crop_width, crop_height).to_image()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_view_is_a_part_of_the_photo_of_at_least_two_fifths_of_its_area() {
        let photo = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8, y as u8, 0]));
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..200 {
            let (width, height) = random_crop(&photo, &mut rng).dimensions();
            assert!(width <= 40 && height <= 30);
            assert!(f64::from(width * height) > 0.35 * 1200.0, "{width} x {height}");
        }
    }

    #[test]
    fn the_smallest_photo_has_views_too() {
        let photo = RgbImage::new(1, 1);
        assert_eq!(augment(&photo, &mut ChaCha8Rng::seed_from_u64(3)).dimensions(), (1, 1));
    }
}
