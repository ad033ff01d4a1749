//! One space for photos and text: what the three models' embeddings find, beside what words and the untrained networks do.

use std::{collections::BTreeMap, fmt, sync::Arc};

use anyhow::Result;
use marketrank::{
    catalogue::{Product, lexical::Terms},
    inference::{Inference, mean_embedding},
    ranking::Bm25,
};

use super::{
    answers::{Answer, Shown, answers},
    retrieval::{best, ndcg, nearest, recall},
};
use crate::{
    data::{CleanTable, Listing, Split},
    learn::{
        IMAGE_INPUT, TEXT_INPUT, backbone::WeightsArgs, corpus::Corpus, feature_store::FeatureStore,
        features::Features, views::View,
    },
};

/// What one way of comparing finds among its first ten.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub by: &'static str,
    /// Share of unseen titles that find a photo of their listing, by photos' embeddings alone, among all unseen photos.
    pub title_to_photo: Option<f64>,
    /// Share of unseen photos that find another photo of their listing.
    pub photo_to_photo: Option<f64>,
    /// nDCG of unseen titles over the listings that are not unseen: gain 3 for the same category path, 1 for the same first
    /// two parts.
    pub title_to_listing: Option<f64>,
}

/// Measures the trained models' embeddings on the test split; `photos` are the answers to each photo of it.
///
/// # Errors
/// A photo cannot be read, or a model fails.
pub async fn trained(
    inference: &Arc<Inference>,
    table: &CleanTable,
    corpus: &Corpus<'_>,
    photos: &[Answer],
) -> Result<Found> {
    let titles = answers(inference, table, &[Split::Test], Shown::Title).await?;
    let listings = answers(inference, table, &[Split::Train, Split::Validation], Shown::All).await?;
    let of_title: Vec<usize> = titles.iter().map(|answer| answer.listing).collect();
    let of_photo: Vec<usize> = photos.iter().map(|answer| answer.listing).collect();
    let of_listing: Vec<usize> = listings.iter().map(|answer| answer.listing).collect();
    let (titles, photos, listings) = (embeddings(&titles), embeddings(photos), embeddings(&listings));
    Ok(Found {
        by: "the trained models",
        title_to_photo: Some(title_to_photo(&titles, &of_title, &photos, &of_photo)),
        photo_to_photo: Some(photo_to_photo(&photos, &of_photo)),
        title_to_listing: Some(title_to_listing(
            corpus,
            &titles.rows().map(|title| nearest(title, &listings, |_| false)).collect::<Vec<_>>(),
            &of_title,
            &of_listing,
        )),
    })
}

/// BM25 and the two networks as they were before training, on the same queries.
///
/// # Errors
/// The pretrained weights or a photo cannot be read.
pub fn untrained(
    table: &CleanTable,
    corpus: &Corpus<'_>,
    store: &FeatureStore<'_>,
    weights: &WeightsArgs,
) -> Result<Vec<Found>> {
    let (of_photo, files) = corpus.photos(Split::Test);
    let network = weights.photo_network()?;
    let last = 0..network.backbone().features();
    let photos = store.photos(&network, IMAGE_INPUT, &files, View::Plain)?.columns(last).normalised();

    let is_test = |index: &usize| table.listings[*index].split == Split::Test;
    let (of_title, of_listing): (Vec<usize>, Vec<usize>) = (0..table.listings.len()).partition(is_test);
    let network = weights.text_network()?;
    let titles = store.texts(&network, TEXT_INPUT, &corpus.titles())?.select(&of_title);
    let listings = store.texts(&network, TEXT_INPUT, &corpus.texts())?.select(&of_listing);
    let by_cosine: Vec<_> = titles.rows().map(|title| nearest(title, &listings, |_| false)).collect();
    let by_words = bm25(table, &of_title, &of_listing);
    let title_to_listing =
        |found: &[Vec<usize>]| Some(title_to_listing(corpus, found, &of_title, &of_listing));
    Ok(vec![
        Found {
            by: "BM25",
            title_to_photo: None,
            photo_to_photo: None,
            title_to_listing: title_to_listing(&by_words),
        },
        Found {
            by: "the pretrained networks",
            title_to_photo: None,
            photo_to_photo: Some(photo_to_photo(&photos, &of_photo)),
            title_to_listing: title_to_listing(&by_cosine),
        },
    ])
}

