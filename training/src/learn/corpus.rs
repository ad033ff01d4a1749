//! From the clean table to the examples of each model.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use burn::tensor::Device;
use marketrank::preprocess::{TextEncoder, Tokens};

use super::{
    IMAGE_INPUT, TEXT_INPUT,
    amounts::Pieces,
    backbone::{PhotoNetwork, TextNetwork},
    feature_store::FeatureStore,
    features::Features,
    named_price::{NamedExample, NamedPriceLesson},
    photo::{PhotoExamples, PhotoLesson},
    space::{SpaceExamples, SpaceLesson},
    targets::Target,
    teacher::{AnsweredListing, Teacher},
    text::{FROZEN_LAYERS, HiddenText, TextExample, TextLesson},
    views::View,
    word_model::WordLesson,
    words::{Idf, Words},
};
use crate::{
    data::{CleanTable, Listing, Split},
    networks::Bert,
    onnx::LabelCounts,
};

/// What is known of every listing.
pub struct Corpus<'a> {
    table: &'a CleanTable,
    targets: Vec<Target>,
}

/// Embeddings of every listing's text, a row per listing.
pub struct TextEmbeddings {
    /// Of title and description.
    pub whole: Features,
    /// Of the title alone.
    pub title: Features,
    /// Names the network and the heads.
    pub made_by: String,
}

impl<'a> Corpus<'a> {
    pub fn new(table: &'a CleanTable) -> Self {
        let mut numbers = BTreeMap::new();
        let mut number = |path: String| {
            let next = numbers.len();
            *numbers.entry(path).or_insert(next)
        };
        let target = |(index, listing): (usize, &'a Listing)| {
            let parts: Vec<&str> = listing.category_path.split(" / ").take(2).collect();
            Target {
                category: listing.category,
                subcategory: listing.subcategory,
                log_price: listing.price.filter(|price| *price > 0.0).map(|price| price.ln() as f32),
                listing: index,
                path: number(listing.category_path.clone()),
                // Of another kind than a whole path, even where that has no more parts.
                branch: number(format!("{} /", parts.join(" / "))),
            }
        };
        Self { table, targets: table.listings.iter().enumerate().map(target).collect() }
    }

    pub fn labels(&self) -> LabelCounts {
        LabelCounts { categories: self.table.categories.len(), subcategories: self.table.subcategories.len() }
    }

    /// Listings of a split, by number.
    fn of(&self, split: Split) -> impl Iterator<Item = usize> {
        (0..self.targets.len()).filter(move |&index| self.table.listings[index].split == split)
    }

    /// Refuses a table without a listing of a kind to learn from, or without one to judge by.
    fn ensure_some(&self, kind: &str, is_one: impl Fn(&Listing) -> bool) -> Result<()> {
        for split in [Split::Train, Split::Validation] {
            ensure!(
                self.of(split).any(|index| is_one(&self.table.listings[index])),
                "the clean table has no {kind} in its {split} split; run `marketrank-train prepare` on more listings"
            );
        }
        Ok(())
    }

    /// One example per listing for BERT, whose frozen layers run over them here, and what a teacher answers to them.
    ///
    /// # Errors
    /// A split has no listing, the tokenizer or the teacher's file cannot be read, or that file answers to other listings.
    pub fn text_lesson(
        &self,
        network: &TextNetwork,
        bert: &Bert,
        teacher: Option<&Path>,
        device: &Device,
    ) -> Result<TextLesson> {
        self.ensure_some("listing", |_| true)?;
        let encoder = TextEncoder::from_file(&network.tokenizer, TEXT_INPUT)?;
        let examples = |split| -> Result<Vec<TextExample>> {
            let listings: Vec<usize> = self.of(split).collect();
            let encode = |with_description: bool| -> Result<Vec<Tokens>> {
                let tokens = listings.iter().map(|&index| {
                    let Listing { title, description, .. } = &self.table.listings[index];
                    encoder.encode(title, if with_description { description } else { "" })
                });
                tokens.collect::<Result<_, _>>().context("a listing's text")
            };
            let (whole, title) = (encode(true)?, encode(false)?);
            let hidden = |tokens: &[Tokens]| {
                HiddenText::of(bert, FROZEN_LAYERS, &tokens.iter().collect::<Vec<_>>(), device)
            };
            let parts = hidden(&whole).into_iter().zip(hidden(&title)).zip(whole).zip(listings);
            let example = |(((whole, title), tokens), listing)| TextExample {
                whole,
                title,
                tokens,
                target: self.targets[listing],
                views: Vec::new(),
            };
            Ok(parts.map(example).collect())
        };
        let mut train = examples(Split::Train)?;
        let mut fingerprint = format!("{} {} {TEXT_INPUT:?} ", self.table.sha256, network.sha256);
        let teacher = match teacher {
            None => None,
            Some(path) => {
                let teacher = self.teacher(path)?;
                fingerprint += &teacher.sha256;
                for (example, answered) in train.iter_mut().zip(&teacher.listings) {
                    example.views = answered_views(answered, &encoder, bert, device)?;
                }
                Some(teacher)
            }
        };
        Ok(TextLesson {
            train,
            validation: examples(Split::Validation)?,
            teacher,
            labels: self.labels(),
            device: device.clone(),
            fingerprint,
        })
    }

