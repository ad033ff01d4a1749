//! What a larger network, trained apart, answers to texts of the training listings: a smaller one learns more from that than
//! from the labels alone (distillation, Hinton et al. 2015), and most from many texts over many epochs (Beyer et al. 2022,
//! "Knowledge distillation: A good teacher is patient and consistent").
//!
//! Such a network is trained once, wherever that is quick, and need not be known here: it leaves its answers in a table, as
//! `training/teacher/teach.py` does.

use std::{collections::HashMap, path::Path};

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Tensor;
use csv::StringRecord;
use marketrank::artefacts::sha256_of_file;

use super::{
    features::Features,
    losses::soft_cross_entropy,
    targets::{PRICE_WEIGHT, SUBCATEGORY_WEIGHT},
};
use crate::{data::Listing, onnx::LabelCounts};

/// Columns of the table before those of the answer.
const TEXT_COLUMNS: [&str; 4] = ["listing", "part", "title", "description"];

/// Softens both sides, so that the teacher's order of the wrong answers counts too.
const TEMPERATURE: f32 = 2.0;

/// How much a title alone counts beside the text that is shown.
const TITLE_WEIGHT: f32 = 0.35;

/// Answers to texts of the training listings.
#[derive(Debug, Clone)]
pub struct Teacher {
    /// A row for each text: category and subcategory logits, and the three of the price.
    pub answers: Features,
    /// For each training listing, in their order, what was answered to.
    pub listings: Vec<AnsweredListing>,
    /// Hash of the file.
    pub sha256: String,
}

/// Rows of the answers to one listing's texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnsweredListing {
    /// To title and description.
    pub whole: usize,
    /// To the title alone.
    pub title: usize,
    /// To other texts made of its title and description, which stand before the row.
    pub views: Vec<(String, String, usize)>,
}

impl Teacher {
    /// Reads the answers to these training listings: a CSV table with the columns `listing`, `part` (`whole`, `title` or
    /// `view`), `title` and `description`, and as many more as there are labels and quantiles of the price.
    ///
    /// # Errors
    /// The file cannot be read, answers to other listings or other texts, not to all, or with other columns.
    pub fn read(path: &Path, listings: &[&Listing], labels: LabelCounts) -> Result<Self> {
        Self::read_rows(path, listings, labels)
            .with_context(|| format!("{} cannot be learnt from; make it anew", path.display()))
    }

    fn read_rows(path: &Path, listings: &[&Listing], labels: LabelCounts) -> Result<Self> {
        let width = labels.classes_and_price();
        let sha256 = sha256_of_file(path)?;
        let mut table = csv::Reader::from_path(path)?;
        let columns = table.headers()?;
        ensure!(
            columns.len() == TEXT_COLUMNS.len() + width
                && columns.iter().zip(TEXT_COLUMNS).all(|(a, b)| a == b),
            "it has {} columns, {} and {width} more are needed",
            columns.len(),
            TEXT_COLUMNS.join(", ")
        );
        let numbers: HashMap<&str, usize> =
            listings.iter().enumerate().map(|(number, listing)| (listing.id.as_str(), number)).collect();
        let mut values = Vec::new();
        let mut found: Vec<(Option<usize>, Option<usize>, Vec<_>)> = vec![Default::default(); listings.len()];
        for (row, record) in table.records().enumerate() {
            let record = record?;
            let [id, part, title, description] = [0, 1, 2, 3].map(|column| record.get(column).unwrap_or(""));
            let number = *numbers
                .get(id)
                .with_context(|| format!("row {}: there is no training listing {id}", row + 1))?;
            let Listing { title: own_title, description: own_description, .. } = listings[number];
            let (whole, alone, views) = &mut found[number];
            match part {
                "whole" if (title, description) == (own_title, own_description) => *whole = Some(row),
                "title" if (title, description) == (own_title, "") => *alone = Some(row),
                "view" => views.push((title.to_owned(), description.to_owned(), row)),
                "whole" | "title" => bail!("row {}: listing {id} has another text by now", row + 1),
                _ => bail!("row {}: {part} is none of whole, title and view", row + 1),
            }
            values.extend(answer(&record).with_context(|| format!("row {}", row + 1))?);
        }
        let answered = |((whole, title, views), listing): (_, &&Listing)| -> Result<AnsweredListing> {
            match (whole, title) {
                (Some(whole), Some(title)) => Ok(AnsweredListing { whole, title, views }),
                _ => bail!("there is no answer to listing {} or to its title", listing.id.as_str()),
            }
        };
        let listings = found.into_iter().zip(listings).map(answered).collect::<Result<_>>()?;
        Ok(Self { answers: Features::new(width, values), listings, sha256 })
    }

