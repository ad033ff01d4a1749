//! What kind of listing a product is, so that kinds can be compared without their labels.

use serde_json::Value;

use super::Product;

/// Attributes that say more closely than the category of what kind a listing is, coarse to fine.
const FINER: [&str; 2] = ["subcategory", "category_path"];
const LEVELS: usize = 1 + FINER.len();

/// A label within the labels above it: the CRC-32 of them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KindTag(pub u32);

/// The kinds of a listing, coarse to fine: its category and, where the marketplace gives them as texts, its attributes
/// `subcategory` and `category_path`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(pub [Option<KindTag>; LEVELS]);

impl Kinds {
    pub fn of(product: &Product) -> Self {
        let finer = FINER.map(|name| product.attributes.get(name).and_then(Value::as_str));
        let labels = [product.category.as_deref(), finer[0], finer[1]];
        let mut above = crc32fast::Hasher::new();
        Self(labels.map(|label| {
            let label = label?;
            // With its length, so that no two lists of labels read the same.
            above.update(&(label.len() as u64).to_le_bytes());
            above.update(label.as_bytes());
            Some(KindTag(above.clone().finalize()))
        }))
    }

    /// Those that are known, coarse to fine.
    pub fn known(&self) -> impl Iterator<Item = KindTag> {
        self.0.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kinds(category: Option<&str>, attributes: serde_json::Value) -> Kinds {
        let product = json!({"id": "a", "title": "b", "category": category, "attributes": attributes});
        Kinds::of(&serde_json::from_value(product).unwrap())
    }

    #[test]
    fn a_subcategory_is_another_kind_in_another_category() {
        let chairs = json!({"subcategory": "Chairs"});
        let [home, office] = ["Home", "Office"].map(|category| kinds(Some(category), chairs.clone()));
        assert!(home.0[1].is_some() && home.0[1] != office.0[1]);
        assert_eq!(home, kinds(Some("Home"), chairs));
    }

    #[test]
    fn what_is_missing_or_no_text_is_no_kind() {
        assert_eq!(kinds(None, json!({"subcategory": 7, "colour": "red"})), Kinds::default());
        let known = kinds(Some("Home"), json!({"category_path": "Home / Chairs / Oak"}));
        assert_eq!(known.0.map(|tag| tag.is_some()), [true, false, true]);
    }
}
