//! What JPEG offers beyond pixels: a head that can be read alone, decoding at a fraction of the size, and an end that can be looked for.

mod bits;
mod header;
mod huffman;
mod means;

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::RgbImage;
use memchr::memmem;
use mozjpeg::{ColorSpace, Decompress};

/// The fractions that the inverse cosine transform can be taken at, in eighths.
const EIGHTHS: [u8; 3] = [1, 2, 4];
const START_OF_SCAN: u8 = 0xDA;
/// As many as the full decoder reads; cameras and web sites write about ten.
const MOST_SCANS: usize = 100;

/// A piece of what stands before a scan's data.
struct Segment<'a> {
    marker: u8,
    content: &'a [u8],
    /// Where it ends in the file.
    end: usize,
}

/// The segments up to the first scan's, or up to where something else than a segment stands.
fn segments(bytes: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut at = Some(2);
    std::iter::from_fn(move || {
        let mut start = at?;
        // Before a marker there may be any number of FF.
        while bytes.get(start..start + 2)? == [0xFF, 0xFF] {
            start += 1;
        }
        let &[0xFF, marker, high, low] = bytes.get(start..start + 4)? else { return None };
        let end = start + 2 + usize::from(u16::from_be_bytes([high, low]));
        let content = bytes.get(start + 4..end)?;
        at = (marker != START_OF_SCAN).then_some(end);
        Some(Segment { marker, content, end })
    })
}

/// Where the data of the first scan begins.
fn first_scan(bytes: &[u8]) -> Option<usize> {
    segments(bytes).find(|segment| segment.marker == START_OF_SCAN).map(|segment| segment.end)
}

/// The first scan's data and all that follows; nothing where no scan is found.
fn from_first_scan(bytes: &[u8]) -> &[u8] {
    first_scan(bytes).and_then(|start| bytes.get(start..)).unwrap_or_default()
}

