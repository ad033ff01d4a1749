//! Product ids in which the site's publisher masked what looked like a telephone number.
//!
//! The mask is in the listings' table only. The photos' table names the same products in full, so an id is restored when
//! exactly one product there fits around the mask.

use std::collections::BTreeSet;

use super::{listing_lines::RawListing, photos::PhotoRow, reason::Reason, report::Report, site_rules::MASK};

/// Restores masked ids in place. One that fits no product, or several, gets `masked` for the mask and keeps its listing.
pub fn restore(listings: &mut [RawListing], photos: &[PhotoRow], report: &mut Report) {
    let known: BTreeSet<String> = listings.iter().map(|listing| listing.id.clone()).collect();
    let unclaimed: BTreeSet<&str> =
        photos.iter().map(|photo| photo.product.as_str()).filter(|&id| !known.contains(id)).collect();
    for listing in listings {
        let Some((before, after)) = listing.id.split_once(MASK) else { continue };
        let fits = |id: &&&str| {
            id.strip_prefix(before)
                .and_then(|rest| rest.strip_suffix(after))
                .is_some_and(|hidden| !hidden.is_empty())
        };
        let mut candidates = unclaimed.iter().filter(fits);
        let restored = match (candidates.next(), candidates.next()) {
            (Some(&id), None) => id.to_owned(),
            _ => listing.id.replace(MASK, "masked"),
        };
        report.count(Reason::MaskedId, &listing.id);
        listing.id = restored;
    }
}