fn embeddings(answers: &[Answer]) -> Features {
    let rows: Vec<Vec<f32>> = answers
        .iter()
        .map(|answer| mean_embedding(answer.rows.iter().map(|row| row.embedding.as_slice())))
        .collect();
    Features::new(rows.first().map_or(0, Vec::len), rows.concat())
}

fn title_to_photo(titles: &Features, of_title: &[usize], photos: &Features, of_photo: &[usize]) -> f64 {
    let with_photo: Vec<usize> =
        (0..of_title.len()).filter(|&title| of_photo.contains(&of_title[title])).collect();
    let found: Vec<_> =
        with_photo.iter().map(|&title| nearest(titles.row(title), photos, |_| false)).collect();
    recall(&found, |query, photo| of_title[with_photo[query]] == of_photo[photo])
}

fn photo_to_photo(photos: &Features, of_photo: &[usize]) -> f64 {
    let has_twin =
        |photo: usize| (0..of_photo.len()).any(|other| other != photo && of_photo[other] == of_photo[photo]);
    let queries: Vec<usize> = (0..of_photo.len()).filter(|&photo| has_twin(photo)).collect();
    let found: Vec<_> =
        queries.iter().map(|&query| nearest(photos.row(query), photos, |photo| photo == query)).collect();
    recall(&found, |query, photo| of_photo[queries[query]] == of_photo[photo])
}

fn title_to_listing(
    corpus: &Corpus<'_>,
    found: &[Vec<usize>],
    of_title: &[usize],
    of_listing: &[usize],
) -> f64 {
    let relevance = |query: usize, document: usize| {
        corpus.target(of_title[query]).relevance(&corpus.target(of_listing[document]))
    };
    ndcg(found, relevance, of_listing.len())
}

/// The best listings for each title by BM25; those without a word of it are not found.
fn bm25(table: &CleanTable, of_title: &[usize], of_listing: &[usize]) -> Vec<Vec<usize>> {
    let product = |&listing: &usize| {
        let Listing { id, title, description, .. } = &table.listings[listing];
        Product {
            id: id.clone(),
            title: title.clone(),
            description: Some(description.clone()),
            category: None,
            category_predicted: false,
            price: None,
            currency: None,
            location: None,
            listed_at: None,
            attributes: BTreeMap::new(),
        }
    };
    let products: Vec<Product> = of_listing.iter().map(product).collect();
    let collection = Bm25::new(&products);
    let of_query = |&title: &usize| {
        let scores = collection.scores(&Terms::of_query(&table.listings[title].title));
        best(scores.into_iter().enumerate().filter(|(_, score)| *score > 0.0))
    };
    of_title.iter().map(of_query).collect()
}

/// The table that people read.
pub struct SpaceTable<'a>(pub &'a [Found]);

impl fmt::Display for SpaceTable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| found by | title finds its photo, recall@10 | photo finds its twin, recall@10 | title finds its kind, \
             nDCG@10 |"
        )?;
        writeln!(f, "| --- | --- | --- | --- |")?;
        let percent =
            |share: Option<f64>| share.map_or("-".into(), |share| format!("{:.1} %", share * 100.0));
        for found in self.0 {
            writeln!(
                f,
                "| {} | {} | {} | {} |",
                found.by,
                percent(found.title_to_photo),
                percent(found.photo_to_photo),
                found.title_to_listing.map_or("-".into(), |ndcg| format!("{ndcg:.3}"))
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This many photos of this kind.
    fn times(count: usize, photo: [f32; 2]) -> Vec<f32> {
        photo.repeat(count)
    }

    #[test]
    fn a_title_finds_its_photo_among_the_ten_nearest_or_not_and_one_without_a_photo_does_not_count() {
        let photos = [vec![0.0, 1.0, 0.6, 0.8], times(10, [1.0, 0.0])].concat();
        let of_photo = [vec![1, 2], vec![9; 10]].concat();
        let titles = Features::new(2, vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
        assert_eq!(title_to_photo(&titles, &[1, 2, 3], &Features::new(2, photos), &of_photo), 0.5);
    }

    #[test]
    fn a_photo_is_not_its_own_twin_and_one_without_a_twin_is_not_asked_about() {
        let photos = [vec![1.0, 0.0, 0.0, 1.0], times(2, [-1.0, 0.0]), times(10, [0.8, 0.6])].concat();
        let of_photo: Vec<usize> = [1, 1, 2, 2].into_iter().chain(3..13).collect();
        assert_eq!(photo_to_photo(&Features::new(2, photos), &of_photo), 0.5);
    }
}
