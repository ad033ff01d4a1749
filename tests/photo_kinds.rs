//! Photos of every kind that phones, scanners and shops make, and what comes of each. The files are those that fuzzing starts
//! from; most of them hold one picture of 32 x 24 pixels.

use std::path::Path;

use image::{Rgb, RgbImage};
use marketrank::preprocess::{Detail, PhotoLimits, decode_photo};

/// The four corners, in reading order, and the middle.
type Colours = [[u8; 3]; 5];

const PICTURE: Colours = [[0, 92, 124], [124, 216, 0], [92, 0, 216], [216, 124, 92], [112, 108, 108]];
/// What JPEG and WebP lose of so small a picture.
const LOSSY: u8 = 16;

fn file(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/photo").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn decode(bytes: &[u8], detail: Detail) -> RgbImage {
    decode_photo(bytes, &PhotoLimits::default(), detail).unwrap()
}

fn photo(name: &str) -> RgbImage {
    decode(&file(name), Detail::Full)
}

fn colours(photo: &RgbImage) -> Colours {
    let (right, bottom) = (photo.width() - 1, photo.height() - 1);
    [(0, 0), (right, 0), (0, bottom), (right, bottom), (photo.width() / 2, photo.height() / 2)]
        .map(|(x, y)| photo.get_pixel(x, y).0)
}

#[track_caller]
fn assert_shows(photo: &RgbImage, expected: Colours, tolerance: u8) {
    let found = colours(photo);
    let far = std::iter::zip(found.as_flattened(), expected.as_flattened())
        .any(|(a, b)| a.abs_diff(*b) > tolerance);
    assert!(!far, "{found:?} instead of {expected:?}");
}

/// A JPEG with an APP1 segment of this content after the start of the image.
fn with_exif(jpeg: &[u8], content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, content, &jpeg[2..]].concat()
}

#[test]
fn a_picture_is_the_same_in_png_interlaced_png_and_lossless_webp() {
    for name in ["rgb.png", "interlaced.png", "lossless.webp"] {
        assert_shows(&photo(name), PICTURE, 0);
    }
}

#[test]
fn a_picture_is_nearly_the_same_in_baseline_and_progressive_jpeg_and_lossy_webp() {
    for name in ["baseline.jpg", "progressive.jpg", "lossy.webp"] {
        assert_shows(&photo(name), PICTURE, LOSSY);
    }
}

#[test]
fn a_jpeg_in_cmyk_shows_the_colours_it_would_print_in_whatever_detail_is_wanted() {
    for detail in [Detail::Full, Detail::Side(16)] {
        assert_shows(&decode(&file("cmyk.jpg"), detail), PICTURE, LOSSY);
    }
}

#[test]
fn grey_becomes_three_equal_channels() {
    let grey = [68, 162, 54, 147, 110].map(|level| [level; 3]);
    assert_shows(&photo("grey.jpg"), grey, LOSSY);
}

#[test]
fn sixteen_bits_a_channel_become_eight() {
    let grey = [0_u32, 31_868, 23_644, 55_512, 28_784].map(|level| [(level * 255 / 65_535) as u8; 3]);
    assert_shows(&photo("sixteen.png"), grey, 1);
}

#[test]
fn a_palette_is_looked_up() {
    let nearest = [[50, 88, 128], [150, 166, 50], [115, 45, 171], [165, 122, 94], [140, 89, 127]];
    assert_shows(&photo("palette.png"), nearest, 0);
}

#[test]
fn what_is_transparent_lies_on_white() {
    // The left half cannot be seen, a quarter half, the last quarter wholly.
    let half = |channel: u8| (u16::from(channel) * 128).div_ceil(255) as u8 + 127;
    let expected = [[255; 3], PICTURE[1].map(half), [255; 3], PICTURE[3], PICTURE[4]];
    assert_shows(&photo("alpha.png"), expected, 1);
}

#[test]
fn of_an_animation_the_first_frame_counts() {
    // The corners of the second frame are black.
    assert_shows(&photo("animated.webp"), PICTURE, LOSSY);
}

#[test]
fn a_photo_is_turned_as_its_exif_says() {
    let photo = photo("rotated.jpg");
    assert_eq!(photo.dimensions(), (24, 32));
    let [top_left, top_right, bottom_left, bottom_right, middle] = PICTURE;
    assert_shows(&photo, [bottom_left, top_left, bottom_right, top_right, middle], LOSSY);
}

#[test]
fn a_photo_whose_exif_is_broken_is_shown_as_it_is_stored() {
    let entry = |offset: u8, orientation: u8| {
        let tiff =
            [b"MM\0*\0\0\0".as_slice(), &[offset], b"\0\x01\x01\x12\0\x03\0\0\0\x01\0", &[orientation]];
        [b"Exif\0\0".as_slice(), &tiff.concat(), &[0; 6]].concat()
    };
    let stored = photo("baseline.jpg");
    for (what, exif) in [
        ("nothing in it", b"Exif\0\0".to_vec()),
        ("no byte order", b"Exif\0\0XX\0*\0\0\0\x08\0\x01".to_vec()),
        ("an entry beyond its end", entry(250, 6)),
        ("an orientation that does not exist", entry(8, 99)),
        ("noise", [b"Exif\0\0".as_slice(), &[0xA5; 64]].concat()),
    ] {
        for detail in [Detail::Full, Detail::Side(32)] {
            let photo = decode(&with_exif(&file("baseline.jpg"), &exif), detail);
            assert!(photo == stored, "{what}");
        }
    }
    let turned = decode(&with_exif(&file("baseline.jpg"), &entry(8, 6)), Detail::Full);
    assert_eq!(turned.dimensions(), (24, 32), "one that is whole is honoured");
}

#[test]
fn a_progressive_jpeg_that_is_decoded_at_half_its_size_shows_the_same_picture() {
    let half = decode(&file("progressive.jpg"), Detail::Side(16));
    assert_eq!(half.dimensions(), (16, 12));
    let mean = |photo: &RgbImage| {
        let sum = photo.pixels().fold([0_u32; 3], |sum, Rgb(pixel)| {
            std::array::from_fn(|channel| sum[channel] + u32::from(pixel[channel]))
        });
        sum.map(|sum| sum / (photo.width() * photo.height()))
    };
    for (half, whole) in std::iter::zip(mean(&half), mean(&photo("progressive.jpg"))) {
        assert!(half.abs_diff(whole) <= 2, "{half} and {whole}");
    }
}
