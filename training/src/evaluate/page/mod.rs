//! `evaluate --report`: a page for a browser with the tables, the pictures, and the worst mistakes.
//!
//! It shows people's words and photos. So it stays on the machine: its folder tells git to leave it alone, and is never
//! one of models, which are passed on.
//!
//! - [`mistakes`]: which answers are shown;
//! - [`html`]: how they and the rest are written.

pub mod html;
pub mod mistakes;

use std::{
    fs, io,
    path::{Path, PathBuf, absolute},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine, prelude::BASE64_STANDARD};
use marketrank::preprocess::{Detail, PhotoLimits, decode_photo, thumbnail};

use self::mistakes::{Mistake, worst};
use super::{
    measured::Measured,
    pictures::{self, Picture, learning},
    report::Evaluation,
};
use crate::{baselines::BaselineResult, data::CleanTable, learn::run_report::RunReport, onnx::file};

const PAGE: &str = "index.html";
const PICTURES: &str = "pictures";
/// Mistakes of each model that are shown.
const MOST_MISTAKES: usize = 24;
/// Photos of a mistake that are shown.
const MOST_PHOTOS: usize = 4;
/// Longer side of a photo, in pixels.
const PHOTO_SIDE: u32 = 320;

/// What the page is made of.
pub struct Contents<'a> {
    /// Of the models.
    pub version: &'a str,
    pub table: &'a CleanTable,
    pub evaluation: &'a Evaluation,
    /// The models whose pictures and mistakes are shown: those that a server on this machine takes.
    pub served: &'a [&'a Measured],
    pub baselines: &'a [BaselineResult],
    /// Trainings whose curves are shown, from this folder.
    pub runs: &'a [RunReport],
    pub runs_folder: &'a Path,
}

/// Tells git to see nothing of the folder, and us that a report may be replaced.
const MARKER: &str = ".gitignore";
const UNSEEN: &str = "*\n";

/// A folder for the page, which git does not see.
pub struct ReportFolder(PathBuf);

impl ReportFolder {
    /// Makes it, unless it is there.
    ///
    /// # Errors
    /// It would lie in the folder of the models, something else lies in it, or the disk refuses.
    pub fn create(folder: &Path, models: &Path) -> Result<Self> {
        let inside = lies_inside(folder, models)
            .with_context(|| format!("cannot tell where {} lies", folder.display()))?;
        ensure!(
            !inside,
            "{} lies in {}, and models are passed on: photos and words of people must not be among them; give --report \
             another folder",
            folder.display(),
            models.display()
        );
        let cannot_write = || format!("cannot write to the folder {}", folder.display());
        fs::create_dir_all(folder).with_context(cannot_write)?;
        let marker = folder.join(MARKER);
        let is_ours = fs::read(&marker).is_ok_and(|bytes| bytes == UNSEEN.as_bytes());
        let is_empty = fs::read_dir(folder).with_context(cannot_write)?.next().is_none();
        ensure!(
            is_ours || is_empty,
            "{} holds what no report has left there; give --report a folder of its own",
            folder.display()
        );
        fs::write(marker, UNSEEN).with_context(cannot_write)?;
        Ok(Self(folder.to_owned()))
    }

