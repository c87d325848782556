//! `loadtest record`: asks a running gateway and writes its answers, to be checked after an upgrade.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::check::Recorded;
use crate::client::Gateway;

/// Fields of the envelope's meta that are recorded: the data version differs between rule settings and releases.
const META: [&str; 4] = ["stores", "from", "to", "as_of"];

/// The paths of a file: one per line, blank ones and those that begin with `#` left out.
///
/// # Errors
/// If the file cannot be read or a line is no path.
pub fn read_paths(file: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut paths = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.starts_with('/') {
            bail!("{} line {number}: {line:?} is no path; write /v1/…", file.display());
        }
        paths.push(line.to_owned());
    }
    Ok(paths)
}

pub(crate) async fn run(gateway: &Gateway, paths: &[String], out: &Path) -> anyhow::Result<usize> {
    let mut recorded = Vec::with_capacity(paths.len());
    for path in paths {
        let reply = gateway.get(path).await?;
        let mut body: Value = serde_json::from_slice(&reply.body).with_context(|| format!("{path}: no JSON"))?;
        if !reply.status.is_success() {
            bail!("{path}: status {}: {}", reply.status, body["detail"]);
        }
        let meta: BTreeMap<String, Value> =
            META.iter().map(|field| ((*field).to_owned(), body["meta"][*field].take())).collect();
        recorded.push(Recorded { path: path.clone(), meta, data: body["data"].take() });
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Written aside and renamed: a half-written recording must not pass for a whole one.
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("cannot write in {}", folder.display()))?;
    serde_json::to_writer(&mut file, &recorded)?;
    file.flush()?;
    file.persist(out).with_context(|| format!("cannot write {}", out.display()))?;
    Ok(recorded.len())
}
