//! Files of recorded requests: a JSON list of `{"path", "meta", "data"}`, one request per line.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::target::part_of;

/// Largest file that is read: each request is held in memory with its answer.
const MAX_FILE: u64 = 1 << 30;

/// A request with the answer that is expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Path and query as sent, percent-encoded.
    pub path: String,
    /// Fields of the envelope's `meta` that are compared; others may be there.
    #[serde(default)]
    pub meta: Map<String, Value>,
    /// The exact document.
    pub data: Value,
}

/// Reads a file of recorded requests.
///
/// # Errors
/// When the file cannot be read, is not such a list, or is empty.
pub fn read(file: &Path) -> anyhow::Result<Vec<Recorded>> {
    let size = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    if size > MAX_FILE {
        bail!("{} has {size} bytes; split it into files of at most {MAX_FILE}", file.display());
    }
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let recorded: Vec<Recorded> = serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is not a JSON list of {{\"path\", \"meta\", \"data\"}}; make one with `loadtest record`",
            file.display()
        )
    })?;
    if recorded.is_empty() {
        bail!("{} holds no request; there is nothing to check", file.display());
    }
    if let Some(bad) = recorded.iter().find(|request| !request.path.starts_with('/')) {
        bail!("{}: the path {:?} does not start with a slash", file.display(), bad.path);
    }
    Ok(recorded)
}

/// Writes a file of recorded requests; an old one is replaced when the new one is complete.
///
/// # Errors
/// When the file cannot be written.
pub fn write(file: &Path, recorded: &[Recorded]) -> anyhow::Result<()> {
    let part = part_of(file);
    let write = || -> anyhow::Result<()> {
        let mut out = std::io::BufWriter::new(std::fs::File::create(&part)?);
        for (at, request) in recorded.iter().enumerate() {
            out.write_all(if at == 0 { b"[\n" } else { b",\n" })?;
            serde_json::to_writer(&mut out, request)?;
        }
        out.write_all(b"\n]\n")?;
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&part, file)?;
        Ok(())
    };
    write().with_context(|| {
        format!("cannot write {}; check the folder's permissions and free space", file.display())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("answers.json");
        let request: Recorded = serde_json::from_str(
            r#"{"path":"/v1/stores?a=%E9","meta":{"stores":2,"from":null},"data":{"z":1.50,"a":[{"name":"星河路店"}]}}"#,
        )
        .unwrap();
        write(&file, &[request.clone(), request.clone()]).unwrap();
        assert_eq!(read(&file).unwrap(), vec![request.clone(), request]);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(r#""data":{"z":1.50,"a":"#), "numbers and keys stay as they were: {text}");
    }

    #[test]
    fn other_files_are_refused_in_plain_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.json");
        assert!(read(&file).unwrap_err().to_string().contains("cannot read"));
        for (text, reason) in [
            ("[]", "no request"),
            ("{}", "not a JSON list"),
            (r#"[{"path":"v1","data":1}]"#, "does not start with a slash"),
        ] {
            std::fs::write(&file, text).unwrap();
            assert!(read(&file).unwrap_err().to_string().contains(reason), "{text}");
        }
    }
}
