//! Prices as people write them.

/// What a price field says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Price {
    /// An amount in units of the currency, zero or more; zero is free.
    Amount(f64),
    /// Nothing, or `N/A`.
    Absent,
    /// Something that is no price.
    Unreadable,
}

/// Reads `£1,234.00`, `1234`, `1.234,00 €`, `GBP 12.5`, `1 234,50 kr`, `free`.
///
/// The last of `.` and `,` is the decimal mark if one or two digits follow it; otherwise, and for every mark before it,
/// it separates thousands and three digits must follow. A sign, a range or a word is no price.
pub fn parse_price(text: &str) -> Price {
    if super::text::is_absent(text) {
        return Price::Absent;
    }
    let text = text.trim();
    if text.eq_ignore_ascii_case("free") {
        return Price::Amount(0.0);
    }
    amount(without_currency(text)).map_or(Price::Unreadable, Price::Amount)
}

/// Whether a character is the sign of a currency: `$`, those from `¢` to `¥`, and Unicode's block of them.
pub fn is_currency_sign(character: char) -> bool {
    matches!(character, '$' | '¢'..='¥' | '\u{20a0}'..='\u{20cf}')
}

/// Whether a text names an amount of money: a number behind the sign of a currency.
pub fn names_amount(text: &str) -> bool {
    let mut behind_signs = text.split(is_currency_sign).skip(1);
    behind_signs.any(|rest| rest.trim_start().starts_with(|first: char| first.is_ascii_digit()))
}

/// Takes a currency's sign or name off either end.
fn without_currency(text: &str) -> &str {
    let is_currency = |word: &str| {
        matches!(word, "£" | "€" | "$" | "¥" | "kr" | "Kr" | "zł" | "Fr." | "CHF")
            || (word.len() == 3 && word.chars().all(|c| c.is_ascii_uppercase()))
    };
    let digits = |c: char| c.is_ascii_digit();
    let start = text.find(digits).unwrap_or(0);
    let end = text.rfind(digits).map_or(text.len(), |last| last + 1);
    match (text.get(..start), text.get(start..end), text.get(end..)) {
        (Some(before), Some(number), Some(after))
            if [before.trim(), after.trim()].iter().all(|mark| mark.is_empty() || is_currency(mark)) =>
        {
            number
        }
        _ => text,
    }
}

fn amount(number: &str) -> Option<f64> {
    let (whole, decimals) = match number.rfind(['.', ',']) {
        Some(mark) if (1..=2).contains(&number.get(mark + 1..)?.len()) => number.split_at(mark),
        _ => (number, ""),
    };
    let groups: Vec<&str> = whole.split(['.', ',', ' ', '\u{a0}', '\u{202f}', '\'']).collect();
    let (first, others) = groups.split_first()?;
    let grouped = others.is_empty() || first.len() <= 3 && others.iter().all(|group| group.len() == 3);
    let all_digits =
        groups.iter().all(|group| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit()));
    if !grouped || !all_digits {
        return None;
    }
    let decimals = decimals.get(1..).unwrap_or("0");
    let amount: f64 = format!("{}.{decimals}", groups.concat()).parse().ok()?;
    amount.is_finite().then_some(amount)
}

/// Whether an amount is what someone types who does not want to name a price: digits that count up (1,234, 12,345,
/// 1,234.56), one digit five times or more (11,111, 99,999), or anything over `max`. Nothing is where `max` is infinite.
pub fn is_absurd(amount: f64, max: f64) -> bool {
    if max.is_infinite() {
        return false;
    }
    let text = format!("{amount:.2}");
    let digits = text.strip_suffix(".00").unwrap_or(&text).replace('.', "");
    let counts_up = amount >= 1000.0 && "123456789".starts_with(&digits);
    let repeats = amount >= 10_000.0 && digits.chars().all(|digit| digits.starts_with(digit));
    amount > max || counts_up || repeats
}
