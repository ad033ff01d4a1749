//! The price that words name, as the median of the word model: ridge regression of its logarithm.
//!
//! The word model's own price columns are learnt beside its categories, by the same few thousand small steps, in which rare
//! words hardly move. Ridge regression has one optimum and reaches it.

use anyhow::{Context, Result};

use super::{
    ridge::{Linear, SparseRows, ridge},
    targets::Target,
    word_model::{WordLesson, WordModel},
    words::{Idf, Words},
};
use crate::onnx::LabelCounts;

/// Penalties that are tried, of the squared weights against the summed squared error.
const PENALTIES: [f64; 5] = [1.0, 3.0, 10.0, 30.0, 100.0];

/// Parts of the training listings of which each is priced by the others.
const FOLDS: usize = 10;

/// The log price as a linear function of words and pairs, and the penalty that it was found with; none where no listing has
/// a price.
pub struct WordPrice(Option<(f64, Linear)>);

/// Listings whose price is known.
struct Priced {
    /// Which they are, by number.
    listings: Vec<usize>,
    rows: SparseRows,
    log_prices: Vec<f64>,
}

/// Chooses the penalty by the mean absolute error on the validation split.
///
/// # Errors
/// The regression does not converge.
pub fn fit(lesson: &WordLesson) -> Result<WordPrice> {
    let [train, validation] =
        [&lesson.train, &lesson.validation].map(|examples| Priced::of(examples, &lesson.idf));
    if train.log_prices.is_empty() {
        return Ok(WordPrice(None));
    }
    let mut best: Option<(f64, f64, Linear)> = None;
    for penalty in PENALTIES {
        let model = ridge(&train.rows, &train.log_prices, penalty).context("the price that words name")?;
        let error = validation.mean_absolute_error(&model);
        if best.as_ref().is_none_or(|(least, ..)| error < *least) {
            best = Some((error, penalty, model));
        }
    }
    Ok(WordPrice(best.map(|(error, penalty, model)| {
        println!("words name log prices to within {error:.3} on average, by ridge {penalty}");
        (penalty, model)
    })))
}

impl WordPrice {
    /// The word model with this as its median.
    pub fn put_into(&self, words: WordModel, labels: LabelCounts) -> WordModel {
        let Some((_, Linear { weights, intercept })) = &self.0 else { return words };
        let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        words.with_column(labels.median(), &weights, *intercept as f32)
    }

    /// The log prices of the training listings as the words of other ones name them, so as good as those of listings that were
    /// never seen; none of those without a price.
    ///
    /// # Errors
    /// The regression does not converge.
    pub fn unseen(&self, lesson: &WordLesson) -> Result<Vec<Option<f32>>> {
        let mut unseen = vec![None; lesson.train.len()];
        let Some((penalty, _)) = self.0 else { return Ok(unseen) };
        let priced = Priced::of(&lesson.train, &lesson.idf);
        for fold in 0..FOLDS {
            let others = priced.only(|listing| listing % FOLDS != fold);
            let own = priced.only(|listing| listing % FOLDS == fold);
            let model = ridge(&others.rows, &others.log_prices, penalty)?;
            for (listing, price) in own.listings.into_iter().zip(model.predict(&own.rows)) {
                unseen[listing] = Some(price as f32);
            }
        }
        Ok(unseen)
    }
}

impl Priced {
    fn of(examples: &[(Words, Target)], idf: &Idf) -> Self {
        let known = examples.iter().enumerate().filter_map(|(listing, (words, target))| {
            Some((listing, (idf.sparse(words), f64::from(target.log_price?))))
        });
        let (listings, (rows, log_prices)) = known.unzip();
        Self { listings, rows: SparseRows { columns: idf.rows(), rows }, log_prices }
    }

    /// Those of the listings that are wanted.
    fn only(&self, wanted: impl Fn(usize) -> bool) -> Self {
        let texts = self.listings.iter().zip(self.rows.rows.iter().zip(&self.log_prices));
        let wanted = texts.filter(|&(&listing, _)| wanted(listing));
        let (listings, (rows, log_prices)) =
            wanted.map(|(&listing, (row, &price))| (listing, (row.clone(), price))).unzip();
        Self { listings, rows: SparseRows { columns: self.rows.columns, rows }, log_prices }
    }

    fn mean_absolute_error(&self, model: &Linear) -> f64 {
        let errors = model
            .predict(&self.rows)
            .into_iter()
            .zip(&self.log_prices)
            .map(|(guess, known)| (guess - known).abs());
        errors.sum::<f64>() / self.log_prices.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;

    const LABELS: LabelCounts = LabelCounts { categories: 2, subcategories: 1 };
    const VOCABULARY: usize = 200;

    fn example(ids: &[i64], log_price: Option<f32>) -> (Words, Target) {
        let target = Target { category: 0, subcategory: None, log_price, listing: 0, path: 0, branch: 1 };
        (Words::of_ids(ids), target)
    }

    /// Word 110 names a price of e^5, word 120 of e^2; one listing has no price.
    fn lesson() -> WordLesson {
        let train: Vec<(Words, Target)> = (0..40)
            .flat_map(|other| {
                [example(&[110, 130 + other], Some(5.0)), example(&[120, 130 + other], Some(2.0))]
            })
            .chain([example(&[110, 120], None)])
            .collect();
        WordLesson {
            idf: Idf::over(train.iter().map(|(words, _)| words), VOCABULARY),
            validation: vec![example(&[110, 190], Some(5.0)), example(&[120, 190], Some(2.0))],
            train,
            labels: LABELS,
            device: Device::flex(),
            fingerprint: String::new(),
        }
    }

    #[test]
    fn the_median_of_unseen_texts_is_the_price_their_words_name_and_other_columns_stay() {
        let lesson = lesson();
        let blank = WordModel::new(VOCABULARY, LABELS.classes_and_price(), &lesson.device);
        let model = fit(&lesson).unwrap().put_into(blank, LABELS);
        let columns: Tensor<2> = lesson.columns(&model, &lesson.validation);
        let columns: Vec<f32> = columns.into_data().iter().collect();
        let rows: Vec<&[f32]> = columns.chunks_exact(LABELS.classes_and_price()).collect();
        let median = LABELS.median();
        assert!((rows[0][median] - 5.0).abs() < 0.3 && (rows[1][median] - 2.0).abs() < 0.3, "{rows:?}");
        let others = |row: &[f32]| row.iter().enumerate().all(|(column, x)| column == median || *x == 0.0);
        assert!(rows.iter().all(|row| others(row)), "{rows:?}");
    }

    #[test]
    fn a_training_listing_is_priced_by_the_words_of_others() {
        let mut lesson = lesson();
        // Nobody else has such a price or its word.
        lesson.train[0] = example(&[110, 199], Some(9.0));
        let unseen = fit(&lesson).unwrap().unseen(&lesson).unwrap();
        let [odd, other] = [0, 2].map(|number| unseen[number].unwrap());
        assert!((odd - 5.0).abs() < 0.5, "{odd}");
        assert!((other - 5.0).abs() < 0.5, "{other}");
        assert_eq!(unseen.last(), Some(&None), "it has no price");
    }

    #[test]
    fn without_a_single_price_the_word_model_stays_as_it_is() {
        let mut lesson = lesson();
        lesson.train.iter_mut().for_each(|(_, target)| target.log_price = None);
        assert!(fit(&lesson).unwrap().0.is_none());
    }
}
