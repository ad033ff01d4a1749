//! A baseline JPEG at an eighth of its size: a pixel for each block of 8 x 8, which is the block's mean.
//!
//! The mean is the first of a block's 64 coefficients; all others are skipped, several at a time. libjpeg reads them one by one, and
//! those of the colours it keeps, to make these as large as the brightness: for the 12 megapixels of `make bench` that took 10.3 ms on one
//! core where this takes 5.4, and for as many with the noise of a dark room (2.1 MB) 22.9 ms where this takes 10.2.

use image::RgbImage;

use super::{bits::Bits, header::Header};

/// The photo at an eighth of its size, rounded up. None where it is not of the common kind, or anything is wrong with it: libjpeg knows
/// what to make of that.
pub(super) fn decode_means(bytes: &[u8], size: (u32, u32)) -> Option<RgbImage> {
    let header = Header::read(bytes).filter(|header| (header.width, header.height) == size)?;
    let planes = read_planes(&header, bytes.get(header.data..)?)?;
    paint(&header, &planes)
}

/// The means of one component's blocks, row by row.
struct Plane {
    width: usize,
    means: Vec<u8>,
}

/// Blocks of each unit across and down.
fn unit(header: &Header) -> (u32, u32) {
    let most = |of: fn(&super::header::Component) -> u32| header.components.iter().map(of).max().unwrap_or(1);
    (most(|component| component.across), most(|component| component.down))
}

fn read_planes(header: &Header, data: &[u8]) -> Option<Vec<Plane>> {
    let (across, down) = unit(header);
    let (columns, rows) = (header.width.div_ceil(8 * across), header.height.div_ceil(8 * down));
    let mut planes: Vec<Plane> = header
        .components
        .iter()
        .map(|component| {
            let width = (columns * component.across) as usize;
            Plane { width, means: vec![0; width * (rows * component.down) as usize] }
        })
        .collect();
    let tables: Vec<_> =
        header.components.iter().map(|component| header.codes(component)).collect::<Option<_>>()?;
    let mut bits = Bits::new(data);
    let mut last = [0_i32; 3];
    let (mut until_restart, mut number) = (header.restart_interval, 0);
    for row in 0..rows {
        for column in 0..columns {
            if let Some(left) = &mut until_restart {
                if *left == 0 {
                    if !bits.restart(number) {
                        return None;
                    }
                    (last, number) = ([0; 3], (number + 1) % 8);
                    *left = header.restart_interval?;
                }
                *left -= 1;
            }
            for (((component, plane), (differences, others)), last) in
                header.components.iter().zip(&mut planes).zip(&tables).zip(&mut last)
            {
                for y in 0..component.down {
                    for x in 0..component.across {
                        *last = last.wrapping_add(differences.read(&mut bits)?);
                        others.skip(&mut bits)?;
                        let at = (row * component.down + y) as usize * plane.width
                            + (column * component.across + x) as usize;
                        // The first coefficient is eight times the mean, from the middle of the range (A.3.3).
                        let mean =
                            (last.wrapping_mul(component.scale).wrapping_add(4) >> 3).saturating_add(128);
                        *plane.means.get_mut(at)? = mean.clamp(0, 255) as u8;
                    }
                }
            }
        }
        if bits.overrun() {
            return None;
        }
    }
    Some(planes)
}

/// Brings the planes together. A mean of colour covers one, two or four of brightness.
fn paint(header: &Header, planes: &[Plane]) -> Option<RgbImage> {
    let (width, height) = (header.width.div_ceil(8), header.height.div_ceil(8));
    let (across, down) = unit(header);
    let mut pixels = Vec::with_capacity((width * height * 3) as usize);
    let row_of = |index: usize, y: u32| -> Option<(&[u8], u32)> {
        let (plane, component) = (planes.get(index)?, header.components.get(index)?);
        let row = (y * component.down / down) as usize;
        Some((plane.means.get(row * plane.width..)?.get(..plane.width)?, component.across))
    };
    for y in 0..height {
        let (luma, luma_across) = row_of(0, y)?;
        if planes.len() == 1 {
            pixels.extend(luma.iter().take(width as usize).flat_map(|&mean| [mean; 3]));
            continue;
        }
        let ((blue, blue_across), (red, red_across)) = (row_of(1, y)?, row_of(2, y)?);
        for x in 0..width {
            let at = |row: &[u8], plane_across: u32| row[(x * plane_across / across) as usize];
            pixels.extend(rgb(at(luma, luma_across), at(blue, blue_across), at(red, red_across)));
        }
    }
    RgbImage::from_raw(width, height, pixels)
}

/// Brightness and colour to RGB as JFIF has it, rounded as libjpeg does.
fn rgb(luma: u8, blue: u8, red: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (luma, blue, red) = (i32::from(luma), i32::from(blue) - 128, i32::from(red) - 128);
    // 1.402, 0.344136, 0.714136 and 1.772 in 16 bits after the point.
    let channels = [
        luma + ((91_881 * red + HALF) >> 16),
        luma + ((-22_554 * blue - 46_802 * red + HALF) >> 16),
        luma + ((116_130 * blue + HALF) >> 16),
    ];
    channels.map(|channel| channel.clamp(0, 255) as u8)
}
