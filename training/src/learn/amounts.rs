//! Amounts that texts name, among their word pieces: the same arithmetic as in the graph ([`crate::onnx::amounts`]).

use crate::{
    data::is_currency_sign,
    onnx::amounts::{BEFORE, CONTEXT, LONGEST, PIECE_COLUMNS, Piece},
    weights::HostTensor,
};

/// As many digits as a float32 has.
const MOST_DIGITS: usize = 7;
/// `[PAD]`: what stands before and after a text.
pub(super) const PADDING: i64 = 0;

/// What each word piece of a vocabulary is to an amount.
#[derive(Debug, Clone, PartialEq)]
pub struct Pieces(Vec<Piece>);

/// An amount that a text names.
#[derive(Debug, Clone, PartialEq)]
pub struct Amount {
    /// Its natural logarithm. What follows the decimal point does not count.
    pub log: f32,
    /// The word pieces around its first one, [`BEFORE`] of them before it.
    pub context: [i64; CONTEXT],
}

impl Pieces {
    /// Of word pieces in the order of their ids, `##` before those that go on with a word.
    pub fn of(vocabulary: &[String]) -> Self {
        Self(vocabulary.iter().map(|text| piece(text)).collect())
    }

    /// Word pieces in the vocabulary.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The amounts of one pound, euro or dollar and more that a text of these ids names.
    pub fn find(&self, ids: &[i64]) -> Vec<Amount> {
        let pieces: Vec<Piece> = ids.iter().map(|&id| self.piece(id)).collect();
        let beginnings = pieces.iter().enumerate().filter(|(_, piece)| piece.begins == 1.0);
        let amount = |(at, first): (usize, &Piece)| {
            let mut amount = first.digits;
            for pair in pieces[at..].windows(2).take(LONGEST).take_while(|pair| follows(pair[0], pair[1])) {
                amount += amount * pair[1].growth + pair[1].digits;
            }
            (amount >= 1.0).then(|| Amount { log: amount.ln(), context: context(ids, at) })
        };
        beginnings.filter_map(amount).collect()
    }

    /// `amounts.pieces` [vocabulary, [`PIECE_COLUMNS`]], as the graph writer reads it.
    pub fn tensor(&self) -> HostTensor {
        let data = self.0.iter().flat_map(|piece| piece.columns()).collect();
        HostTensor { shape: vec![self.0.len(), PIECE_COLUMNS], data }
    }

    fn piece(&self, id: i64) -> Piece {
        usize::try_from(id).ok().and_then(|id| self.0.get(id)).copied().unwrap_or_default()
    }
}

fn piece(text: &str) -> Piece {
    if text == "," {
        return Piece { goes_on: 1.0, is_comma: 1.0, ..Piece::default() };
    }
    let (is_inside, text) = text.strip_prefix("##").map_or((false, text), |inside| (true, inside));
    let (has_sign, digits) = text.strip_prefix(is_currency_sign).map_or((false, text), |rest| (true, rest));
    if digits.len() > MOST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Piece::default();
    }
    let number = Piece {
        growth: 10_f32.powi(digits.len() as i32) - 1.0,
        digits: digits.parse().unwrap_or(0.0),
        ..Piece::default()
    };
    match (has_sign, is_inside, digits.len()) {
        (false, _, 0) => Piece::default(),
        (true, _, 0) => Piece { begins: 1.0, is_sign: 1.0, ..Piece::default() },
        (true, ..) => Piece { begins: 1.0, ..number },
        (false, true, _) => Piece { goes_on: 1.0, ..number },
        (false, false, length) => {
            Piece { is_number: 1.0, is_thousands: f32::from(u8::from(length == 3)), ..number }
        }
    }
}

/// Whether an amount goes on from one piece to the next.
fn follows(first: Piece, second: Piece) -> bool {
    second.goes_on + second.is_number * first.is_sign + second.is_thousands * first.is_comma > 0.0
}

fn context(ids: &[i64], at: usize) -> [i64; CONTEXT] {
    std::array::from_fn(|place| {
        let piece = (at + place).checked_sub(BEFORE).and_then(|at| ids.get(at));
        piece.copied().unwrap_or(PADDING)
    })
}
