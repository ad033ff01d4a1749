//! From the clean table to the examples of each model, with the anchors that draw all three into one space.
//!
//! The text's embedding comes first: it starts as the pretrained sentence embedding and is trained so that a title finds
//! its listing. The image model is then drawn to the text's embeddings of the same listing, and the combined model to
//! both. Each later model sees the earlier ones as fixed, so each can be trained again by itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use marketrank::preprocess::TextEncoder;

use super::{
    IMAGE_INPUT, TEXT_INPUT,
    backbone::{PhotoNetwork, TextNetwork},
    examples::{Anchors, Examples, Target},
    features::{FeatureStore, Features},
    heads::{Heads, HeadsConfig},
    words::{Idf, Words},
};
use crate::{
    data::{CleanTable, Listing, Split},
    onnx::LabelCounts,
    weights::{HostTensor, StateDict},
};

/// Rows embedded at once.
const CHUNK: usize = 1_024;

/// What is known of every listing, from which the examples of each model are put together.
pub struct Corpus<'a> {
    table: &'a CleanTable,
    targets: Vec<Target>,
}

/// Features of every listing's text.
pub struct TextFeatures {
    /// Of title and description, a row per listing.
    whole: Features,
    /// Of the title alone.
    title: Features,
    words: Vec<Words>,
    /// Of the training texts.
    pub idf: Idf,
}

/// Features of every photo.
pub struct PhotoFeatures {
    /// Listing of each photo, in the order of the rows.
    listing: Vec<usize>,
    plain: Features,
    mirrored: Features,
}

/// What photo features are centred and scaled by: the mean and the standard deviation over the training photos.
pub struct Standardisation {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl<'a> Corpus<'a> {
    pub fn new(table: &'a CleanTable) -> Self {
        let mut paths = BTreeMap::new();
        let target = |(index, listing): (usize, &'a Listing)| {
            let next = paths.len();
            Target {
                category: listing.category,
                subcategory: listing.subcategory,
                log_price: listing.price.filter(|price| *price > 0.0).map(|price| price.ln() as f32),
                listing: index,
                path: *paths.entry(listing.category_path.as_str()).or_insert(next),
            }
        };
        Self { table, targets: table.listings.iter().enumerate().map(target).collect() }
    }

    pub fn labels(&self) -> LabelCounts {
        LabelCounts { categories: self.table.categories.len(), subcategories: self.table.subcategories.len() }
    }

    pub fn text_features(&self, store: &FeatureStore<'_>, network: &TextNetwork) -> Result<TextFeatures> {
        let encoder = TextEncoder::from_file(&network.tokenizer, TEXT_INPUT)?;
        let listings = &self.table.listings;
        let whole: Vec<_> = listings.iter().map(|l| (l.title.as_str(), l.description.as_str())).collect();
        let titles: Vec<_> = listings.iter().map(|l| (l.title.as_str(), "")).collect();
        let words = whole.iter().map(|(title, description)| {
            Ok(Words::of(&encoder.encode(title, description).context("a listing's text")?))
        });
        let words = words.collect::<Result<Vec<Words>>>()?;
        let training = words.iter().zip(listings).filter(|(_, l)| l.split == Split::Train).map(|(w, _)| w);
        Ok(TextFeatures {
            idf: Idf::over(training, network.backbone().vocabulary()?),
            words,
            whole: store.texts(network, TEXT_INPUT, &whole)?,
            title: store.texts(network, TEXT_INPUT, &titles)?,
        })
    }

    pub fn photo_features(&self, store: &FeatureStore<'_>, network: &PhotoNetwork) -> Result<PhotoFeatures> {
        let (listing, files): (Vec<_>, Vec<_>) = self
            .table
            .listings
            .iter()
            .enumerate()
            .flat_map(|(index, listing)| listing.photos.iter().map(move |photo| (index, photo)))
            .map(|(index, photo)| (index, self.table.photo_path(photo)))
            .unzip();
        Ok(PhotoFeatures {
            listing,
            plain: store.photos(network, IMAGE_INPUT, &files, false)?,
            mirrored: store.photos(network, IMAGE_INPUT, &files, true)?,
        })
    }

    /// The standardisation that the training photos give.
    pub fn standardisation(&self, photos: &PhotoFeatures) -> Standardisation {
        let training: Vec<&[f32]> =
            self.photos_of(photos, Split::Train).into_iter().map(|row| photos.plain.row(row)).collect();
        Standardisation::over(&training, photos.plain.width())
    }

    /// One example per listing: its title alone shall be found by the whole, and the other way round.
    pub fn text_examples(&self, split: Split, text: &TextFeatures) -> Examples {
        let rows: Vec<usize> =
            (0..self.targets.len()).filter(|&index| self.table.listings[index].split == split).collect();
        Examples {
            features: vec![text.whole.select(&rows)],
            words: Some((rows.iter().map(|&row| text.words[row].clone()).collect(), text.idf.clone())),
            targets: rows.iter().map(|&row| self.targets[row]).collect(),
            anchors: Anchors::SameProjection(text.title.select(&rows)),
        }
    }

