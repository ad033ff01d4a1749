//! The parts of the page. Every word that others wrote is escaped here.

use html_escape::encode_text;

use super::mistakes::{Candidate, Mistake};

const STYLE: &str = include_str!("style.css");
/// Letters of a description that are shown.
const DESCRIPTION: usize = 240;

/// A whole document around a body. Nothing in it may run, and nothing is fetched.
pub fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n",
        title = encode_text(title)
    )
}

pub fn heading(text: &str) -> String {
    format!("<h2>{}</h2>\n", encode_text(text))
}

pub fn subheading(text: &str) -> String {
    format!("<h3>{}</h3>\n", encode_text(text))
}

pub fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", encode_text(text))
}

/// The tables among the lines of a Markdown text, as `evaluate` prints them: the page shows the same ones.
pub fn tables(markdown: &str) -> String {
    let mut html = String::new();
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(header) = cells(line) else { continue };
        html += &format!("<div class=\"wide\"><table>\n{}", row("th", &header));
        while let Some(values) = lines.next_if(|line| cells(line).is_some()).and_then(cells) {
            if !values.iter().all(|value| value.chars().all(|c| c == '-') && value.len() > 1) {
                html += &row("td", &values);
            }
        }
        html += "</table></div>\n";
    }
    html
}

/// The cells of a line of a Markdown table.
fn cells(line: &str) -> Option<Vec<&str>> {
    Some(line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect())
}

fn row(tag: &str, values: &[&str]) -> String {
    let cells = values.iter().map(|value| format!("<{tag}>{}</{tag}>", encode_text(value)));
    format!("<tr>{}</tr>\n", cells.collect::<String>())
}

/// A mistake with its photos, each a JPEG in base64.
pub fn mistake(mistake: &Mistake<'_>, photos: &[String]) -> String {
    let Mistake { listing, right, answered, .. } = mistake;
    let photos: String =
        photos.iter().map(|photo| format!("<img src=\"data:image/jpeg;base64,{photo}\" alt=\"\">")).collect();
    let mut description: String = listing.description.chars().take(DESCRIPTION).collect();
    if description.len() < listing.description.len() {
        description.push('…');
    }
    format!(
        "<article>\n<div class=\"photos\">{photos}</div>\n<h4>{title}</h4>\n<p class=\"words\">{description}</p>\n\
         <dl><dt>answered</dt><dd class=\"wrong\">{answered}</dd><dt>filed under</dt><dd>{right}</dd></dl>\n\
         <p class=\"id\">{id}</p>\n</article>\n",
        title = encode_text(&listing.title),
        description = encode_text(&description),
        answered = candidate(answered),
        right = candidate(right),
        id = encode_text(listing.id.as_str()),
    )
}

fn candidate(Candidate { category, probability }: &Candidate<'_>) -> String {
    format!("{} <span>{:.1} %</span>", encode_text(category), probability * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_terminal_become_tables_of_the_page() {
        let html = tables("| a | b |\n| --- | --- |\n| <i> | - |\n\nwords | no table\n| c |\n| --- |\n");
        let expected = "<div class=\"wide\"><table>\n<tr><th>a</th><th>b</th></tr>\n\
                        <tr><td>&lt;i&gt;</td><td>-</td></tr>\n</table></div>\n\
                        <div class=\"wide\"><table>\n<tr><th>c</th></tr>\n</table></div>\n";
        assert_eq!(html, expected);
    }
}
