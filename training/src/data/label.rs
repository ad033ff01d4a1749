//! The listing's own category path, found in its text.
//!
//! Whatever site a table comes from, two neighbouring parts of the path joined as in a breadcrumb (`Home & Garden > Lamps`)
//! were written by the site and not by the seller. One part alone is left: a seller of insulation has to say `insulation`.

use regex::{Regex, escape};

/// `text` without the breadcrumbs of `path`, where it holds any. `path` is the category path's parts, the category first.
pub fn without_breadcrumbs(text: &str, path: &[&str]) -> Option<String> {
    let mut cleaned = None;
    for pair in path.windows(2) {
        let [outer, inner] = pair else { continue };
        let pattern = format!(r"(?i){}\s*[,/>|»›]\s*{}(?:\s*[,/>|»›])?", escape(outer), escape(inner));
        // Only a path of megabytes makes a pattern that does not compile, and no text holds that.
        let Ok(breadcrumb) = Regex::new(&pattern) else { continue };
        let held: &str = cleaned.as_deref().unwrap_or(text);
        if breadcrumb.is_match(held) {
            cleaned = Some(breadcrumb.replace_all(held, " ").into_owned());
        }
    }
    cleaned
}