    /// Writes the page and the pictures, which lie beside it as files too. Says where the page is.
    ///
    /// # Errors
    /// A photo cannot be read, or the disk refuses the write.
    pub fn write(&self, contents: &Contents<'_>) -> Result<PathBuf> {
        let Contents { version, table, evaluation, served, baselines, runs, runs_folder } = contents;
        let mut body = html::paragraph(&format!(
            "Models {version}, measured on the test split of the clean table {:.12}. This page shows people's words and \
             photos: it is for this machine alone.",
            table.sha256
        ));
        body += &html::tables(&evaluation.to_string());
        body.extend(baselines.iter().map(|result| html::paragraph(&result.to_string())));
        for measured in *served {
            let name = measured.model.name();
            body += &html::heading(&format!("The {name} model"));
            body += &self.draw(&pictures::of_model(measured, version, &table.categories))?;
            let mistakes = worst(measured, table, MOST_MISTAKES);
            body += &html::subheading(&format!("Where the {name} model is most sure and wrong"));
            body += &mistakes_html(&mistakes, table)?;
        }
        body += &html::heading("Learning curves");
        if runs.is_empty() {
            body += &html::paragraph(&format!(
                "There is no run of a training in {}, so there are no learning curves; `marketrank-train train` leaves them \
                 there.",
                runs_folder.display()
            ));
        }
        for run in *runs {
            if run.data_sha256 != table.sha256 {
                body +=
                    &html::paragraph(&format!("The {} model below learnt from another table.", run.model));
            }
            body += &self.draw(&learning::of_run(run).collect::<Vec<_>>())?;
        }
        let page = self.0.join(PAGE);
        file::write(&page, html::document("How good the models are", &body).as_bytes())
            .with_context(|| format!("cannot write {}", page.display()))?;
        Ok(page)
    }

    /// Writes pictures to files, and returns them for the page.
    fn draw(&self, pictures: &[Picture]) -> Result<String> {
        pictures::write(&self.0.join(PICTURES), pictures)?;
        let drawn: String = pictures.iter().map(|picture| picture.svg.as_str()).collect();
        Ok(format!("<div class=\"pictures\">\n{drawn}</div>\n"))
    }
}

