//! The seeds, and that there are some for every target.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fuzz_targets::TARGETS;
use fuzz_targets::entry::is_whole;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// Names and bytes of a target's seeds, by name.
pub(super) fn of(target: &str) -> Vec<(String, Vec<u8>)> {
    let mut seeds: Vec<_> = names(&folder("seeds").join(target))
        .into_iter()
        .map(|name| (std::fs::read(folder("seeds").join(target).join(&name)).unwrap(), name))
        .map(|(bytes, name)| (name, bytes))
        .collect();
    seeds.sort();
    seeds
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_target_has_seeds_and_is_built_by_cargo_fuzz() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&folder("seeds")), targets);
    let sources = names(&folder("fuzz_targets"));
    assert_eq!(sources, targets.iter().map(|name| format!("{name}.rs")).collect());
    let manifest = std::fs::read_to_string(folder("Cargo.toml")).unwrap();
    for target in &targets {
        assert!(of(target).len() >= 5, "{target}");
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
    }
}

/// Seeds of a layout that is no more would be damaged entries, of which nothing but the header is looked at.
#[test]
fn seeds_of_entries_can_be_decoded() {
    for (name, seed) in
        of("entry").iter().filter(|(name, _)| ["e-", "p-", "z-"].iter().any(|mode| name.starts_with(mode)))
    {
        assert!(is_whole(seed), "{name}: run cargo run -p fuzz-targets --example entry_seeds");
    }
}
