//! Metrics: what the code makes is taken from its source, since some have no value before a server is there. That each of them is
//! told as documented is tested where the metrics are made.

use std::collections::BTreeMap;
use std::path::Path;

use super::{in_all, none};
use crate::pages;

/// Names without their prefix; whether each is a histogram.
type Names = BTreeMap<String, bool>;

const PROGRAMS: [&str; 2] = ["warmer", "gateway"];

/// The metrics of a program: those of its own source and of what both share.
fn made(program: &str) -> Names {
    let mut names = Names::new();
    for folder in [program, "shared"] {
        in_folder(&pages::root().join(folder).join("src"), &mut names);
    }
    assert!(names.len() > 30, "{program}: the metrics are not found");
    names
}

fn in_folder(folder: &Path, names: &mut Names) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            in_folder(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            in_source(text.split("\nmod tests {").next().unwrap_or_default(), names);
        }
    }
}

/// Calls such as `Metric::gauge("stores", …)`, or of a closure of that name.
fn in_source(text: &str, names: &mut Names) {
    for (call, is_histogram) in
        [("gauge(", false), ("counter(", false), ("counter_f64(", false), ("histogram(", true)]
    {
        for (at, _) in text.match_indices(call) {
            let is_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let name = text[at + call.len()..]
                .trim_start()
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next());
            if let (false, Some(name)) = (is_word, name) {
                names.insert(name.to_owned(), is_histogram);
            }
        }
    }
}

/// What a text names that there is none of, each with its line.
fn unknown(text: &str, of: &[(&str, Names)]) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for (program, names) in of {
            let prefix = format!("hotshelf_{program}_");
            for (begin, _) in line.match_indices(&prefix) {
                let rest = &line[begin + prefix.len()..];
                let length =
                    rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                let (name, after) = rest.split_at(length);
                let is_begin = name.is_empty() || after.starts_with(['*', '…']);
                let exists = if is_begin {
                    names.keys().any(|known| known.starts_with(name))
                } else {
                    names.contains_key(name)
                        || ["_bucket", "_sum", "_count"].iter().any(|end| {
                            name.strip_suffix(end).is_some_and(|name| names.get(name) == Some(&true))
                        })
                };
                if !exists {
                    faults.push((at + 1, format!("there is no metric {prefix}{name}")));
                }
            }
        }
    }
    faults
}

/// The names of the table of metrics.
fn tabled(program: &str) -> Vec<String> {
    let page = std::fs::read_to_string(pages::root().join(format!("docs/{program}-service.md"))).unwrap();
    let table = page.split("## Metrics").nth(1).expect("a part on metrics").to_owned();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect()
}

#[test]
fn metrics_that_documents_name_exist() {
    let of = PROGRAMS.map(|program| (program, made(program)));
    none(&in_all(|document| unknown(&document.text, &of)));
}

#[test]
fn every_metric_is_in_the_table_of_its_program_and_no_other() {
    let mut faults = Vec::new();
    for program in PROGRAMS {
        let (made, tabled) = (made(program), tabled(program));
        let missing = made.keys().filter(|name| !tabled.contains(name));
        faults.extend(missing.map(|name| format!("docs/{program}-service.md has no row of {name}")));
        let wrong = tabled.iter().filter(|name| !made.contains_key(*name));
        faults.extend(
            wrong.map(|name| format!("docs/{program}-service.md has {name}, which there is none of")),
        );
    }
    none(&faults);
}

#[test]
fn a_metric_that_there_is_none_of_is_found() {
    let mut names = Names::new();
    in_source(
        "Metric::gauge(\n  \"up\", x) + regauge(\"no\") + Metric::histogram(\"took_seconds\", gauge(name",
        &mut names,
    );
    assert_eq!(names, Names::from([("up".to_owned(), false), ("took_seconds".to_owned(), true)]));
    let of = [("warmer", names)];
    let text = "`hotshelf_warmer_up`, `hotshelf_warmer_` hotshelf_warmer_took_* hotshelf_warmer_took_seconds_bucket{x}";
    assert_eq!(unknown(text, &of), []);
    let text = "hotshelf_warmer_up_count\nhotshelf_warmer_upp hotshelf_warmer_up";
    let lines: Vec<usize> = unknown(text, &of).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [1, 2]);
}
