//! What was measured, in words.

use std::{fs, io, path::Path, time::Duration};

use anyhow::Context;

/// Of this process, in MB: all of it, and what is not a mapped file.
pub fn megabytes_resident() -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string("/proc/self/status").context("memory is measured on Linux only")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let kilobytes = |name: &str| field(name).with_context(|| format!("/proc/self/status has no {name}"));
    Ok((kilobytes("VmRSS:")? / 1_000, kilobytes("RssAnon:")? / 1_000))
}

/// Seconds that this process has had a core so far, all threads together: what a busy machine does not change.
pub fn seconds_of_cpu() -> anyhow::Result<f64> {
    // Fields 14 and 15, `utime` and `stime`, in ticks of which Linux has 100 a second; the name before them may hold spaces.
    const TICKS: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").context("CPU time is measured on Linux only")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>().context("/proc/self/stat is not what it should be")? / TICKS)
}

/// Processes that were ready to run, on average over the last minute.
pub fn load() -> anyhow::Result<String> {
    let load = fs::read_to_string("/proc/loadavg").context("load is measured on Linux only")?;
    Ok(load.split_whitespace().next().unwrap_or("unknown").to_owned())
}

pub fn bytes_on_disk(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        // Blocks and not lengths: the engine makes files larger than what is in them.
        bytes += if metadata.is_dir() { bytes_on_disk(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

pub fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| {
        let place = ((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1));
        times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    format!("p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms", at(0.5), at(0.95), at(0.99))
}
