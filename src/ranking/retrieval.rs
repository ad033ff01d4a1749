//! What might fit: the best by meaning, the best by words, and every signal of each of them.

use std::collections::{BTreeMap, HashMap};

use super::signals::Evidence;
use crate::{
    catalogue::{CatalogueError, Facts, Filter, Hit, Index, Probe, ProductId, lexical::Terms},
    inference::in_float16,
};

/// What products are compared with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probes {
    pub meaning: Option<Vec<f32>>,
    pub words: Option<Terms>,
    pub not_words: Option<Terms>,
    pub taste: Option<Vec<f32>>,
}

/// A product that might fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub id: ProductId,
    pub evidence: Evidence,
}

/// The `depth` best by meaning and the `depth` best by words, in the order of their ids, each with all of its signals,
/// exact, whichever of the two lists it came from. Without a query those nearest to the buyer's taste; without that
/// the newest, newest first.
pub async fn gather(
    index: &dyn Index,
    probes: Probes,
    filter: &Filter,
    depth: usize,
) -> Result<Vec<Found>, CatalogueError> {
    let Probes { meaning, words, not_words, taste } = probes;
    let meaning = meaning.map(in_float16).map(Probe::Meaning);
    let words = words.map(Probe::Words);
    let taste = taste.map(in_float16).map(Probe::Meaning);
    let search = async |probe: Option<&Probe>| match probe {
        Some(probe) => index.search(probe, filter, depth).await,
        None => Ok(Vec::new()),
    };
    let (near, matching) = match (&meaning, &words, &taste) {
        (None, None, Some(taste)) => (index.search(taste, filter, depth).await?, Vec::new()),
        (None, None, None) => {
            return Ok(index.newest(filter, depth).await?.into_iter().map(unscored).collect());
        }
        (meaning, words, _) => tokio::try_join!(search(meaning.as_ref()), search(words.as_ref()))?,
    };

    let facts: BTreeMap<ProductId, Facts> =
        near.iter().chain(&matching).map(|hit| (hit.id.clone(), hit.facts)).collect();
    let ids: Vec<ProductId> = facts.keys().cloned().collect();
    // A list that is not full holds every product with a word in common: whoever is not on it has 0.
    let no_words = (matching.len() < depth).then_some(0.0);
    let not_words = not_words.map(Probe::Words);
    let (semantic, lexical, not, taste) = tokio::try_join!(
        scores(index, meaning.as_ref(), &near, &ids, None),
        scores(index, words.as_ref(), &matching, &ids, no_words),
        scores(index, not_words.as_ref(), &[], &ids, None),
        scores(index, taste.as_ref(), if meaning.is_none() { &near } else { &[] }, &ids, None),
    )?;
    let evidence = semantic.into_iter().zip(lexical).zip(not.into_iter().zip(taste)).zip(facts);
    Ok(evidence
        // A product without a signal that all have was removed between the searches.
        .filter_map(|(((semantic, lexical), (not, taste)), (id, facts))| {
            let [semantic, lexical, not, taste] = [semantic?, lexical?, not?, taste?];
            Some(Found { id, evidence: Evidence { semantic, lexical, not, taste, kind: None, facts } })
        })
        .collect())
}

fn unscored(hit: Hit) -> Found {
    Found { id: hit.id, evidence: Evidence { facts: hit.facts, ..Evidence::default() } }
}

/// The score of each product: as it was found, else `otherwise`, else asked for. `Some(None)` where there is no probe,
/// `None` where there is no product any more.
async fn scores(
    index: &dyn Index,
    probe: Option<&Probe>,
    found: &[Hit],
    ids: &[ProductId],
    otherwise: Option<f32>,
) -> Result<Vec<Option<Option<f32>>>, CatalogueError> {
    let Some(probe) = probe else { return Ok(vec![Some(None); ids.len()]) };
    let mut known: HashMap<&ProductId, f32> = found.iter().map(|hit| (&hit.id, hit.score)).collect();
    if otherwise.is_none() {
        let missing: Vec<ProductId> = ids.iter().filter(|id| !known.contains_key(id)).cloned().collect();
        let scored = index.score(probe, &missing).await?;
        let by_id: HashMap<ProductId, f32> =
            missing.into_iter().zip(scored).filter_map(|(id, score)| Some((id, score?))).collect();
        known.extend(ids.iter().filter_map(|id| Some((id, *by_id.get(id)?))));
    }
    Ok(ids.iter().map(|id| known.get(id).copied().or(otherwise).map(Some)).collect())
}