    /// What a file of answers says of the training listings.
    ///
    /// # Errors
    /// It cannot be read, or answers to other listings.
    pub fn teacher(&self, path: &Path) -> Result<Teacher> {
        let listings: Vec<&Listing> =
            self.of(Split::Train).map(|index| &self.table.listings[index]).collect();
        Teacher::read(path, &listings, self.labels())
    }

    /// The same examples as bags of words.
    ///
    /// # Errors
    /// The weights are not a BERT's.
    pub fn word_lesson(&self, network: &TextNetwork, texts: &TextLesson) -> Result<WordLesson> {
        let words = |examples: &[TextExample]| -> Vec<(Words, Target)> {
            examples.iter().map(|example| (Words::of(&example.tokens), example.target)).collect()
        };
        let train = words(&texts.train);
        Ok(WordLesson {
            idf: Idf::over(train.iter().map(|(words, _)| words), network.backbone().vocabulary()?),
            train,
            validation: words(&texts.validation),
            labels: texts.labels,
            device: texts.device.clone(),
            fingerprint: texts.fingerprint.clone(),
        })
    }

    /// Those listings whose price is known and whose texts name amounts, each with what the rest of the model guesses of the
    /// `train` and the `validation` listings; none where it cannot tell.
    ///
    /// # Errors
    /// The tokenizer cannot be read, or the weights are not a BERT's.
    pub fn named_price_lesson(
        &self,
        network: &TextNetwork,
        texts: &TextLesson,
        [train, validation]: [&[Option<f32>]; 2],
    ) -> Result<NamedPriceLesson> {
        let mut vocabulary = TextEncoder::from_file(&network.tokenizer, TEXT_INPUT)?.word_pieces();
        vocabulary.resize_with(network.backbone().vocabulary()?, String::new);
        let pieces = Pieces::of(&vocabulary);
        let named = |examples: &[TextExample], guesses: &[Option<f32>]| -> Vec<NamedExample> {
            let example = |(example, guess): (&TextExample, &Option<f32>)| {
                let amounts = pieces.find(example.tokens.ids());
                let (guess, log_price) = (*guess).zip(example.target.log_price)?;
                (!amounts.is_empty()).then_some(NamedExample { amounts, guess, log_price })
            };
            examples.iter().zip(guesses).filter_map(example).collect()
        };
        Ok(NamedPriceLesson {
            train: named(&texts.train, train),
            validation: named(&texts.validation, validation),
            pieces,
            device: texts.device.clone(),
            fingerprint: texts.fingerprint.clone(),
        })
    }

    /// One example per photo, drawn to the text embeddings of its listing: of the whole and of the title. The training
    /// photos are seen in `views` augmented views beside the plain one, and with what a teacher answers to their listing's text.
    ///
    /// # Errors
    /// A photo cannot be read, or a split has none.
    pub fn photo_lesson(
        &self,
        store: &FeatureStore<'_>,
        network: &PhotoNetwork,
        embeddings: &TextEmbeddings,
        views: u32,
        teacher: Option<&Teacher>,
        device: &Device,
    ) -> Result<PhotoLesson> {
        self.ensure_some("listing with a photo", |listing| !listing.photos.is_empty())?;
        let examples = |split, views: &[View], teacher: Option<&Teacher>| -> Result<PhotoExamples> {
            let (listings, files) = self.photos(split);
            let anchors = [&embeddings.whole, &embeddings.title].map(|rows| rows.select(&listings));
            Ok(PhotoExamples {
                views: views
                    .iter()
                    .map(|&view| store.maps(network, IMAGE_INPUT, &files, view))
                    .collect::<Result<_>>()?,
                targets: listings.iter().map(|&listing| self.targets[listing]).collect(),
                anchors: anchors.into(),
                answers: teacher.map(|teacher| {
                    let of_split: Vec<usize> = self.of(split).collect();
                    let places = listings.iter().map(|listing| of_split.partition_point(|of| of < listing));
                    teacher.answers_to(&places.collect::<Vec<_>>())
                }),
            })
        };
        let train_views: Vec<View> =
            [View::Plain].into_iter().chain((0..views).map(View::Augmented)).collect();
        Ok(PhotoLesson {
            train: examples(Split::Train, &train_views, teacher)?,
            validation: examples(Split::Validation, &[View::Plain], None)?,
            labels: self.labels(),
            device: device.clone(),
            fingerprint: format!(
                "{} {} {} {IMAGE_INPUT:?} {views} {}",
                self.table.sha256,
                network.sha256,
                embeddings.made_by,
                teacher.map_or("", |teacher| &teacher.sha256)
            ),
        })
    }

