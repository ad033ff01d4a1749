//! The listings as a catalogue of the server's own, and titles and photos of others to ask it with.

use std::{collections::HashMap, sync::Arc};

use anyhow::Result;
use marketrank::{
    catalogue::{
        Catalogue, ContentHash, Location, Product, ProductId, StoredProduct, embedded::EmbeddedCatalogue,
    },
    inference::{Inference, Model, mean_embedding},
    ranking::{PhotoQuery, Query, RankRequest, Retrieved, TextQuery, retrieve},
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{
    data::{CleanTable, Listing, Split},
    evaluate::answers::{Shown, answers},
    learn::{
        corpus::Corpus,
        feature_store::{FeatureStore, add_photos},
        features::Features,
    },
};

/// Products of one write.
const BATCH: usize = 256;

/// Listings, and how the models see them.
pub struct Shop<'a> {
    inference: &'a Arc<Inference>,
    table: &'a CleanTable,
    corpus: Corpus<'a>,
    store: &'a FeatureStore<'a>,
}

/// What is asked with, a row of an embedding for each.
pub struct Questions {
    /// Numbers of the listings that they are of.
    pub listings: Vec<usize>,
    pub embeddings: Features,
    kind: Shown,
}

/// A catalogue of some of the listings, in a folder that goes when it does.
pub struct Shelf {
    // Before the folder, so that it is closed when that is removed.
    catalogue: EmbeddedCatalogue,
    /// Numbers of its listings.
    pub listings: Vec<usize>,
    places: HashMap<ProductId, usize>,
    _folder: TempDir,
}

impl<'a> Shop<'a> {
    pub fn new(inference: &'a Arc<Inference>, table: &'a CleanTable, store: &'a FeatureStore<'a>) -> Self {
        Self { inference, table, corpus: Corpus::new(table), store }
    }

