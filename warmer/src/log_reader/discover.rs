//! Which files there are: those that the patterns name, and those into which they were rotated.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use shared::access_log::FileId;

/// Endings of compressed files: what is in them was read before.
const COMPRESSED: [&str; 9] = ["gz", "bz2", "xz", "zst", "lz4", "zip", "Z", "7z", "br"];

/// A pattern that is no glob.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is no pattern of files: {reason}")]
pub struct PatternError {
    /// As given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What to look for.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    patterns: Vec<String>,
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    /// The name under which it was or is written: its own, or the one it was rotated from.
    pub(super) tail: PathBuf,
    pub(super) id: FileId,
    pub(super) len: u64,
    /// When it was written last, nanoseconds since 1970.
    pub(super) modified: i64,
    /// Whether a pattern names it.
    pub(super) named: bool,
}

impl Candidate {
    fn new(path: PathBuf, tail: PathBuf, named: bool) -> Option<Self> {
        let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let modified = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Some(Self {
            id: FileId::new(&path, &metadata),
            len: metadata.len(),
            modified: modified.and_then(|at| i64::try_from(at.as_nanos()).ok()).unwrap_or(0),
            path,
            tail,
            named,
        })
    }

    /// Ascending: the order in which files are to be read.
    pub(super) fn order(&self) -> impl Ord + use<> {
        let name = self.path.file_name().map_or(0, std::ffi::OsStr::len);
        // Of equal times access.log.10 comes before access.log.9, that before access.log.
        (self.modified, std::cmp::Reverse((name, self.path.clone())))
    }
}

impl Patterns {
    pub(super) fn new(patterns: &[String]) -> Result<Self, PatternError> {
        for pattern in patterns {
            glob::Pattern::new(pattern)
                .map_err(|error| PatternError { pattern: pattern.clone(), reason: error.to_string() })?;
        }
        Ok(Self { patterns: patterns.to_vec() })
    }

    /// All files, each once: first those that the patterns name, then those into which one of `tails`, or of the named,
    /// was rotated.
    pub(super) fn candidates<'a>(&self, tails: impl Iterator<Item = &'a Path>) -> Vec<Candidate> {
        let named: BTreeSet<PathBuf> = self
            .patterns
            .iter()
            // The patterns were checked.
            .filter_map(|pattern| glob::glob(pattern).ok())
            .flatten()
            .filter_map(Result::ok)
            .filter(|path| !is_compressed(path))
            .collect();
        let mut tails: BTreeSet<PathBuf> = tails.map(Path::to_owned).collect();
        tails.extend(named.iter().cloned());
        let folders: BTreeSet<&Path> = tails.iter().filter_map(|tail| tail.parent()).collect();
        let mut seen: HashSet<FileId> = HashSet::new();
        let with_tail = |path: &PathBuf| {
            Candidate::new(path.clone(), origin(path, &tails).unwrap_or_else(|| path.clone()), true)
        };
        let mut candidates: Vec<Candidate> =
            named.iter().filter_map(with_tail).filter(|candidate| seen.insert(candidate.id)).collect();
        for folder in folders {
            let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            for entry in fs::read_dir(here).into_iter().flatten().filter_map(Result::ok) {
                let path = folder.join(entry.file_name());
                if named.contains(&path) || is_compressed(&path) {
                    continue;
                }
                let candidate = origin(&path, &tails).and_then(|tail| Candidate::new(path, tail, false));
                candidates.extend(candidate.filter(|candidate| seen.insert(candidate.id)));
            }
        }
        candidates
    }
}

fn is_compressed(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| COMPRESSED.contains(&extension))
}

/// Which of `tails` was rotated to `path`, by its name; the shortest, if it may be several.
fn origin(path: &Path, tails: &BTreeSet<PathBuf>) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let found = |name: String| Some(path.with_file_name(name)).filter(|origin| tails.contains(origin));
    origins(name).filter_map(found).min_by_key(|origin| origin.as_os_str().len())
}

/// The names that rotation may have made this one of: with a number or date at the end, or before the extension.
fn origins(name: &str) -> impl Iterator<Item = String> + '_ {
    let starts = |text: &'_ str| -> Vec<usize> {
        let ends = text.char_indices().map(|(at, _)| at).filter(|at| *at > 0);
        ends.filter(|at| is_number_or_date(&text[*at..])).collect()
    };
    let whole = starts(name).into_iter().map(|at| name[..at].to_owned());
    let (stem, extension) = name.rsplit_once('.').unwrap_or(("", ""));
    whole.chain(starts(stem).into_iter().map(move |at| format!("{}.{extension}", &stem[..at])))
}

/// `.1`, `-20261121`, `_2026-11-21T06:00`.
fn is_number_or_date(text: &str) -> bool {
    text.starts_with(['.', '-', '_'])
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b".-_:T".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_rotated_names() {
        let tails = ["/a/access.log", "/a/log"].map(PathBuf::from).into();
        let of = |path: &str| origin(Path::new(path), &tails);
        for name in [
            "access.log.1",
            "access.log-20261121",
            "access.log.2026-11-21T06",
            "access-20261121.log",
            "access.1.log",
        ] {
            assert_eq!(of(&format!("/a/{name}")), Some("/a/access.log".into()), "{name}");
        }
        assert_eq!(of("/a/log.3"), Some("/a/log".into()));
        for name in [
            "access.log",
            "access.log.bak",
            "access.log.",
            "access.log1",
            "access-error.log",
            "accessed.log.1",
            "error.log.1",
            "access.log.1.gz",
            "门.1",
            ".1",
            "log",
        ] {
            assert_eq!(of(&format!("/a/{name}")), None, "{name}");
        }
        assert_eq!(of("/b/access.log.1"), None);
    }

    #[test]
    fn bad_patterns_are_told() {
        assert!(Patterns::new(&["/var/log/***".to_owned()]).is_err());
        assert!(Patterns::new(&["/var/log/*.log".to_owned(), String::new()]).is_ok());
    }
}
