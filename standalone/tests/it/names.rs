//! Every metric, setting, check, command and option that a document names exists, and every one that exists is documented.

mod checks;
mod commands;
mod documents;
mod metrics;
mod settings;

use documents::{Document, documents};

/// Fails with all that was found, one a line.
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "{} name(s) are wrong:\n{}", faults.len(), faults.join("\n"));
}

/// What a scanner finds in all documents, each with its place.
fn in_all(faults: impl Fn(&Document) -> Vec<(usize, String)>) -> Vec<String> {
    let of = |document: &Document| {
        let found = faults(document).into_iter();
        found.map(|(line, what)| format!("{}:{line}: {what}", document.path)).collect::<Vec<_>>()
    };
    documents().iter().flat_map(of).collect()
}
