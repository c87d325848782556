//! Checks of `verify`: what the code makes is taken from its source, and stands in the table of docs/operations.md.

use std::collections::BTreeSet;
use std::path::Path;

use super::none;
use crate::pages;

/// Where checks are made.
const SOURCES: [&str; 4] =
    ["shared/src/verify", "warmer/src/verify", "warmer/src/verify.rs", "gateway/src/verify.rs"];

/// What looks like a name of one there, and is a setting or a unit. Settings cannot be left out as such: `postgres.table` is
/// both.
const OTHERS: [&str; 4] = ["access_log.path", "gateway.max_connections", "warm.state", "warmer.service"];

/// The names of all checks, such as `redis.policy`.
pub(super) fn checks() -> BTreeSet<String> {
    let mut found = BTreeSet::from(["settings".to_owned()]);
    for source in SOURCES {
        in_source(&pages::root().join(source), &mut found);
    }
    assert!(found.len() > 40, "the checks are not found: {found:?}");
    found
}

fn in_source(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            in_source(&entry.unwrap().path(), found);
        }
        return;
    }
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("\nmod tests {").next().unwrap_or_default();
    found.extend(text.split('"').filter(|literal| is_name(literal)).map(str::to_owned));
}

/// Whether it is two words of small letters with a dot between them.
fn is_name(literal: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    literal.split_once('.').is_some_and(|(of, what)| is_word(of) && is_word(what))
        && !OTHERS.contains(&literal)
}

/// The names of the tables of checks.
fn tabled(page: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(pages::root().join(page)).unwrap();
    let part = page.split("\n| `settings` | ").nth(1).expect("tables of checks");
    let rows = part.split("\n## ").next().unwrap_or_default().lines();
    let names = rows.filter_map(|row| row.strip_prefix("| `")?.split('`').next());
    names.chain(["settings"]).map(str::to_owned).collect()
}

#[test]
fn every_check_is_in_the_tables_of_checks_and_no_other() {
    let (made, tabled) = (checks(), tabled("docs/operations.md"));
    let missing = made.difference(&tabled).map(|name| format!("docs/operations.md has no row of {name}"));
    let wrong =
        tabled.difference(&made).map(|name| format!("docs/operations.md has {name}, which there is none of"));
    none(&missing.chain(wrong).collect::<Vec<_>>());
}
