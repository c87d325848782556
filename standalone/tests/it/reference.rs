//! The pages that are made from the code are as the code makes them, and the settings files have what the code knows.

use std::collections::BTreeMap;

use shared::config::Settings;
use shared::config::origins::{Effective, Origin, effective};

use crate::pages;
use crate::pages::settings::Key;

/// Every setting without any file.
pub(crate) fn defaults() -> Vec<Effective> {
    let (settings, origins) = Settings::with_origins(&[], &|_| None).unwrap();
    effective(&settings, &origins)
}

#[test]
fn pages_are_as_the_code_makes_them() {
    for page in pages::all().unwrap() {
        let there = std::fs::read_to_string(pages::root().join(page.path)).unwrap_or_default();
        let differs = there.lines().zip(page.text.lines()).find(|(there, made)| there != made);
        let (there_line, made) = differs.unwrap_or(("its end", "its end"));
        assert!(
            there == page.text,
            "{} is not what the code makes; run scripts/reference. First difference:\n  there: {there_line}\n  made:  {made}",
            page.path
        );
    }
}

#[test]
fn the_shipped_files_have_every_key_with_its_default() {
    let defaults: BTreeMap<String, Effective> =
        defaults().into_iter().map(|setting| (setting.key.clone(), setting)).collect();
    let files = pages::settings_files().unwrap();
    let mut faults = Vec::new();
    let shown: Vec<&Key> =
        files.iter().flat_map(|file| &file.sections).flat_map(|section| &section.keys).collect();
    for key in shown.iter().filter(|key| !key.name.contains("[]")) {
        let Some(setting) = defaults.get(&key.name) else {
            faults.push(format!("{} is shown, and there is no such key", key.name));
            continue;
        };
        if key.is_example != is_nothing(setting) {
            faults.push(format!("{}: commented out is what has no default, and nothing else", key.name));
        }
    }
    for key in defaults.keys() {
        if !shown.iter().any(|shown| shown.name == *key) {
            faults.push(format!("{key} is neither in config/warmer.toml nor in config/gateway.toml"));
        }
    }
    for name in ["warmer.toml", "gateway.toml"] {
        let path = pages::root().join("config").join(name);
        let (settings, origins) = Settings::with_origins(&[path], &|_| None).unwrap();
        for setting in effective(&settings, &origins).into_iter().filter(|setting| setting.changed) {
            faults.push(format!("{name}: {} is not the default: {:?}", setting.key, setting.value));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a default is none, or an empty list or table. Lists that may be given as such have one.
fn is_nothing(setting: &Effective) -> bool {
    match &setting.value {
        None => true,
        Some(toml::Value::Array(list)) => list.is_empty() && setting.key != "access.cors_origins",
        Some(toml::Value::Table(table)) => table.is_empty(),
        Some(_) => false,
    }
}

#[test]
fn every_size_fits_on_top_of_the_shipped_files() {
    let config = pages::root().join("config");
    for users in ["50", "200", "500"] {
        let overlay = config.join(format!("users-{users}.toml"));
        for first in ["warmer.toml", "gateway.toml"] {
            let (settings, origins) =
                Settings::with_origins(&[config.join(first), overlay.clone()], &|_| None).unwrap();
            let of_overlay = effective(&settings, &origins)
                .into_iter()
                .filter(|setting| setting.origin == Origin::File(overlay.clone()));
            let unchanged: Vec<String> =
                of_overlay.clone().filter(|setting| !setting.changed).map(|setting| setting.key).collect();
            assert!(unchanged.is_empty(), "{users}: {unchanged:?} are the defaults");
            assert!(of_overlay.count() >= 3, "{users}");
            // What Redis is given: 1 GB, for 500 users 2 GB. The warmer stays below 90 % of it, cells and partials included.
            let maxmemory: u64 = if users == "500" { 2 << 30 } else { 1 << 30 };
            assert!(settings.warm.budget <= maxmemory / 2, "{users}: the budget leaves no room for cells");
        }
    }
}
