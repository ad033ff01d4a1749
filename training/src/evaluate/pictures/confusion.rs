//! The confusion matrix: a row for each right category, a column for each that was answered.

use super::{
    Caption,
    svg::{Svg, width_of},
};
use crate::evaluate::metrics::{Scored, confusion_matrix};

/// Side of a cell; four digits fit.
const CELL: f64 = 34.0;
/// Column labels rise at this angle; steeper ones are hard to read, flatter ones run over the right edge.
const SLOPE: f64 = -45.0;
/// Shares above which the colour of the ground is read more easily on a cell than that of texts.
const DARK: f64 = 0.7;

/// A cell is as dark as the share of its row's examples that it holds; the number is their count. The last column is the
/// number of examples of the category, and the share of them that is answered right.
pub fn draw(caption: &Caption<'_>, categories: &[String], scored: &[Scored]) -> Svg {
    let counts = confusion_matrix(scored, categories.len());
    let longest = categories.iter().map(|name| width_of(name)).fold(width_of("right category"), f64::max);
    let rise = longest * SLOPE.to_radians().sin().abs();
    let (left, top) = (longest + 40.0, Caption::HEIGHT + rise + 16.0);
    let side = categories.len() as f64 * CELL;
    let mut svg = Svg::new(
        left + side + (rise + 24.0).max(96.0),
        top + side + 24.0,
        &format!("{}. {}", caption.title, caption.subtitle),
    );
    caption.draw(&mut svg);
    svg.text((left - 10.0, top - 10.0), "end muted", "right category");
    svg.text((left + side + 10.0, top - 10.0), "muted", "found");
    for (index, (name, row)) in categories.iter().zip(&counts).enumerate() {
        let along = index as f64 * CELL;
        svg.text((left - 10.0, top + along + CELL / 2.0 + 4.0), "end", name);
        svg.turned_text((left + along + CELL / 2.0 + 4.0, top - 8.0), SLOPE, "", name);
        let examples: usize = row.iter().sum();
        for (column, &count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
            let share = count as f64 / examples as f64;
            let at = (left + column as f64 * CELL, top + along);
            let answered = categories.get(column).map_or("", String::as_str);
            svg.shaded(at, CELL, share, &format!("{name} answered {answered}: {count} of {examples}"));
            let class = if share > DARK { "middle inside" } else { "middle" };
            svg.text((at.0 + CELL / 2.0, at.1 + CELL / 2.0 + 4.0), class, &count.to_string());
        }
        let right = row.get(index).copied().unwrap_or(0);
        let found = if examples == 0 { "none".to_owned() } else { found(right, examples) };
        svg.text((left + side + 10.0, top + along + CELL / 2.0 + 4.0), "muted", &found);
    }
    for line in 0..=categories.len() {
        let along = line as f64 * CELL;
        svg.line((left, top + along), (left + side, top + along), "grid");
        svg.line((left + along, top), (left + along, top + side), "grid");
    }
    svg
}

fn found(right: usize, examples: usize) -> String {
    format!("{:.0} % of {examples}", 100.0 * right as f64 / examples as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_as_dark_as_its_share_of_the_row_and_names_its_count() {
        let categories = ["Bikes".to_owned(), "Sofas & <beds>".to_owned()];
        let scored = |probabilities: [f32; 2], label| Scored { probabilities: probabilities.to_vec(), label };
        let examples =
            [scored([0.9, 0.1], 0), scored([0.8, 0.2], 0), scored([0.7, 0.3], 0), scored([0.2, 0.8], 0)];
        let drawn = draw(&Caption { title: "t", subtitle: "s" }, &categories, &examples).to_string();
        assert_eq!(drawn.matches("class=\"heat\"").count(), 2, "empty cells are not drawn");
        assert!(drawn.contains("fill-opacity=\"0.750\"><title>Bikes answered Bikes: 3 of 4<"), "{drawn}");
        assert!(
            drawn.contains("fill-opacity=\"0.250\"><title>Bikes answered Sofas &amp; &lt;beds&gt;: 1 of 4<")
        );
        assert!(drawn.contains(">75 % of 4<") && drawn.contains(">none<"), "{drawn}");
    }
}
