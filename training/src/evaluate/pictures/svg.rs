//! A picture in SVG: text that any browser draws, in the reader's light or dark colours.

use std::fmt::{self, Display};

use html_escape::{encode_double_quoted_attribute, encode_text};

/// The colours of `class` attributes, for light and dark.
const STYLE: &str = include_str!("style.css");
/// Mean width of a letter of the usual sans-serif fonts in 12-pixel text; pictures leave room for texts by it.
const LETTER: f64 = 6.2;

/// Pixels from the left and from the top.
pub type Point = (f64, f64);

/// A picture under construction. What is drawn later lies on top.
///
/// `class` names colours and weights of `style.css`; several are separated by spaces.
pub struct Svg {
    width: f64,
    height: f64,
    description: String,
    body: String,
}

impl Svg {
    /// A blank picture; `description` is for those who do not see it.
    pub fn new(width: f64, height: f64, description: &str) -> Self {
        Self { width, height, description: description.to_owned(), body: String::new() }
    }

    pub fn rectangle(&mut self, (x, y): Point, (width, height): Point, class: &str) {
        let (x, y, width, height) = (px(x), px(y), px(width), px(height));
        self.body += &format!(r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" class="{class}"/>"#);
        self.body.push('\n');
    }

    /// A square as dark as `share` is high, 0 to 1; `hint` is shown under the pointer.
    pub fn shaded(&mut self, (x, y): Point, side: f64, share: f64, hint: &str) {
        self.body += &format!(
            r#"<rect x="{}" y="{}" width="{side}" height="{side}" class="heat" fill-opacity="{share:.3}"><title>{}</title></rect>"#,
            px(x),
            px(y),
            encode_text(hint),
            side = px(side)
        );
        self.body.push('\n');
    }

    pub fn line(&mut self, (x1, y1): Point, (x2, y2): Point, class: &str) {
        let (x1, y1, x2, y2) = (px(x1), px(y1), px(x2), px(y2));
        self.body += &format!(r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{class}"/>"#);
        self.body.push('\n');
    }

    /// A line through all of the points.
    pub fn curve(&mut self, points: impl Iterator<Item = Point>, class: &str) {
        let points: Vec<String> = points.map(|(x, y)| format!("{},{}", px(x), px(y))).collect();
        self.body += &format!(r#"<polyline points="{}" class="curve {class}"/>"#, points.join(" "));
        self.body.push('\n');
    }

    pub fn dot(&mut self, (x, y): Point, class: &str) {
        self.body += &format!(r#"<circle cx="{}" cy="{}" r="3.5" class="{class}"/>"#, px(x), px(y));
        self.body.push('\n');
    }

    /// A text that starts at its baseline's left end, or by its class ends (`end`) or is centred (`middle`) there.
    pub fn text(&mut self, (x, y): Point, class: &str, text: &str) {
        let (x, y, text) = (px(x), px(y), encode_text(text));
        self.body += &format!(r#"<text x="{x}" y="{y}" class="{class}">{text}</text>"#);
        self.body.push('\n');
    }

    /// A text turned around `at` by so many degrees, clockwise.
    pub fn turned_text(&mut self, (x, y): Point, degrees: f64, class: &str, text: &str) {
        let (x, y, text) = (px(x), px(y), encode_text(text));
        self.body += &format!(
            r#"<text transform="translate({x} {y}) rotate({degrees})" class="{class}">{text}</text>"#
        );
        self.body.push('\n');
    }
}

/// Pixels that a text takes, about.
pub fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

impl Display for Svg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { width, height, description, body } = self;
        let (width, height) = (px(*width), px(*height));
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" aria-label="{}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">"#,
            encode_double_quoted_attribute(description)
        )?;
        writeln!(f, "<style>\n{STYLE}</style>")?;
        writeln!(f, r#"<rect width="100%" height="100%" class="ground"/>"#)?;
        writeln!(f, "{body}</svg>")
    }
}

/// A length to a tenth of a pixel, which is as exact as an eye and keeps files small.
fn px(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_marketplace_stay_words() {
        let mut svg = Svg::new(10.0, 10.0, "\"><script>");
        svg.text((1.0, 2.04), "ink", "Baby & Kids <script>");
        svg.shaded((0.0, 0.0), 5.0, 0.5, "</title><script>");
        let drawn = svg.to_string();
        assert!(
            drawn.contains(r#"<text x="1" y="2" class="ink">Baby &amp; Kids &lt;script&gt;</text>"#),
            "{drawn}"
        );
        assert!(!drawn.contains("<script>"), "{drawn}");
    }
}
