//! Where in a photo a model finds what speaks for a category: class activation maps (Zhou et al. 2016).

use super::Outputs;
use crate::preprocess::PhotoArea;

/// What each part of a photo adds to each category's logit.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    size: [usize; 2],
    /// [categories, rows, columns], over the photo alone.
    values: Vec<f32>,
}

/// How much each cell of a grid over a photo speaks for one category.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Cells from top to bottom.
    pub height: usize,
    /// Cells from left to right.
    pub width: usize,
    /// Row by row from the top: 0 where nothing speaks for the category; 1 would be what speaks most for any category in
    /// all the listing's photos.
    pub values: Vec<f32>,
}

impl Activation {
    /// Cuts `maps`, [categories, rows, columns] over the whole input, to where the photo lies in it; `size` is how many
    /// rows and columns they have, at least one each. The new cells are about as large as the old ones, and interpolated
    /// linearly, because the photo's edge goes through the middle of cells.
    pub(super) fn over_photo(maps: &[f32], size: [usize; 2], area: PhotoArea) -> Self {
        let [rows, columns] = size;
        let down = places(area.top, area.height, rows);
        let across = places(area.left, area.width, columns);
        let mut values = Vec::with_capacity(maps.len());
        for map in maps.chunks_exact(rows * columns) {
            for &(y, above) in &down {
                for &(x, before) in &across {
                    let row = |y: usize| {
                        let row = &map[y.min(rows - 1) * columns..][..columns];
                        row[x] * (1.0 - before) + row[(x + 1).min(columns - 1)] * before
                    };
                    values.push(row(y) * (1.0 - above) + row(y + 1) * above);
                }
            }
        }
        Self { size: [down.len(), across.len()], values }
    }

    /// Rows and columns of each map.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// [categories, rows, columns], flat.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Numbers that it holds.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    fn of_category(&self, category: usize) -> &[f32] {
        let [rows, columns] = self.size;
        self.values.chunks_exact(rows * columns).nth(category).unwrap_or_default()
    }
}

/// The middles of the cells that a share of an axis of `size` cells is cut into: the cell before each, and how far the
/// middle lies from that cell's own on the way to the next.
fn places(start: f32, share: f32, size: usize) -> Vec<(usize, f32)> {
    let cells = (share * size as f32).round().max(1.0);
    let last = size.saturating_sub(1) as f32;
    let place = |cell: usize| {
        let middle = start + share * (cell as f32 + 0.5) / cells;
        let place = (middle * size as f32 - 0.5).clamp(0.0, last);
        (place as usize, place.fract())
    };
    (0..cells as usize).map(place).collect()
}

/// What speaks for a category in each photo; none unless every row has its maps. The scale is what speaks most for any
/// category anywhere: a photo that says little, or something else than the text, stays cool.
pub(super) fn heat_maps(rows: &[Outputs], category: usize) -> Option<Vec<HeatMap>> {
    let photos: Vec<&Activation> = rows.iter().map(|row| row.activation.as_ref()).collect::<Option<_>>()?;
    let largest = photos.iter().flat_map(|photo| &photo.values).fold(f32::MIN_POSITIVE, |a, &b| a.max(b));
    let heat = |photo: &&Activation| {
        let [height, width] = photo.size;
        let values = photo.of_category(category).iter().map(|value| value.max(0.0) / largest).collect();
        HeatMap { height, width, values }
    };
    Some(photos.iter().map(heat).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(activation: Option<Activation>) -> Outputs {
        Outputs { logits: vec![], subcategory_logits: vec![], embedding: vec![], log_price: None, activation }
    }

    /// Two rows and four columns; the value of a cell is where its middle lies from left to right.
    const SLOPE: [f32; 8] = [0.125, 0.375, 0.625, 0.875, 0.125, 0.375, 0.625, 0.875];

    #[test]
    fn a_photo_between_bars_gets_the_part_of_the_map_that_lies_over_it() {
        let middle = PhotoArea { left: 0.2, top: 0.0, width: 0.6, height: 1.0 };
        let cut = Activation::over_photo(&SLOPE, [2, 4], middle);
        assert_eq!(cut.size, [2, 2]);
        for (found, expected) in cut.values.iter().zip([0.35, 0.65, 0.35, 0.65]) {
            assert!((found - expected).abs() < 1e-6, "{cut:?}");
        }
    }

    #[test]
    fn a_photo_that_fills_the_input_keeps_the_map() {
        let whole = PhotoArea { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
        assert_eq!(Activation::over_photo(&SLOPE, [2, 4], whole).values, SLOPE);
    }

    #[test]
    fn a_photo_thinner_than_a_cell_still_gets_one() {
        let line = PhotoArea { left: 0.0, top: 0.49, width: 1.0, height: 0.02 };
        assert_eq!(Activation::over_photo(&SLOPE, [2, 4], line).size, [1, 4]);
    }

    #[test]
    fn heat_is_measured_by_what_speaks_most_for_any_category_and_what_speaks_against_is_cold() {
        let photo = |values: [f32; 4]| row(Some(Activation { size: [1, 2], values: values.into() }));
        let heat = heat_maps(&[photo([8.0, 0.0, 1.0, -3.0]), photo([0.0, 0.0, 4.0, 2.0])], 1).unwrap();
        assert_eq!(heat[0].values, [0.125, 0.0]);
        assert_eq!(heat[1].values, [0.5, 0.25]);
        assert_eq!(heat_maps(&[photo([-4.0, -4.0, -1.0, -2.0])], 1).unwrap()[0].values, [0.0, 0.0]);
        assert!(heat_maps(&[photo([0.0; 4]), row(None)], 1).is_none());
    }
}