/// What stands before the first scan's data: size, orientation and tables. All of the file where no scan is found.
pub(super) fn head(bytes: &[u8]) -> &[u8] {
    first_scan(bytes).and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

/// Decodes a photo of this width and height at the smallest fraction of its size whose longer side has `side` pixels.
/// None where that is its whole size, and where libjpeg does not manage: what is wrong is then for the full decoder to say.
///
/// At an eighth only the mean of each block of 8 x 8 is computed, so the inverse transform, the upsampling and the scaling
/// that follows cost next to nothing, and reading the entropy code is what is left.
pub(super) fn decode_reduced(bytes: &[u8], (width, height): (u32, u32), side: u32) -> Option<RgbImage> {
    let longer = u64::from(width.max(height));
    let eighths = EIGHTHS.into_iter().find(|eighths| longer * u64::from(*eighths) / 8 >= u64::from(side))?;
    let means = if eighths == 1 { means::decode_means(bytes, (width, height)) } else { None };
    if means.is_none() && has_too_many_scans(bytes) {
        return None;
    }
    // libjpeg reports an error by unwinding; nothing of the half-decoded photo is used after that.
    means.or_else(|| catch_unwind(AssertUnwindSafe(|| decode(bytes, eighths))).ok().flatten())
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

/// libjpeg reads any number of scans, each of them over the whole photo: a small file can hold a million.
///
/// As in [`is_complete`], what looks like a marker behind the start of the first scan is one.
fn has_too_many_scans(bytes: &[u8]) -> bool {
    memmem::find_iter(from_first_scan(bytes), &[0xFF, START_OF_SCAN]).take(MOST_SCANS).count() == MOST_SCANS
}

/// Whether an end-of-image marker follows the start of the first scan.
///
/// The decoder fills in grey what a cut-off file lacks, so the cut must be found here. Inside entropy-coded data every
/// `FF` is followed by `00` or a restart marker (ITU T.81, F.1.2.3), so `FF D9` after the scan's start is the real end;
/// one before it may belong to the thumbnail inside the EXIF segment. A whole file has it in its last bytes, so it is looked for from there.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    from_first_scan(bytes).windows(2).rev().any(|pair| pair == [0xFF, 0xD9])
}

#[cfg(test)]
mod tests {
    use mozjpeg::{Compress, ScanMode};
    use proptest::prelude::*;

    use super::*;
    use crate::preprocess::{Detail, PhotoError, PhotoLimits, decode_photo};

    /// How a test's JPEG is written.
    #[derive(Debug, Clone)]
    struct Writing {
        quality: f32,
        /// Blocks of brightness for each of colour, across and down.
        sampling: (u8, u8),
        optimised: bool,
        grey: bool,
    }

    fn jpeg(photo: &RgbImage, writing: &Writing) -> Vec<u8> {
        let colours = if writing.grey { ColorSpace::JCS_GRAYSCALE } else { ColorSpace::JCS_RGB };
        let mut writer = Compress::new(colours);
        writer.set_fastest_defaults();
        writer.set_size(photo.width() as usize, photo.height() as usize);
        writer.set_quality(writing.quality);
        writer.set_optimize_coding(writing.optimised);
        if writing.grey {
            let mut writer = writer.start_compress(Vec::new()).unwrap();
            writer
                .write_scanlines(image::DynamicImage::ImageRgb8(photo.clone()).to_luma8().as_raw())
                .unwrap();
            return writer.finish().unwrap();
        }
        writer.set_chroma_sampling_pixel_sizes(writing.sampling, writing.sampling);
        let mut writer = writer.start_compress(Vec::new()).unwrap();
        writer.write_scanlines(photo.as_raw()).unwrap();
        writer.finish().unwrap()
    }

    /// A photo with structure of every fineness, drawn from a seed.
    fn photo(width: u32, height: u32, seed: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let noise = |channel: u32| {
                let mixed = (x * 73 + y * 151 + channel * 59 + seed).wrapping_mul(2_654_435_761);
                (mixed ^ (mixed >> 15)) % 64
            };
            let wave = |channel: u32| ((x * (channel + 1) + y * 2 + seed) / 3) % 192;
            image::Rgb([0, 1, 2].map(|channel| (noise(channel) + wave(channel)) as u8))
        })
    }

    fn writings() -> impl Strategy<Value = Writing> {
        let sampling = prop::sample::select(vec![(1, 1), (2, 1), (1, 2), (2, 2)]);
        (10_f32..100.0, sampling, any::<bool>(), any::<bool>())
            .prop_map(|(quality, sampling, optimised, grey)| Writing { quality, sampling, optimised, grey })
    }

    proptest! {
        /// libjpeg at an eighth makes the same of brightness, and of colours where there are as many of them. Where there are fewer it
        /// keeps more of them than their means, so those are compared as the mean of what it makes.
        #[test]
        fn the_means_are_those_of_libjpeg(
            (width, height) in (17_u32..150, 17_u32..150),
            seed in any::<u16>(),
            writing in writings(),
        ) {
            let file = jpeg(&photo(width, height, u32::from(seed)), &writing);
            let ours = means::decode_means(&file, (width, height)).expect("it is baseline");
            let theirs = decode(&file, 1).unwrap();
            prop_assert_eq!(ours.dimensions(), theirs.dimensions());
            if writing.grey || writing.sampling == (1, 1) {
                prop_assert_eq!(ours, theirs);
            } else {
                let brightness = |photo: &RgbImage| -> Vec<f32> {
                    photo.pixels().map(|pixel| {
                        let [r, g, b] = pixel.0.map(f32::from);
                        0.299 * r + 0.587 * g + 0.114 * b
                    }).collect()
                };
                // Where a channel is cut off at 0 or 255 brightness follows the colour, so most of the photo is looked at, not all.
                let apart = brightness(&ours).iter().zip(brightness(&theirs)).map(|(a, b)| (a - b).abs()).filter(|apart| *apart > 2.0).count();
                prop_assert!(apart * 4 <= (ours.width() * ours.height()) as usize, "{apart} of {:?}", ours.dimensions());
            }
        }

        #[test]
        fn a_file_that_was_altered_or_cut_off_is_left_to_libjpeg_or_decoded_to_the_same_size(
            writing in writings(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<bool>(),
        ) {
            let mut file = jpeg(&photo(90, 70, 5), &writing);
            let place = place.index(file.len());
            file[place] = byte;
            if cut {
                file.truncate(place);
            }
            if let Some(means) = means::decode_means(&file, (90, 70)) {
                prop_assert_eq!(means.dimensions(), (12, 9));
            }
        }
    }

    #[test]
    fn colours_that_are_stored_at_half_the_size_are_the_means_of_what_they_cover() {
        // 16 x 16 pixels of one colour, which one mean of colour covers.
        let colours = [[200, 40, 90], [30, 160, 60], [90, 90, 220], [180, 170, 20]];
        let tiles =
            RgbImage::from_fn(64, 32, |x, y| image::Rgb(colours[((x / 16 + y / 16 * 2) % 4) as usize]));
        let writing = Writing { quality: 100.0, sampling: (2, 2), optimised: true, grey: false };
        let means = means::decode_means(&jpeg(&tiles, &writing), (64, 32)).unwrap();
        for (x, y, pixel) in means.enumerate_pixels() {
            let expected = tiles.get_pixel(x * 8 + 4, y * 8 + 4);
            let apart = std::iter::zip(pixel.0, expected.0).map(|(a, b)| a.abs_diff(b)).max();
            assert!(apart <= Some(2), "{pixel:?} and not {expected:?} at {x}, {y}");
        }
    }

    #[test]
    fn restart_markers_are_passed() {
        let file = include_bytes!("../../../fuzz/corpus/photo/restart.jpg");
        let (ours, theirs) = (means::decode_means(file, (200, 150)).unwrap(), decode(file, 1).unwrap());
        assert_eq!(ours.dimensions(), theirs.dimensions());
        let apart = ours.iter().zip(theirs.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
        // What fewer colours make of it; a row that began at the wrong brightness would be far off.
        assert!(apart < 3 * ours.len() as u64, "{apart}");
    }

    #[test]
    fn what_is_not_baseline_is_left_to_libjpeg() {
        let photo = photo(64, 48, 1);
        let mut writer = Compress::new(ColorSpace::JCS_RGB);
        writer.set_size(64, 48);
        writer.set_progressive_mode();
        writer.set_scan_optimization_mode(ScanMode::AllComponentsTogether);
        let mut writer = writer.start_compress(Vec::new()).unwrap();
        writer.write_scanlines(photo.as_raw()).unwrap();
        let progressive = writer.finish().unwrap();
        assert!(means::decode_means(&progressive, (64, 48)).is_none());
        assert_eq!(decode_reduced(&progressive, (64, 48), 8).unwrap().dimensions(), (8, 6));
    }

    #[test]
    fn a_photo_of_more_scans_than_anybody_writes_is_left_to_the_full_decoder_which_refuses_it() {
        let mut writer = Compress::new(ColorSpace::JCS_GRAYSCALE);
        writer.set_size(64, 48);
        writer.set_progressive_mode();
        let mut writer = writer.start_compress(Vec::new()).unwrap();
        writer.write_scanlines(&[7; 64 * 48]).unwrap();
        let whole = writer.finish().unwrap();
        let (photo, end) = whole.split_at(whole.len() - 2);
        // The first coefficients of component 1 again: nothing but "no more of them in any block".
        let scan = [0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 5, 0, 0];
        let file = |scans: usize| [photo, &scan.repeat(scans), end].concat();
        assert!(decode_reduced(&file(20), (64, 48), 8).is_some());
        assert!(decode_reduced(&file(1_000), (64, 48), 8).is_none());
        let refused = decode_photo(&file(1_000), &PhotoLimits::default(), Detail::Side(8));
        assert!(matches!(refused, Err(PhotoError::Broken(_))), "{refused:?}");
    }

    #[test]
    fn a_file_is_whole_when_its_end_follows_its_scan() {
        let writing = Writing { quality: 90.0, sampling: (2, 2), optimised: false, grey: false };
        let whole = jpeg(&photo(64, 48, 2), &writing);
        assert!(is_complete(&whole));
        // What some cameras write behind the end.
        assert!(is_complete(&[&whole[..], &[0; 700]].concat()));
        assert!(!is_complete(&whole[..whole.len() - 2]));
        assert!(!is_complete(head(&whole)));
        // The end of a thumbnail inside a segment is not that of the photo.
        let cut = [&[0xFF, 0xD8, 0xFF, 0xE1, 0, 4, 0xFF, 0xD9], &whole[2..whole.len() - 2]].concat();
        assert!(!is_complete(&cut));
    }
}
