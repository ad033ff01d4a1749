//! The price that a text names itself: "£40 ono" says more of it than all other words do. But so may "RRP £160" or "postage
//! £4", and which amounts count is learnt.
//!
//! A pointer to words of the text (Vinyals et al. 2015, "Pointer Networks"; See et al. 2017): a softmax over the amounts that
//! are named, and over the guess of the rest of the model, says how much each counts. An amount's score is the sum of what
//! each of its neighbours is worth at its distance, and of how far it is from the guess.

use super::{GraphBuilder, Value, graph::Table, mlp::Mlp, quantiles::QUANTILES};
use crate::weights::{HostTensor, StateDict, StateDictError};

/// What `amounts.pieces` says of a word piece.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Piece {
    /// 1 where an amount begins: a currency sign, with or without digits.
    pub begins: f32,
    /// 1 where one goes on, whatever stands before: digits inside a word, and the comma that parts thousands.
    pub goes_on: f32,
    /// 1 for digits that are a word by themselves: they go on with an amount of which there is nothing but the sign.
    pub is_number: f32,
    /// 1 for three of them, which go on behind a comma.
    pub is_thousands: f32,
    /// 1 for a currency sign without digits.
    pub is_sign: f32,
    /// 1 for a comma.
    pub is_comma: f32,
    /// Ten to the power of the number of digits, less 1.
    pub growth: f32,
    /// The digits as a number.
    pub digits: f32,
}

/// Columns of `amounts.pieces`, in the order of [`Piece`].
pub const PIECE_COLUMNS: usize = 8;
/// Pieces before an amount's first one that its score depends on, beside that one itself.
pub const BEFORE: usize = 4;
/// The same after it.
pub const AFTER: usize = 6;
/// Columns of `amounts.context`.
pub const CONTEXT: usize = BEFORE + 1 + AFTER;
/// Pieces that an amount may have behind its first one: "£12,500" has "£1", "##2", ",", "500".
pub const LONGEST: usize = 4;

/// What amounts score that are none.
const NEVER: f32 = -1e9;

impl Piece {
    pub fn columns(self) -> [f32; PIECE_COLUMNS] {
        let Self { begins, goes_on, is_number, is_thousands, is_sign, is_comma, growth, digits } = self;
        [begins, goes_on, is_number, is_thousands, is_sign, is_comma, growth, digits]
    }
}

/// Emits price columns `price` [batch, 3], as [`super::quantiles::ordered_quantiles`] takes them, with the amounts that texts
/// `input_ids` int64 [batch, tokens] name: [batch, 3].
///
/// Reads `amounts.pieces` [vocabulary, [`PIECE_COLUMNS`]], `amounts.context` [vocabulary, [`CONTEXT`]], the [`Mlp`]
/// `amounts.distance: 1 -> 1` and `amounts.band` [2], the raw columns of the half widths around a price that is named. Where
/// `weights` have no `amounts.context`, the columns stay as they are.
///
/// # Errors
/// A tensor is missing or has another shape.
pub fn named_price(
    g: &mut GraphBuilder,
    weights: &StateDict,
    vocabulary: usize,
    input_ids: &Value<i64>,
    price: Value<f32>,
) -> Result<Value<f32>, StateDictError> {
    if !weights.contains("amounts.context") {
        return Ok(price);
    }
    let pieces = weights.get_shaped("amounts.pieces", &[vocabulary, PIECE_COLUMNS])?;
    let context = weights.get_shaped("amounts.context", &[vocabulary, CONTEXT])?;
    let distance = Mlp::read(weights, "amounts.distance", 1)?.with_outputs(1)?;
    let band = weights.get_shaped("amounts.band", &[2])?;

    let [_, guess, _] = g.split(&price, [1; QUANTILES]);
    // Numbers must not be rounded to 8 bits, nor large ones to 16.
    let pieces = Table::Float32(g.float32("amounts.pieces", pieces));
    let pieces = g.gather_rows(&pieces, input_ids);
    let (log_amounts, is_amount) = amounts(g, &pieces);

    let column = g.unsqueeze(&guess, &[2]);
    let far = g.sub(&log_amounts, &column);
    let by_distance = distance.emit(g, &far);
    let context = g.table("amounts.context", context);
    let context = g.gather_rows(&context, input_ids);
    let by_context = of_neighbours(g, &context);
    let scores = g.add(&by_distance, &by_context);
    let never = g.scalar(NEVER);
    let scores = g.node("Where").input(&is_amount).input(&scores).input(&never).emit();

    let scores = g.squeeze(&scores, &[2]);
    let log_amounts = g.squeeze(&log_amounts, &[2]);
    // The guess has score 0.
    let scores = g.padded(&scores, [0, 1], [0, 0]);
    let prices = g.concat(&[&guess, &log_amounts]);
    let shares = g.softmax(&scores);
    let weighted = g.mul(&shares, &prices);
    let median = g.sum_last(&weighted);

    let of_guess = g.slice(&shares, 1, 0, 1);
    let named = g.floats(&[band.data[0], 0.0, band.data[1]]);
    let wider = g.sub(&price, &named);
    let wider = g.mul(&wider, &of_guess);
    let widths = g.add(&named, &wider);
    let [below, _, above] = g.split(&widths, [1; QUANTILES]);
    Ok(g.concat(&[&below, &median, &above]))
}