    /// The answers to the whole text of these training listings, by their place among them: a row for each.
    pub fn answers_to(&self, listings: &[usize]) -> Features {
        self.answers.select(&listings.iter().map(|&listing| self.listings[listing].whole).collect::<Vec<_>>())
    }

    /// How far columns `[batch, columns]` of texts and of titles are from the answers in these rows: cross-entropies
    /// of category and subcategory, and the distance of the texts' median log price.
    pub fn loss(
        &self,
        texts: (Tensor<2>, &[usize]),
        titles: (Tensor<2>, &[usize]),
        labels: LabelCounts,
    ) -> Tensor<1> {
        let device = texts.0.device();
        let wanted = |rows: &[usize]| self.answers.select(rows).into_tensor(&device);
        let (of_texts, of_titles) = (wanted(texts.1), wanted(titles.1));
        let median = |columns: &Tensor<2>| columns.clone().narrow(1, labels.median(), 1);
        let price = (median(&texts.0) - median(&of_texts)).abs().mean();
        class_loss(texts.0, of_texts, labels)
            + class_loss(titles.0, of_titles, labels) * TITLE_WEIGHT
            + price * PRICE_WEIGHT
    }
}

/// The numbers of a row.
fn answer(record: &StringRecord) -> Result<Vec<f32>> {
    let number = |text: &str| match text.parse::<f32>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => bail!("{text} is no number"),
    };
    record.iter().skip(TEXT_COLUMNS.len()).map(number).collect()
}

/// How far the classes of columns `[batch, columns]` are from those of answers, both with category logits first and subcategory
/// logits after them.
pub(super) fn class_loss(columns: Tensor<2>, wanted: Tensor<2>, labels: LabelCounts) -> Tensor<1> {
    let distance = |first, count| {
        soft_cross_entropy(
            columns.clone().narrow(1, first, count),
            wanted.clone().narrow(1, first, count),
            TEMPERATURE,
        )
    };
    let category = distance(0, labels.categories);
    if labels.subcategories == 0 {
        return category;
    }
    category + distance(labels.categories, labels.subcategories) * SUBCATEGORY_WEIGHT
}

#[cfg(test)]
mod tests {
    use std::fs;

    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::data::Split;

    const LABELS: LabelCounts = LabelCounts { categories: 2, subcategories: 1 };
    /// Two texts: category logits, a subcategory's, the three of the price.
    const FIRST: [f32; 6] = [2.0, -1.0, 0.5, 1.0, 3.0, 1.0];
    const SECOND: [f32; 6] = [-3.0, 1.0, 0.5, 1.0, 5.0, 1.0];

    fn columns(rows: &[[f32; 6]]) -> Tensor<2> {
        let values = TensorData::new(rows.concat(), [rows.len(), 6]);
        Tensor::from_data(values, &Device::flex())
    }

    fn loss(rows: &[usize], texts: &[[f32; 6]], titles: &[[f32; 6]]) -> f32 {
        let answers = Features::new(6, [FIRST, SECOND].concat());
        let teacher = Teacher { answers, listings: Vec::new(), sha256: String::new() };
        teacher.loss((columns(texts), rows), (columns(titles), rows), LABELS).into_scalar()
    }