    /// One example per listing with a photo, as the trained networks see its texts and photos. The training photos are seen
    /// in `views` augmented views beside the plain one.
    ///
    /// # Errors
    /// A photo cannot be read, or a split has none.
    pub fn space_lesson(
        &self,
        store: &FeatureStore<'_>,
        network: &PhotoNetwork,
        text: &TextNetwork,
        views: u32,
        device: &Device,
    ) -> Result<SpaceLesson> {
        let titles = store.texts(text, TEXT_INPUT, &self.titles())?;
        let texts = store.texts(text, TEXT_INPUT, &self.texts())?;
        let examples = |split, views: u32| -> Result<SpaceExamples> {
            let (of_photo, files) = self.photos(split);
            let seen = |view| store.photos(network, IMAGE_INPUT, &files, view);
            let (mut listings, mut photos_of, mut next) = (Vec::new(), Vec::new(), 0);
            for photos in of_photo.chunk_by(|a, b| a == b) {
                listings.push(photos[0]);
                photos_of.push(next..next + photos.len());
                next += photos.len();
            }
            Ok(SpaceExamples {
                titles: titles.select(&listings),
                texts: texts.select(&listings),
                photos: seen(View::Plain)?,
                views: (0..views).map(|number| seen(View::Augmented(number))).collect::<Result<_>>()?,
                photos_of,
                targets: listings.into_iter().map(|listing| self.targets[listing]).collect(),
            })
        };
        let lesson = SpaceLesson {
            train: examples(Split::Train, views)?,
            validation: examples(Split::Validation, 0)?,
            device: device.clone(),
            fingerprint: format!("{} {} {} {views}", self.table.sha256, network.sha256, text.sha256),
        };
        lesson.ensure_examples()?;
        Ok(lesson)
    }

    /// At most so many listings of a split, evenly spread over it, by number.
    pub fn some(&self, split: Split, most: usize) -> Vec<usize> {
        let all: Vec<usize> = self.of(split).collect();
        let count = most.min(all.len());
        (0..count).map(|index| all[index * all.len() / count]).collect()
    }

    /// The photos of listings: number of the listing, and file.
    pub fn photos_of(&self, listings: &[usize]) -> (Vec<usize>, Vec<PathBuf>) {
        let photos = listings
            .iter()
            .flat_map(|&index| self.table.listings[index].photos.iter().map(move |photo| (index, photo)));
        photos.map(|(index, photo)| (index, self.table.photo_path(photo))).unzip()
    }

    /// The photos of a split, listing by listing: number of the listing, and file.
    pub fn photos(&self, split: Split) -> (Vec<usize>, Vec<PathBuf>) {
        self.photos_of(&self.of(split).collect::<Vec<_>>())
    }

    /// Titles and descriptions of all listings.
    pub fn texts(&self) -> Vec<(&str, &str)> {
        self.table.listings.iter().map(|l| (l.title.as_str(), l.description.as_str())).collect()
    }

    /// Titles alone.
    pub fn titles(&self) -> Vec<(&str, &str)> {
        self.table.listings.iter().map(|l| (l.title.as_str(), "")).collect()
    }

    pub fn target(&self, listing: usize) -> Target {
        self.targets[listing]
    }
}

/// What the frozen layers make of a listing's other texts, each with the row of its answer.
fn answered_views(
    answered: &AnsweredListing,
    encoder: &TextEncoder,
    bert: &Bert,
    device: &Device,
) -> Result<Vec<(HiddenText, usize)>> {
    let encode = |(title, description, _): &(String, String, usize)| encoder.encode(title, description);
    let tokens: Vec<Tokens> =
        answered.views.iter().map(encode).collect::<Result<_, _>>().context("a text of the teacher's")?;
    let hidden = HiddenText::of(bert, FROZEN_LAYERS, &tokens.iter().collect::<Vec<_>>(), device);
    let rows = answered.views.iter().map(|(_, _, row)| *row);
    Ok(hidden.into_iter().zip(rows).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const COLUMNS: &str = "id,title,description,category,subcategory,category_path,price,currency,location,listed_at,\
                           split,photos\n";

    fn table(rows: &str) -> CleanTable {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("products.csv"), format!("{COLUMNS}{rows}")).unwrap();
        CleanTable::read(folder.path()).unwrap()
    }

    #[test]
    fn a_table_without_a_listing_to_judge_by_is_refused() {
        let train = "1,thing,text,Bikes,,Bikes,,,,,train,1.png\n";
        let has_some = |rows: &str, photo: bool| {
            let table = table(rows);
            Corpus::new(&table).ensure_some("listing", |listing| !photo || !listing.photos.is_empty())
        };
        let message = has_some(train, false).unwrap_err().to_string();
        assert!(message.contains("no listing in its validation split"), "{message}");
        let both = format!("{train}2,thing,text,Bikes,,Bikes,,,,,validation,\n");
        assert!(has_some(&both, false).is_ok());
        assert!(has_some(&both, true).is_err());
    }
}