    /// One example per photo, drawn to the text embeddings of its listing: of the whole and of the title.
    pub fn image_examples(
        &self,
        split: Split,
        photos: &PhotoFeatures,
        norm: &Standardisation,
        text_embeddings: &TextEmbeddings,
    ) -> Examples {
        let rows = self.photos_of(photos, split);
        let listings: Vec<usize> = rows.iter().map(|&row| photos.listing[row]).collect();
        let view = |features: &Features| norm.apply(&features.select(&rows));
        Examples {
            features: vec![view(&photos.plain), view(&photos.mirrored)],
            words: None,
            targets: listings.iter().map(|&listing| self.targets[listing]).collect(),
            anchors: Anchors::Fixed(vec![
                text_embeddings.whole.select(&listings),
                text_embeddings.title.select(&listings),
            ]),
        }
    }

    /// One example per photo with its listing's text, drawn to the title's embedding and to the photo's.
    pub fn combined_examples(
        &self,
        split: Split,
        text: &TextFeatures,
        photos: &PhotoFeatures,
        norm: &Standardisation,
        text_embeddings: &TextEmbeddings,
        photo_embeddings: &Features,
    ) -> Examples {
        let rows = self.photos_of(photos, split);
        let listings: Vec<usize> = rows.iter().map(|&row| photos.listing[row]).collect();
        let whole = text.whole.select(&listings);
        let view = |features: &Features| whole.beside(&norm.apply(&features.select(&rows)));
        Examples {
            features: vec![view(&photos.plain), view(&photos.mirrored)],
            words: Some((
                listings.iter().map(|&listing| text.words[listing].clone()).collect(),
                text.idf.folded(),
            )),
            targets: listings.iter().map(|&listing| self.targets[listing]).collect(),
            anchors: Anchors::Fixed(vec![
                text_embeddings.title.select(&listings),
                photo_embeddings.select(&rows),
            ]),
        }
    }

    fn photos_of(&self, photos: &PhotoFeatures, split: Split) -> Vec<usize> {
        let in_split = |&row: &usize| self.table.listings[photos.listing[row]].split == split;
        (0..photos.listing.len()).filter(in_split).collect()
    }
}

/// Embeddings of every listing by a trained text model.
pub struct TextEmbeddings {
    pub whole: Features,
    pub title: Features,
}

impl TextEmbeddings {
    pub fn of(text: &TextFeatures, config: &HeadsConfig, heads: &StateDict, device: &Device) -> Result<Self> {
        let heads = Heads::load(config, heads, device)?;
        Ok(Self { whole: embed(&heads, &text.whole, device), title: embed(&heads, &text.title, device) })
    }
}

/// Embeddings of every photo by a trained image model.
pub fn photo_embeddings(
    photos: &PhotoFeatures,
    norm: &Standardisation,
    config: &HeadsConfig,
    heads: &StateDict,
    device: &Device,
) -> Result<Features> {
    Ok(embed(&Heads::load(config, heads, device)?, &norm.apply(&photos.plain), device))
}

fn embed(heads: &Heads, features: &Features, device: &Device) -> Features {
    let rows: Vec<usize> = (0..features.len()).collect();
    let mut embeddings = Vec::new();
    for chunk in rows.chunks(CHUNK) {
        let chunk = features.select(chunk);
        let shape = [chunk.len(), chunk.width()];
        let tensor = Tensor::from_data(TensorData::new(chunk.into_values(), shape), device);
        embeddings.extend(heads.embed(tensor).into_data().iter::<f32>());
    }
    Features::new(embeddings.len() / features.len().max(1), embeddings)
}

impl Standardisation {
    fn over(rows: &[&[f32]], width: usize) -> Self {
        let count = rows.len().max(1) as f64;
        let mean_of = |value: &dyn Fn(usize, f32) -> f64| -> Vec<f64> {
            (0..width).map(|i| rows.iter().map(|row| value(i, row[i])).sum::<f64>() / count).collect()
        };
        let mean = mean_of(&|_, x| f64::from(x));
        let variance = mean_of(&|i, x| (f64::from(x) - mean[i]).powi(2));
        Self {
            mean: mean.iter().map(|&x| x as f32).collect(),
            // A feature that never changes carries nothing; it must not become infinite.
            std: variance.iter().map(|x| x.sqrt().max(1e-3) as f32).collect(),
        }
    }

    fn apply(&self, features: &Features) -> Features {
        let standardise = |row: &[f32]| -> Vec<f32> {
            row.iter().zip(&self.mean).zip(&self.std).map(|((x, mean), std)| (x - mean) / std).collect()
        };
        Features::new(features.width(), features.rows().flat_map(standardise).collect())
    }

    /// Adds the tensors under the names the graph writer reads.
    pub fn write(&self, tensors: &mut StateDict) {
        let vector = |values: &Vec<f32>| HostTensor { shape: vec![values.len()], data: values.clone() };
        tensors.insert("image_norm.mean", vector(&self.mean));
        tensors.insert("image_norm.std", vector(&self.std));
    }
}