/// Pieces [batch, tokens, [`PIECE_COLUMNS`]] to the logarithms of the amounts that begin at each, and whether one does:
/// [batch, tokens, 1].
fn amounts(g: &mut GraphBuilder, pieces: &Value<f32>) -> (Value<f32>, Value<bool>) {
    let [begins, goes_on, followers, leaders, digits] = g.split(pieces, [1, 1, 2, 2, 2]);
    let before = g.padded(&leaders, [0, 1, 0], [0; 3]);
    let before = g.slice(&before, 1, 0, -1);
    let behind = g.mul(&followers, &before);
    let behind = g.sum_last(&behind);
    let goes_on = g.add(&goes_on, &behind);

    let next = g.concat(&[&goes_on, &digits]);
    let next = g.padded(&next, [0; 3], [0, LONGEST as i64, 0]);
    let mut unbroken = begins;
    let [_, mut amount] = g.split(&digits, [1, 1]);
    amount = g.mul(&amount, &unbroken);
    for step in 1..=LONGEST {
        let end = if step == LONGEST { i64::MAX } else { step as i64 - LONGEST as i64 };
        let piece = g.slice(&next, 1, step as i64, end);
        let [goes_on, growth, digits] = g.split(&piece, [1; 3]);
        unbroken = g.mul(&unbroken, &goes_on);
        let more = g.mul(&amount, &growth);
        let more = g.add(&more, &digits);
        let more = g.mul(&more, &unbroken);
        amount = g.add(&amount, &more);
    }
    let one = g.scalar(1.0);
    let is_amount = g.node("GreaterOrEqual").input(&amount).input(&one).emit();
    let at_least_one = g.max(&amount, &one);
    let log_amounts = g.node("Log").input(&at_least_one).emit();
    (log_amounts, is_amount)
}

/// The sum over the neighbours of each piece, each in the column of its place: [batch, tokens, [`CONTEXT`]] -> [batch, tokens,
/// 1].
fn of_neighbours(g: &mut GraphBuilder, context: &Value<f32>) -> Value<f32> {
    let mut diagonal = vec![0.0; CONTEXT * CONTEXT];
    diagonal.iter_mut().step_by(CONTEXT + 1).for_each(|x| *x = 1.0);
    let window =
        g.float32("amounts.window", &HostTensor { shape: vec![1, CONTEXT, CONTEXT], data: diagonal });
    let columns = g.transpose(context, &[0, 2, 1]);
    let pads = [BEFORE as i64, AFTER as i64];
    let sums: Value<f32> = g.node("Conv").input(&columns).input(&window).ints("pads", &pads).emit();
    g.transpose(&sums, &[0, 2, 1])
}
