//! Settings: `section.key` in code, and the lines of blocks of TOML.

use std::collections::BTreeSet;

use shared::model::Column;

use super::checks::checks;
use super::documents::Code;
use super::{in_all, none};
use crate::{pages, reference};

/// What a name ends with that is a file or a site and no setting: `access.log`, `gateway.service`, `redis.io`.
const FILES: [&str; 13] =
    ["conf", "crt", "io", "json", "log", "md", "pem", "rs", "service", "sock", "socket", "sql", "toml"];
/// Languages of blocks in which a dot means something else.
const OTHER_LANGUAGES: [&str; 5] = ["python", "rust", "sql", "json", "js"];

/// What there is.
struct Known {
    /// `section.key`
    keys: BTreeSet<String>,
    sections: BTreeSet<String>,
    /// Keys of `[[access.tokens]]`.
    of_tokens: BTreeSet<String>,
    /// Checks of `verify`, which are named like settings: `redis.policy`.
    checks: BTreeSet<String>,
}

impl Known {
    fn new() -> Self {
        let keys: BTreeSet<String> = reference::defaults().into_iter().map(|setting| setting.key).collect();
        let sections = keys.iter().filter_map(|key| Some(key.split_once('.')?.0.to_owned())).collect();
        let shown = pages::settings_files().unwrap();
        let shown = shown.iter().flat_map(|file| &file.sections).flat_map(|section| &section.keys);
        let of_tokens = shown.filter_map(|key| Some(key.name.strip_prefix("access.tokens[].")?.to_owned()));
        let of_tokens = of_tokens.collect();
        Self { keys, sections, of_tokens, checks: checks() }
    }

    /// Whether a word looks like a setting, and there is none of that name.
    fn is_wrong(&self, word: &str, after: &str) -> bool {
        let mut parts = word.split('.');
        let (Some(section), Some(key)) = (parts.next(), parts.next()) else { return false };
        if !self.sections.contains(section) || key.is_empty() || after.starts_with('(') {
            return false;
        }
        let is_small = key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let name = format!("{section}.{key}");
        is_small && !self.keys.contains(&name) && !self.checks.contains(&name) && !FILES.contains(&key)
    }

    /// What is wrong in a piece of code, each with its line.
    fn faults(&self, code: &Code) -> Vec<(usize, String)> {
        let mut faults = Vec::new();
        let language = code.block.as_deref().unwrap_or_default();
        if OTHER_LANGUAGES.contains(&language) {
            return faults;
        }
        for (at, line) in code.text.lines().enumerate() {
            for (word, _) in words(line).filter(|(word, after)| self.is_wrong(word, after)) {
                faults.push((code.line + at, format!("there is no setting {word}")));
            }
        }
        if language == "toml" {
            faults.extend(self.faults_of_toml(code));
        }
        faults
    }

    fn faults_of_toml(&self, code: &Code) -> Vec<(usize, String)> {
        let mut faults = Vec::new();
        let mut header = String::new();
        for (at, line) in code.text.lines().enumerate() {
            if let Some(rest) = line.strip_prefix('[') {
                header = rest.trim_start_matches('[').split(']').next().unwrap_or_default().to_owned();
                let exists = self.sections.contains(&header) || self.keys.contains(&header);
                if !exists {
                    faults.push((code.line + at, format!("there is no section [{header}]")));
                }
            } else if let Some((key, _)) = line.split_once('=') {
                let key = key.trim();
                let exists = match header.as_str() {
                    "" => true,
                    "access.tokens" => self.of_tokens.contains(key),
                    "postgres.columns" => Column::from_name(key).is_some(),
                    section => self.keys.contains(&format!("{section}.{key}")),
                };
                let is_key = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if is_key && !exists {
                    faults.push((code.line + at, format!("there is no setting {key} under [{header}]")));
                }
            }
        }
        faults
    }
}

/// Words of letters, digits and dots, with the whole of what may be a path or an address, each with what comes behind.
fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_inside = |c: char| c.is_ascii_alphanumeric() || "_.-/@".contains(c);
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c| !is_inside(c));
        let length = rest.find(|c| !is_inside(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        rest = after;
        (!word.is_empty()).then(|| (word.trim_end_matches('.'), after))
    })
}

#[test]
fn settings_that_documents_name_exist() {
    let known = Known::new();
    none(&in_all(|document| document.names_settings().iter().flat_map(|code| known.faults(code)).collect()));
}

#[test]
fn documents_name_many_settings() {
    let none = Known { keys: BTreeSet::new(), ..Known::new() };
    let found =
        in_all(|document| document.names_settings().iter().flat_map(|code| none.faults(code)).collect());
    assert!(found.len() > 200, "{} are found", found.len());
}

#[test]
fn every_setting_is_on_the_page_of_settings() {
    let page = std::fs::read_to_string(pages::root().join("docs/settings.md")).unwrap();
    let missing = Known::new().keys.into_iter().filter(|key| !page.contains(&format!("\n| `{key}` | ")));
    none(&missing.map(|key| format!("docs/settings.md has no row of {key}")).collect::<Vec<_>>());
}

#[test]
fn a_setting_that_there_is_none_of_is_found() {
    let known = Known::new();
    let lines = |text: &str, block: Option<&str>| -> Vec<usize> {
        let code = Code { line: 7, text: text.to_owned(), block: block.map(str::to_owned) };
        known.faults(&code).into_iter().map(|(line, _)| line).collect()
    };
    for right in [
        "redis.url",
        "a/warm.x",
        "access.log",
        "gateway.*",
        "redis.Redis(",
        "postgres.columns.cost",
        "x.y",
        "u@redis.host",
        "heat.rs",
        "redis.rights",
    ] {
        assert!(lines(right, None).is_empty(), "{right}");
    }
    for wrong in ["redis.urll", "see warm.intervall.", "near.byte = 1", "(cache.ttl)"] {
        assert_eq!(lines(wrong, None), [7], "{wrong}");
    }
    let toml = "free = 1\n[warm]\nstate = \"x\"\nstat = 1\n[warme]\n[[access.tokens]]\nname = \"a\"\nnam = 1\n[postgres.columns]\n\
                cost = \"a\"\ncosts = 1";
    assert_eq!(lines(toml, Some("toml")), [10, 11, 14, 17]);
    assert!(lines("redis.urll", Some("python")).is_empty());
}
