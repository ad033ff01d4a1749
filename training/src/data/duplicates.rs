//! The same thing listed twice: dropped where it is a copy, kept on one side of the split where it is nearly one.
//!
//! A shop that lists the same bed in eight towns, or eighty fridges under one paragraph of small print, would otherwise be
//! learned by heart from the training listings and recognised in the test listings. A copy (same title, description and
//! price) adds nothing and would fill a page of search results; the first one stays. A near-duplicate (same description, or the
//! same photo byte for byte, at another price or under another title) is a listing of its own and stays, but all of a group go
//! where the id that sorts first goes.

use std::collections::{HashMap, HashSet};

use super::{clean::Draft, photos::Photo, reason::Reason, report::Report, text::fold};

/// Shorter descriptions (`collection only`) are alike by chance.
const MIN_TELLING_DESCRIPTION: usize = 40;

/// Drops second listings of an id and copies of an earlier listing; counts them.
pub fn drop_copies(drafts: Vec<Draft>, report: &mut Report) -> Vec<Draft> {
    let mut ids = HashSet::new();
    let mut contents = HashSet::new();
    let mut kept = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let content = (fold(&draft.title), fold(&draft.description), draft.price.map(f64::to_bits));
        if !ids.insert(draft.id.clone()) {
            report.count(Reason::DuplicateId, draft.id.as_str());
        } else if !contents.insert(content) {
            report.count(Reason::Repost, draft.id.as_str());
        } else {
            kept.push(draft);
        }
    }
    kept
}

/// For each listing the id whose hash decides its split: its own, or the first of its group of near-duplicates.
pub fn split_ids(drafts: &[Draft], photos: &HashMap<String, Vec<Photo>>, report: &mut Report) -> Vec<String> {
    let mut groups = Groups::new(drafts.iter().map(|draft| draft.id.as_str()).collect());
    let mut seen: HashMap<Trait, usize> = HashMap::new();
    for (listing, draft) in drafts.iter().enumerate() {
        let description = fold(&draft.description);
        let telling = description.chars().count() >= MIN_TELLING_DESCRIPTION;
        let text = if telling { description } else { format!("{}\n{description}", fold(&draft.title)) };
        let shots =
            photos.get(draft.id.as_str()).into_iter().flatten().map(|photo| Trait::Photo(photo.sha256));
        for mark in shots.chain([Trait::Text(text)]) {
            let first = *seen.entry(mark).or_insert(listing);
            groups.join(first, listing);
        }
    }
    let roots: Vec<usize> = (0..drafts.len()).map(|listing| groups.root(listing)).collect();
    let mut sizes: HashMap<usize, usize> = HashMap::new();
    for &root in &roots {
        *sizes.entry(root).or_default() += 1;
    }
    for (draft, root) in drafts.iter().zip(&roots) {
        if sizes.get(root).is_some_and(|&size| size > 1) {
            report.count(Reason::NearDuplicate, draft.id.as_str());
        }
    }
    roots.into_iter().map(|root| groups.ids[root].to_owned()).collect()
}

/// What two listings of one group have in common.
#[derive(PartialEq, Eq, Hash)]
enum Trait {
    Photo([u8; 32]),
    Text(String),
}

/// Disjoint sets of listings (Tarjan 1975, path halving). The root of a set is the listing whose id sorts first.
struct Groups<'a> {
    ids: Vec<&'a str>,
    parents: Vec<usize>,
}

impl<'a> Groups<'a> {
    fn new(ids: Vec<&'a str>) -> Self {
        Self { parents: (0..ids.len()).collect(), ids }
    }

    fn root(&mut self, mut listing: usize) -> usize {
        while self.parents[listing] != listing {
            self.parents[listing] = self.parents[self.parents[listing]];
            listing = self.parents[listing];
        }
        listing
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if self.ids[a] <= self.ids[b] {
            self.parents[b] = a;
        } else {
            self.parents[a] = b;
        }
    }
}
