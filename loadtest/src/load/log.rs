//! Access logs, of which runs take popularity, and which replays send again.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use shared::access_log::lines::Lines;
use shared::access_log::{Event, LineError, MAX_LINE_BYTES, Request, parse_line};

/// What was in the logs beside requests that are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// All lines.
    pub lines: u64,
    /// Requests.
    pub requests: u64,
    /// Lines that cannot be read.
    pub bad: u64,
}

/// Reads logs, plain or gzip, file after file.
///
/// # Errors
/// If a file cannot be read, `take` fails, or there is no request.
pub fn read_logs(
    paths: &[PathBuf],
    mut take: impl FnMut(Request) -> anyhow::Result<()>,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for path in paths {
        let failed = || format!("cannot read {}; check that the file is there and whole", path.display());
        let mut lines = Lines::open(path, MAX_LINE_BYTES).with_context(failed)?;
        while let Some(line) = lines.next_line().with_context(failed)? {
            found.lines += 1;
            match parse_line(line.bytes) {
                Ok(Event::Request(request)) => {
                    found.requests += 1;
                    take(request)?;
                }
                Ok(Event::Refresh(_)) | Err(LineError::Empty | LineError::NoRequest { .. }) => {}
                Err(_) => found.bad += 1,
            }
        }
    }
    if found.requests == 0 {
        let files: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        bail!(
            "no line of {} is a request ({} lines, {} that cannot be read); give an access log of the gateway, or \
             of a proxy in the combined format",
            files.join(", "),
            found.lines,
            found.bad
        );
    }
    Ok(found)
}
