//! Puts a finished clean table where it belongs, whole or not at all.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::{
    report::Report,
    table::{PHOTOS_LINK, PRODUCTS_FILE, REPORT_FILE},
};

/// Writes the table's files into a new folder beside `out` and then gives it that name; what was there before is untouched
/// until then, and gone after.
///
/// # Errors
/// When `out` holds anything but an older clean table, or the disk refuses.
pub fn publish(out: &Path, products: &[u8], report: &Report, photos: &Path) -> Result<()> {
    ensure_replaceable(out)?;
    let parent = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => env::current_dir().context("cannot tell the current folder")?,
    };
    fs::create_dir_all(&parent).with_context(|| format!("cannot create the folder {}", parent.display()))?;
    let stage = tempfile::Builder::new()
        .prefix(".clean-table-")
        .tempdir_in(&parent)
        .with_context(|| format!("cannot write into {}", parent.display()))?;
    let fresh = stage.path().join("fresh");
    fill(&fresh, products, report, photos)
        .with_context(|| format!("cannot write the clean table into {}", fresh.display()))?;
    swap(&fresh, out, &stage.path().join("previous"))
}

fn fill(folder: &Path, products: &[u8], report: &Report, photos: &Path) -> Result<()> {
    fs::create_dir(folder)?;
    fs::write(folder.join(PRODUCTS_FILE), products)?;
    let mut json = serde_json::to_string_pretty(report)?;
    json.push('\n');
    fs::write(folder.join(REPORT_FILE), json)?;
    symlink(fs::canonicalize(photos)?, folder.join(PHOTOS_LINK))?;
    Ok(())
}

/// Gives `fresh` the name `out`. `previous` is where an older folder of that name waits to be deleted.
fn swap(fresh: &Path, out: &Path, previous: &Path) -> Result<()> {
    let replaces = out.exists();
    if replaces {
        fs::rename(out, previous)
            .with_context(|| format!("cannot move the older clean table {} aside", out.display()))?;
    }
    let renamed = fs::rename(fresh, out);
    if renamed.is_err() && replaces {
        fs::rename(previous, out).with_context(|| format!("cannot put {} back", out.display()))?;
    }
    renamed.with_context(|| format!("cannot rename {} to {}", fresh.display(), out.display()))
}

/// A mistyped `--out` must not delete a folder of something else.
fn ensure_replaceable(out: &Path) -> Result<()> {
    if !out.exists() {
        return Ok(());
    }
    let entries =
        fs::read_dir(out).with_context(|| format!("{} is in the way and no folder", out.display()))?;
    for entry in entries {
        let name = entry.with_context(|| format!("cannot list {}", out.display()))?.file_name();
        let ours = [PRODUCTS_FILE, PHOTOS_LINK, REPORT_FILE].iter().any(|file| name == **file);
        let path: PathBuf = out.join(&name);
        ensure!(
            ours,
            "{} is no part of a clean table, and would be deleted: give --out another folder",
            path.display()
        );
    }
    Ok(())
}
