//! `config show` of both programs: every setting as it counts, and where it comes from.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use unicode_width::UnicodeWidthStr as _;

use super::Settings;
use super::origins::{self, Effective, Origins};

/// A longer value does not widen its column: it moves the origin of its own line.
const WIDEST: usize = 44;

/// What is shown, and how.
#[derive(Clone, Debug, Default, Args)]
pub struct ShowArgs {
    /// Only this section, such as redis, or this key, such as redis.url (may be several)
    #[arg(value_name = "SECTION|KEY")]
    only: Vec<String>,
    /// Only what differs from the defaults
    #[arg(long)]
    changed: bool,
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table for people
    #[default]
    Text,
    /// A list of {key, value, origin}
    Json,
}

/// A section or key that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no section and no key of one; sections are {}", sections.join(", "))]
pub struct Unknown {
    name: String,
    sections: Vec<String>,
}

impl ShowArgs {
    /// The settings as they were asked for.
    ///
    /// # Errors
    /// If a section or key was asked for that is none.
    pub fn shown(&self, settings: &Settings, origins: &Origins) -> Result<String, Unknown> {
        let all = origins::effective(settings, origins);
        let is_of = |setting: &Effective, name: &str| setting.key == name || section(setting) == name;
        for name in &self.only {
            if !all.iter().any(|setting| is_of(setting, name)) {
                let mut sections: Vec<String> = all.iter().map(section).map(str::to_owned).collect();
                sections.dedup();
                return Err(Unknown { name: name.clone(), sections });
            }
        }
        let asked = |setting: &Effective| {
            (self.only.is_empty() || self.only.iter().any(|name| is_of(setting, name)))
                && (setting.changed || !self.changed)
        };
        let shown: Vec<Effective> = all.into_iter().filter(asked).collect();
        Ok(match self.output {
            Output::Text => text(&shown),
            // Nothing of it cannot be written as JSON.
            Output::Json => serde_json::to_string_pretty(&shown).unwrap_or_default(),
        })
    }
}

fn section(setting: &Effective) -> &str {
    setting.key.split_once('.').map_or("", |(section, _)| section)
}

fn text(settings: &[Effective]) -> String {
    let rows: Vec<[String; 3]> = settings
        .iter()
        .map(|setting| {
            let value = setting.value.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
            [setting.key.clone(), value, setting.origin.to_string()]
        })
        .collect();
    let width = |of: fn(&[String; 3]) -> &String| {
        rows.iter().map(|row| of(row).width()).filter(|width| *width <= WIDEST).max().unwrap_or(0)
    };
    let widths = (width(|row| &row[0]), width(|row| &row[1]));
    let padded =
        |text: &str, width: usize| format!("{text}{}", " ".repeat(width.saturating_sub(text.width())));
    let mut text = String::new();
    for [key, value, origin] in &rows {
        let end = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{end}{}  {}  {origin}", padded(key, widths.0), padded(value, widths.1));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::check::tests::settings;

    fn args(only: &[&str], changed: bool, output: Output) -> ShowArgs {
        ShowArgs { only: only.iter().map(|name| (*name).to_owned()).collect(), changed, output }
    }

    #[test]
    fn columns_are_aligned_also_behind_chinese() {
        let settings =
            settings("[rules]\nconsumable_categories = [\"耗材\"]\nhigh_delivery = \"7\"").unwrap();
        let mut origins = Origins::default();
        origins.of_option("rules.high_delivery", "--x");
        let shown = args(&["rules"], false, Output::Text).shown(&settings, &origins).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[1], "rules.consumable_categories  [\"耗材\"]  default");
        assert_eq!(lines[3], "rules.high_delivery          \"7\"       option --x");
        assert!(
            lines[0].starts_with("rules.fee_channels           [\"饿了么\", ")
                && lines[0].ends_with("]  default")
        );
        let shown = args(&[], true, Output::Text).shown(&settings, &origins).unwrap();
        assert_eq!(shown, "rules.high_delivery  \"7\"  option --x");
    }

    #[test]
    fn json_has_values_by_their_type() {
        let settings = settings("").unwrap();
        let keys = ["near", "warm.state", "warm.hot_share", "cache.hot"];
        let shown = args(&keys, false, Output::Json).shown(&settings, &Origins::default()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let list = json.as_array().unwrap();
        let value = |key: &str| &list.iter().find(|setting| setting["key"] == key).unwrap()["value"];
        assert_eq!(list.len(), 8);
        assert_eq!((value("near.enabled"), value("near.flights")), (&true.into(), &1024.into()));
        assert_eq!((value("near.bytes"), value("cache.hot")), (&"64MiB".into(), &"5m".into()));
        assert!(value("warm.state").is_null() && value("warm.hot_share").as_f64() == Some(0.2));
        assert_eq!(list[0]["origin"], "default");
    }

    #[test]
    fn what_is_no_section_and_no_key_is_told() {
        let told = args(&["redis", "redi"], false, Output::Text)
            .shown(&settings("").unwrap(), &Origins::default())
            .unwrap_err()
            .to_string();
        assert!(told.starts_with(
            "\"redi\" is no section and no key of one; sections are redis, postgres, rules, cache,"
        ));
    }
}