    #[test]
    fn nothing_is_closer_to_the_answers_than_the_answers_to_the_same_texts() {
        let same = loss(&[1, 0], &[SECOND, FIRST], &[SECOND, FIRST]);
        assert!(same + 0.5 < loss(&[0, 1], &[SECOND, FIRST], &[SECOND, FIRST]));
        for (column, by) in [(0, 0.5), (0, -0.5), (1, 0.5), (4, 0.5), (4, -0.5)] {
            let mut other = SECOND;
            other[column] += by;
            assert!(same < loss(&[1, 0], &[other, FIRST], &[SECOND, FIRST]), "column {column} by {by}");
        }
        let mut other = FIRST;
        other[0] -= 1.0;
        assert!(same < loss(&[1, 0], &[SECOND, FIRST], &[SECOND, other]));
    }

    #[test]
    fn of_a_title_only_the_classes_count() {
        let mut dearer = FIRST;
        dearer[4] += 2.0;
        assert_eq!(loss(&[0], &[FIRST], &[FIRST]), loss(&[0], &[FIRST], &[dearer]));
    }

    fn listing(id: &str, title: &str, description: &str) -> Listing {
        Listing {
            id: id.parse().unwrap(),
            title: title.into(),
            description: description.into(),
            category: 0,
            subcategory: None,
            category_path: "A".into(),
            price: None,
            currency: String::new(),
            location: String::new(),
            listed_at: None,
            split: Split::Train,
            photos: Vec::new(),
        }
    }

    const HEADER: &str = "listing,part,title,description,c0,c1,c2,c3,c4,c5\n";
    const ROWS: &str = "\
        b,whole,Sofa,\"blue, large\",1,2,3,4,5,6\n\
        a,title,Bike,,7,8,9,10,11,12\n\
        b,view,Sofa,large,2,2,2,2,2,2\n\
        a,whole,Bike,,7,8,9,10,11,13\n\
        b,title,Sofa,,0,0,0,0,0,0\n";

    fn read(table: &str) -> Result<Teacher> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("answers.csv");
        fs::write(&path, table)?;
        let listings = [listing("a", "Bike", ""), listing("b", "Sofa", "blue, large")];
        Teacher::read(&path, &listings.iter().collect::<Vec<_>>(), LABELS)
    }

    #[test]
    fn answers_are_found_for_each_text_in_whatever_order_they_come() {
        let teacher = read(&format!("{HEADER}{ROWS}")).unwrap();
        let [bike, sofa] = &teacher.listings[..] else { panic!("{teacher:?}") };
        assert_eq!(*bike, AnsweredListing { whole: 3, title: 1, views: Vec::new() });
        assert_eq!(
            *sofa,
            AnsweredListing { whole: 0, title: 4, views: vec![("Sofa".into(), "large".into(), 2)] }
        );
        assert_eq!(teacher.answers.row(3), [7.0, 8.0, 9.0, 10.0, 11.0, 13.0]);
    }

    #[test]
    fn answers_to_other_listings_or_texts_or_of_another_shape_are_refused_by_name() {
        let refused = |table: String| format!("{:#}", read(&table).unwrap_err());
        for (from, to, reason) in [
            ("a,title", "c,title", "row 2: there is no training listing c"),
            ("a,title,Bike", "a,title,Boat", "row 2: listing a has another text"),
            ("b,view", "b,part", "row 3: part is none"),
            ("10,11,13", "10,11,many", "row 4: many is no number"),
            ("10,11,13", "10,11,inf", "row 4: inf is no number"),
            ("b,title,Sofa,,0,0,0,0,0,0\n", "", "there is no answer to listing b"),
            (",c5\n", "\n", "it has 9 columns"),
        ] {
            let message = refused(format!("{HEADER}{ROWS}").replacen(from, to, 1));
            assert!(message.contains("answers.csv") && message.contains(reason), "{message}");
        }
    }
}
