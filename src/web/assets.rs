//! The page's files, as they are in `assets/`.

/// A file of the page.
pub struct Asset {
    /// Inside `assets/`.
    pub path: &'static str,
    pub content_type: &'static str,
    pub bytes: &'static [u8],
}

macro_rules! assets {
    ($($content_type:literal: $($path:literal)+;)+) => {
        &[$($(Asset {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!("assets/", $path)),
        },)+)+]
    };
}

/// Every file but `index.html`.
pub const ASSETS: &[Asset] = assets! {
    "image/svg+xml": "icon.svg";
    "font/woff2": "fonts/bricolage-grotesque.woff2" "fonts/instrument-sans.woff2";
    "text/plain; charset=utf-8": "fonts/OFL.txt";
    "text/css; charset=utf-8":
        "style/base.css" "style/categorise.css" "style/controls.css" "style/listing.css" "style/search.css";
    "text/javascript; charset=utf-8":
        "script/answer.js" "script/api.js" "script/card.js" "script/categorise.js" "script/details.js" "script/dom.js"
        "script/facets.js" "script/filters.js" "script/format.js" "script/heat.js" "script/key.js" "script/latest.js" "script/main.js" "script/photos.js"
        "script/places.js" "script/results.js" "script/search.js" "script/theme.js" "script/viewed.js" "script/why.js"
        "script/wishes.js";
};

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::ASSETS;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/assets");
        let mut found = BTreeSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        assert!(found.remove("index.html"));
        assert_eq!(found, ASSETS.iter().map(|asset| asset.path.to_owned()).collect());
    }
}