    pub fn corpus(&self) -> &Corpus<'a> {
        &self.corpus
    }

    pub fn store(&self) -> &FeatureStore<'a> {
        self.store
    }

    /// The titles of a split.
    pub async fn titles(&self, split: Split) -> Result<Questions> {
        self.questions(split, Shown::Title).await
    }

    /// The photos of a split.
    pub async fn photos(&self, split: Split) -> Result<Questions> {
        self.questions(split, Shown::EachPhoto).await
    }

    async fn questions(&self, split: Split, kind: Shown) -> Result<Questions> {
        let (listings, embeddings) = self.embedded(split, kind).await?;
        Ok(Questions { listings, embeddings, kind })
    }

    /// A catalogue of the listings of these splits, as `marketrank import` would store them.
    pub async fn shelf(&self, splits: &[Split]) -> Result<Shelf> {
        let (mut listings, mut embeddings) = (Vec::new(), Features::new(0, Vec::new()));
        for &split in splits {
            let (more, rows) = self.embedded(split, Shown::All).await?;
            listings.extend(more);
            embeddings.extend(rows);
        }
        self.shelf_of(listings, &embeddings).await
    }

    /// A catalogue of these listings under other embeddings.
    pub async fn shelf_of(&self, listings: Vec<usize>, embeddings: &Features) -> Result<Shelf> {
        let folder = TempDir::new()?;
        let catalogue = EmbeddedCatalogue::open(folder.path(), embeddings.width(), "evaluate")?;
        let stored = |(&listing, embedding): (&usize, &[f32])| StoredProduct {
            product: self.product(listing),
            embedding: embedding.to_vec(),
            thumbnail: None,
            content: ContentHash::default(),
        };
        let products: Vec<StoredProduct> = listings.iter().zip(embeddings.rows()).map(stored).collect();
        for batch in products.chunks(BATCH) {
            catalogue.upsert(batch.to_vec()).await?;
        }
        let places =
            products.into_iter().enumerate().map(|(place, stored)| (stored.product.id, place)).collect();
        Ok(Shelf { catalogue, listings, places, _folder: folder })
    }

    /// Listings of a split and what the models make of them, from the cache where they were embedded before.
    async fn embedded(&self, split: Split, shown: Shown) -> Result<(Vec<usize>, Features)> {
        let of_split = |(_, listing): &(usize, &Listing)| listing.split == split;
        let listings = self.table.listings.iter().enumerate().filter(of_split);
        let listings: Vec<usize> = match shown {
            Shown::EachPhoto => self.corpus.photos(split).0,
            _ => listings.map(|(index, _)| index).collect(),
        };
        let mut key = Sha256::new_with_prefix(&self.inference.manifest().version);
        key.update(&self.table.sha256);
        key.update(format!("{split} {shown:?}"));
        add_photos(&mut key, &self.corpus.photos(split).1)?;
        for model in Model::ALL {
            key.update(&self.inference.variant(model).file.sha256);
        }
        if let Some(known) = self.store.find("embeddings", key.clone())? {
            return Ok((listings, known));
        }
        let answers = answers(self.inference, self.table, &[split], shown).await?;
        let rows: Vec<Vec<f32>> = answers
            .iter()
            .map(|answer| mean_embedding(answer.rows.iter().map(|row| row.embedding.as_slice())))
            .collect();
        let features = Features::new(rows.first().map_or(0, Vec::len), rows.concat());
        self.store.keep("embeddings", key, &features)?;
        Ok((listings, features))
    }

    fn product(&self, listing: usize) -> Product {
        let Listing {
            id,
            title,
            description,
            category,
            category_path,
            price,
            currency,
            location,
            listed_at,
            ..
        } = &self.table.listings[listing];
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let subcategory =
            category_path.split(" / ").nth(1).map(|name| ("subcategory".to_owned(), json!(name)));
        let path = ("category_path".to_owned(), json!(category_path));
        Product {
            id: id.clone(),
            title: title.clone(),
            description: given(description),
            category: self.table.categories.get(*category).cloned(),
            category_predicted: false,
            price: *price,
            currency: given(currency),
            location: given(location).map(|name| Location { name: Some(name), lat: None, lon: None }),
            listed_at: *listed_at,
            attributes: subcategory.into_iter().chain([path]).collect(),
        }
    }

    /// What the server asks its ranking for a question.
    fn query(&self, questions: &Questions, question: usize) -> Query {
        let embedding = questions.embeddings.row(question).to_vec();
        if questions.kind == Shown::Title {
            let words = self.table.listings[questions.listings[question]].title.clone();
            Query { text: Some(TextQuery { words, embedding }), ..Query::default() }
        } else {
            Query { photo: Some(PhotoQuery { embedding }), ..Query::default() }
        }
    }

    /// What the server's ranking finds for each question, before it is weighed.
    pub async fn ask(&self, shelf: &Shelf, questions: &Questions) -> Result<Vec<Retrieved>> {
        let mut found = Vec::with_capacity(questions.listings.len());
        for question in 0..questions.listings.len() {
            let request = RankRequest { query: self.query(questions, question), ..RankRequest::default() };
            found.push(retrieve(&shelf.catalogue, &request).await?);
        }
        Ok(found)
    }

    /// How relevant a listing of the shelf, by its place there, is to a question.
    pub fn relevance(&self, shelf: &Shelf, questions: &Questions, question: usize, place: usize) -> u32 {
        let target = |listing: usize| self.corpus.target(listing);
        target(questions.listings[question]).relevance(&target(shelf.listings[place]))
    }
}

impl Questions {
    /// The same questions under other embeddings.
    pub fn embedded_as(&self, embeddings: Features) -> Self {
        Self { listings: self.listings.clone(), embeddings, kind: self.kind }
    }

    pub fn count(&self) -> usize {
        self.listings.len()
    }
}

impl Shelf {
    /// Where a product stands on the shelf.
    pub fn place(&self, id: &ProductId) -> Option<usize> {
        self.places.get(id).copied()
    }
}