fn mistakes_html(mistakes: &[Mistake<'_>], table: &CleanTable) -> Result<String> {
    let mut drawn = String::new();
    for mistake in mistakes {
        let photos: Vec<String> = mistake
            .photos
            .iter()
            .take(MOST_PHOTOS)
            .map(|photo| small_photo(&table.photo_path(photo)))
            .collect::<Result<_>>()?;
        drawn += &html::mistake(mistake, &photos);
    }
    Ok(format!("<div class=\"mistakes\">\n{drawn}</div>\n"))
}

/// A photo as a small JPEG, in base64.
fn small_photo(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let small = decode_photo(&bytes, &PhotoLimits::default(), Detail::Side(PHOTO_SIDE))
        .and_then(|photo| thumbnail(&photo, PHOTO_SIDE))
        .with_context(|| format!("cannot show {}", path.display()))?;
    Ok(BASE64_STANDARD.encode(small))
}

/// Whether `folder`, which need not exist yet, is `other` or lies in it.
fn lies_inside(folder: &Path, other: &Path) -> io::Result<bool> {
    let folder = absolute(folder)?;
    let existing = folder.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(&folder);
    Ok(existing.canonicalize()?.starts_with(other.canonicalize()?))
}

#[cfg(test)]
mod tests {
    use marketrank::{
        artefacts::{Metrics, Precision},
        inference::Model,
    };

    use super::*;
    use crate::evaluate::{answers::Answer, metrics::Scored};

    const PRODUCTS: &str = "\
        id,title,description,category,subcategory,category_path,price,currency,location,listed_at,split,photos\n\
        a,<script>alert(1)</script>,\"\"\"><img src=x>\",Bikes,,Bikes,,,,,test,a.png\n\
        b,A sofa,,Sofas,,Sofas,,,,,test,\n\
        c,A bench,,Sofas,,Sofas,,,,,test,\n";

    fn market(folder: &Path) -> CleanTable {
        fs::write(folder.join("products.csv"), PRODUCTS).unwrap();
        fs::create_dir(folder.join("photos")).unwrap();
        image::RgbImage::from_pixel(64, 48, image::Rgb([200, 10, 10]))
            .save(folder.join("photos/a.png"))
            .unwrap();
        CleanTable::read(folder).unwrap()
    }

    /// A model of words that says these probabilities of Bikes.
    fn measured(table: &CleanTable, bikes: [f32; 3]) -> Measured {
        let labels = table.listings.iter().map(|listing| listing.category);
        let answer = |(listing, category)| Answer {
            listing,
            photos: Vec::new(),
            category,
            subcategory: None,
            price: None,
            rows: Vec::new(),
        };
        let scored = |(label, bikes)| Scored { probabilities: vec![bikes, 1.0 - bikes], label };
        Measured {
            model: Model::Text,
            precision: Precision::Int8,
            answers: labels.clone().enumerate().map(answer).collect(),
            scored: labels.zip(bikes).map(scored).collect(),
            review_threshold: 0.9,
            metrics: Metrics { top1: 0.0, top3: 0.0, macro_f1: 0.0, ece: 0.0 },
            subcategory_top1: 0.0,
            listing_top1: 0.0,
            price: None,
        }
    }

    #[test]
    fn the_worst_mistakes_are_the_surest_and_what_is_right_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let table = market(folder.path());
        let measured = measured(&table, [0.25, 0.1, 0.9]);
        let found: Vec<_> = worst(&measured, &table, 9)
            .iter()
            .map(|mistake| {
                (mistake.listing.id.as_str(), mistake.answered.category, mistake.right.probability)
            })
            .collect();
        assert_eq!(found, [("c", "Bikes", 1.0 - 0.9), ("a", "Sofas", 0.25)]);
        assert_eq!(worst(&measured, &table, 1).len(), 1);
    }

    #[test]
    fn a_report_without_runs_says_so_escapes_what_sellers_wrote_and_stays_out_of_git() {
        let folder = tempfile::tempdir().unwrap();
        let table = market(folder.path());
        let evaluation = Evaluation { models: vec![measured(&table, [0.25, 0.1, 0.1])], space: Vec::new() };
        let report = ReportFolder::create(&folder.path().join("report"), Path::new("src")).unwrap();
        let runs_folder = folder.path().join("runs");
        let page = report
            .write(&Contents {
                version: "abc",
                table: &table,
                evaluation: &evaluation,
                served: &evaluation.models_of([Precision::Int8; 3]),
                baselines: &[],
                runs: &RunReport::read_all(&runs_folder).unwrap(),
                runs_folder: &runs_folder,
            })
            .unwrap();
        let html = fs::read_to_string(page).unwrap();
        assert!(html.contains("There is no run of a training"), "{html}");
        assert!(html.contains("<h4>&lt;script&gt;alert(1)&lt;/script&gt;</h4>"), "{html}");
        assert!(!html.contains("<script") && !html.contains("<img src=x"), "{html}");
        assert_eq!(html.matches("<img src=\"data:image/jpeg;base64,").count(), 1, "one mistake, one photo");
        assert!(html.contains("<th>top-1</th>") && html.matches("<svg").count() == 3, "{html}");
        assert_eq!(fs::read_to_string(folder.path().join("report/.gitignore")).unwrap(), "*\n");
        assert!(folder.path().join("report/pictures/text-coverage.svg").is_file());
    }

    #[test]
    fn a_folder_of_something_else_is_left_as_it_is_and_that_of_a_report_is_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".gitignore"), "target\n").unwrap();
        let refused = ReportFolder::create(folder.path(), Path::new("src")).err().unwrap().to_string();
        assert!(refused.contains("a folder of its own"), "{refused}");
        assert_eq!(fs::read_to_string(folder.path().join(".gitignore")).unwrap(), "target\n");
        for _ in 0..2 {
            ReportFolder::create(&folder.path().join("report"), Path::new("src")).unwrap();
        }
    }

    #[test]
    fn a_report_among_the_models_is_refused_and_makes_no_folder() {
        let models = tempfile::tempdir().unwrap();
        let inside = models.path().join("new/report");
        let Err(error) = ReportFolder::create(&inside, models.path()) else { panic!("it was made") };
        assert!(error.to_string().contains("give --report another folder"), "{error}");
        assert!(!models.path().join("new").exists());
    }
}
