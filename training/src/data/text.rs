//! Cleaning that suits the text of any site: entities, invisible characters, white space.

use std::borrow::Cow;

/// A text made fit for a reader and a tokenizer, and what had to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Single spaces, `\n` between lines, no more than one empty line in a row, no white space at either end.
    pub text: String,
    pub had_entities: bool,
    pub had_controls: bool,
}

/// Decodes HTML entities, takes out characters that show nothing, and evens out white space.
///
/// Emoji stay whole: the zero-width joiner and the variation selectors hold them together. Line breaks of any kind become
/// `\n`, since sellers write lists.
pub fn tidy(text: &str) -> Tidied {
    let decoded = html_escape::decode_html_entities(text);
    let had_entities = matches!(decoded, Cow::Owned(_));
    let mut had_controls = false;
    let shown: String = decoded
        .replace("\r\n", "\n")
        .chars()
        .filter_map(|c| match c {
            '\r' | '\n' | '\u{2028}' | '\u{2029}' => Some('\n'),
            c if c.is_whitespace() => Some(' '),
            c if is_invisible(c) => {
                had_controls = true;
                // A bullet of the Wingdings font stands between two words, a direction mark inside one.
                is_private_use(c).then_some(' ')
            }
            c => Some(c),
        })
        .collect();
    Tidied { text: even_out(&shown), had_entities, had_controls }
}

/// One space between words, one line break between lines, one empty line between paragraphs.
fn even_out(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let repeats_gap = line.is_empty() && lines.last().is_none_or(String::is_empty);
        if !repeats_gap {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned()
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || is_private_use(c)
        || matches!(c, '\u{ad}' | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffd}')
}

fn is_private_use(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

/// Lower-case words and numbers with single spaces between: two texts that differ only in decoration have the same.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.extend(word.chars().flat_map(char::to_lowercase));
    }
    folded
}

/// Whether a field says that there is nothing in it.
pub fn is_absent(field: &str) -> bool {
    let field = field.trim();
    field.is_empty()
        || ["n/a", "na", "none", "null", "-"].iter().any(|absent| field.eq_ignore_ascii_case(absent))
}
