//! `marketrank-train evaluate --ranking`: what the server's own ranking finds for titles and photos of unseen listings among
//! the others, and what each of its signals brings.
//!
//! [`shop`] makes the catalogue and asks it; the baselines are here, and the search for better weights in [`tuning`].

pub mod shop;
mod tuning;

use std::collections::HashMap;

use anyhow::Result;
use marketrank::{
    catalogue::ProductId,
    ranking::{MAX_PLACE, Retrieved, Weights},
};

use self::shop::{Questions, Shelf, Shop};
use super::retrieval::{PLACES, ndcg, recall, reciprocal_rank};
use crate::{
    data::Split,
    learn::{TEXT_INPUT, backbone::WeightsArgs},
};

pub use self::tuning::tune;

/// What a place counts in reciprocal-rank fusion, `1 / (RRF + place)` (Cormack, Clarke & Buettcher 2009).
const RRF: f64 = 60.0;

/// Words alone, and the embedding alone.
const WORDS: Weights = Weights { words: 1.0, kind: 0.0, ..Weights::TUNED };
const MEANING: Weights = Weights { words: 0.0, kind: 0.0, ..Weights::TUNED };

/// Questions that were answered, and how the answers are judged.
struct Exam<'a> {
    shop: &'a Shop<'a>,
    shelf: &'a Shelf,
    questions: &'a Questions,
    answers: Vec<Retrieved>,
}

/// What the first ten places are worth.
struct Marks {
    /// Gain 3 for the same whole category path, 1 for the same first two parts.
    ndcg: f64,
    /// Of the first listing of the same whole path.
    reciprocal_rank: f64,
    /// Share of the questions that find a listing of the same whole path.
    recall: f64,
}

/// Prints what the ranking finds on the test split: titles and photos of test listings over all others.
///
/// # Errors
/// A photo or the pretrained weights cannot be read, or a model or the catalogue fails.
pub fn measure(shop: &Shop<'_>, weights: &WeightsArgs) -> Result<()> {
    let requests = tokio::runtime::Runtime::new()?;
    requests.block_on(async {
        let others = [Split::Train, Split::Validation];
        let shelf = shop.shelf(&others).await?;
        let (titles, photos) = (shop.titles(Split::Test).await?, shop.photos(Split::Test).await?);
        let mut by_title = Exam::sit(shop, &shelf, &titles).await?;
        let mut by_photo = Exam::sit(shop, &shelf, &photos).await?;

        // The text network as it was before training, in the place of the models' embeddings.
        let network = weights.text_network()?;
        let pretrained = |texts: &[(&str, &str)]| shop.store().texts(&network, TEXT_INPUT, texts);
        let whole_texts = pretrained(&shop.corpus().texts())?.select(&shelf.listings);
        let titles_alone = pretrained(&shop.corpus().titles())?.select(&titles.listings);
        let untouched_shelf = shop.shelf_of(shelf.listings.clone(), &whole_texts).await?;
        let untouched_titles = titles.embedded_as(titles_alone);
        let mut untouched = Exam::sit(shop, &untouched_shelf, &untouched_titles).await?;

        let by_words = by_title.with_words();
        let fused = fuse(&by_words, &untouched.best(MEANING, MAX_PLACE));
        println!(
            "{} titles and {} photos over {} listings",
            titles.count(),
            photos.count(),
            shelf.listings.len()
        );
        println!("| ranked by | title: nDCG@10 | MRR | recall@10 | photo: nDCG@10 | MRR | recall@10 |");
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        print("BM25", &by_title.marks(&by_words), None);
        print("MiniLM, untouched", &untouched.marks_of(MEANING), None);
        print("both by reciprocal rank", &by_title.marks(&fused), None);
        print("the models' embeddings", &by_title.marks_of(MEANING), Some(&by_photo.marks_of(MEANING)));
        for (name, weights) in [
            ("**the whole**", Weights::TUNED),
            ("without meaning", Weights { words: 1.0, ..Weights::TUNED }),
            ("without words", Weights { words: 0.0, ..Weights::TUNED }),
            ("without kind", Weights { kind: 0.0, ..Weights::TUNED }),
        ] {
            // A photo has no words.
            let of_photo = (weights.words != 1.0).then(|| by_photo.marks_of(weights));
            print(name, &by_title.marks_of(weights), of_photo.as_ref());
        }
        Ok(())
    })
}

fn print(name: &str, title: &Marks, photo: Option<&Marks>) {
    let cells = |marks: &Marks| {
        let Marks { ndcg, reciprocal_rank, recall } = marks;
        format!("{ndcg:.3} | {reciprocal_rank:.3} | {recall:.3}")
    };
    println!("| {name} | {} | {} |", cells(title), photo.map_or("- | - | -".to_owned(), cells));
}

/// The first places of two orders of the same shelf, fused.
fn fuse(one: &[Vec<usize>], other: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let of_question = |(one, other): (&Vec<usize>, &Vec<usize>)| {
        let mut scores: HashMap<usize, f64> = HashMap::new();
        for order in [one, other] {
            for (place, listing) in order.iter().enumerate() {
                *scores.entry(*listing).or_default() += 1.0 / (RRF + (place + 1) as f64);
            }
        }
        let mut fused: Vec<(usize, f64)> = scores.into_iter().collect();
        fused.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        fused.into_iter().take(PLACES).map(|(listing, _)| listing).collect()
    };
    one.iter().zip(other).map(of_question).collect()
}

impl<'a> Exam<'a> {
    async fn sit(shop: &'a Shop<'a>, shelf: &'a Shelf, questions: &'a Questions) -> Result<Self> {
        Ok(Self { shop, shelf, questions, answers: shop.ask(shelf, questions).await? })
    }

    /// All that have a word of the question, best first, by place on the shelf: what was found by the embedding alone is no
    /// find of BM25's.
    fn with_words(&self) -> Vec<Vec<usize>> {
        let of_question = |found: &Retrieved| {
            let order = found.clone().order(&found.scoring(WORDS));
            let with_words = order.iter().filter(|scored| scored.found.evidence.lexical > Some(0.0));
            with_words.filter_map(|scored| self.shelf.place(&scored.found.id)).collect()
        };
        self.answers.iter().map(of_question).collect()
    }

    /// The first `limit` that were found for each question, best first, by place on the shelf.
    fn best(&mut self, weights: Weights, limit: usize) -> Vec<Vec<usize>> {
        let shelf = self.shelf;
        let places = |ids: Vec<&ProductId>| ids.into_iter().filter_map(|id| shelf.place(id)).collect();
        self.answers.iter_mut().map(|found| places(found.best(weights, limit))).collect()
    }

    fn marks_of(&mut self, weights: Weights) -> Marks {
        let found = self.best(weights, PLACES);
        self.marks(&found)
    }

    fn marks(&self, found: &[Vec<usize>]) -> Marks {
        let Self { shop, shelf, questions, .. } = self;
        let relevance = |question, place| shop.relevance(shelf, questions, question, place);
        let is_right = |question, place| relevance(question, place) == 2;
        Marks {
            ndcg: ndcg(found, relevance, shelf.listings.len()),
            reciprocal_rank: reciprocal_rank(found, is_right),
            recall: recall(found, is_right),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_orders_have_in_common_comes_before_the_first_of_either() {
        assert_eq!(fuse(&[vec![0, 1]], &[vec![1, 2]]), [[1, 0, 2]]);
    }
}
