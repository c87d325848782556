//! Which headings of a file fill which column: the built-in mappings and those of the user.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::model::Column;
use crate::source::{SourceError, SourceErrorKind};

/// How the mapping of a file is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MappingChoice {
    /// From the headings: those of the platform exports and the canonical names, whichever are there.
    #[default]
    Auto,
    /// The Chinese headings of the platform exports.
    PlatformExport,
    /// The canonical column names.
    Canonical,
    /// A mapping of the user's own, in a TOML file.
    File(PathBuf),
}

impl FromStr for MappingChoice {
    type Err = std::convert::Infallible;
    /// A name of a built-in mapping (`auto`, `platform-export`, `canonical`), else the path of a file.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            "platform-export" => Self::PlatformExport,
            "canonical" => Self::Canonical,
            path => Self::File(PathBuf::from(path)),
        })
    }
}

impl MappingChoice {
    /// The mapping chosen.
    ///
    /// # Errors
    /// When the user's file cannot be read or has faults; all of them are named.
    pub fn resolve(&self) -> Result<Mapping, SourceError> {
        match self {
            Self::Auto => Ok(Mapping::auto()),
            Self::PlatformExport => Ok(Mapping::platform_export()),
            Self::Canonical => Ok(Mapping::canonical()),
            Self::File(path) => {
                let text = std::fs::read_to_string(path).map_err(|cause| {
                    SourceError::new(
                        SourceErrorKind::Settings,
                        format!("cannot read the mapping {}: {cause}", path.display()),
                        "give auto, platform-export, canonical, or the path of a TOML file",
                    )
                    .because(cause)
                })?;
                Mapping::from_toml(&text, path)
            }
        }
    }
}

/// For each column the headings that fill it, in the order in which they are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    headings: [Vec<String>; Column::ALL.len()],
}

impl Mapping {
    fn from_fn(headings: impl Fn(Column) -> Vec<&'static str>) -> Self {
        let owned = |column| headings(column).into_iter().map(str::to_owned).collect();
        Self { headings: Column::ALL.map(owned) }
    }

    /// The Chinese headings of the platform exports.
    #[must_use]
    pub fn platform_export() -> Self {
        Self::from_fn(|column| column.platform_headings().to_vec())
    }

    /// The canonical names; the store is `store_id`, else `store_name`.
    #[must_use]
    pub fn canonical() -> Self {
        Self::from_fn(|column| match column {
            Column::StoreId => vec![Column::StoreId.name(), Column::StoreName.name()],
            _ => vec![column.name()],
        })
    }

    /// Both, so that the headings of a file decide.
    #[must_use]
    pub fn auto() -> Self {
        Self::from_fn(|column| match column {
            // Ids before names.
            Column::StoreId => vec!["门店ID", "store_id", "门店名称", "store_name"],
            _ => column.platform_headings().iter().copied().chain([column.name()]).collect(),
        })
    }

    /// A mapping of the user's own: canonical column names as keys, a heading or a list of headings as value, and
    /// `extends` for a built-in mapping that fills the columns not named. A store without an id goes by its name.
    ///
    /// # Errors
    /// All faults at once, each with its key and value.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, SourceError> {
        let fault = |what: String| {
            SourceError::new(
                SourceErrorKind::Settings,
                format!("the mapping {} does not fit: {what}", path.display()),
                "correct it; keys are canonical column names, values a heading or a list of headings",
            )
        };
        let table: toml::Table = text.parse().map_err(|cause: toml::de::Error| {
            fault(cause.to_string().trim_end().to_owned()).because(cause)
        })?;
        let mut faults = Vec::new();
        let mut mapping = match table.get("extends") {
            None => Self::from_fn(|_| Vec::new()),
            Some(toml::Value::String(name)) if name == "platform-export" => Self::platform_export(),
            Some(toml::Value::String(name)) if name == "canonical" => Self::canonical(),
            Some(other) => {
                faults.push(format!("extends = {other}: must be \"platform-export\" or \"canonical\""));
                Self::auto()
            }
        };
        for (key, value) in table.iter().filter(|(key, _)| *key != "extends") {
            let Some(column) = Column::from_name(key) else {
                faults.push(format!("{key} = {value}: no such column"));
                continue;
            };
            match headings(value) {
                Some(headings) => mapping.headings[column as usize] = headings,
                None => faults.push(format!("{key} = {value}: must be a heading or a list of headings")),
            }
        }
        mapping.let_name_stand_for_id();
        for column in [Column::OrderId, Column::StoreId, Column::OrderedAt] {
            if faults.is_empty() && mapping.headings(column).is_empty() {
                faults.push(format!("{} is missing: every line needs it", column.name()));
            }
        }
        if faults.is_empty() { Ok(mapping) } else { Err(fault(faults.join("; "))) }
    }

    fn let_name_stand_for_id(&mut self) {
        let names = self.headings[Column::StoreName as usize].clone();
        let ids = &mut self.headings[Column::StoreId as usize];
        for name in names {
            if !ids.contains(&name) {
                ids.push(name);
            }
        }
    }

    /// This mapping with headings for some columns only; the others are not even read from Parquet files.
    pub(super) fn only(mut self, columns: &[Column]) -> Self {
        for column in Column::ALL.into_iter().filter(|column| !columns.contains(column)) {
            self.headings[column as usize].clear();
        }
        self
    }

    /// The headings of a column.
    #[must_use]
    pub fn headings(&self, column: Column) -> &[String] {
        &self.headings[column as usize]
    }
}

fn headings(value: &toml::Value) -> Option<Vec<String>> {
    let heading = |value: &toml::Value| {
        let text = value.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    match value {
        toml::Value::Array(values) if !values.is_empty() => values.iter().map(heading).collect(),
        _ => heading(value).map(|heading| vec![heading]),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Mapping, SourceError> {
        Mapping::from_toml(text, Path::new("own.toml"))
    }

    #[test]
    fn an_own_mapping_replaces_and_extends() {
        let mapping = read(
            "extends = \"platform-export\"\norder_id = \"Bestellung\"\ncost = [\"EK\", \"Kosten\"]\nstore_name = 'Filiale'",
        )
        .unwrap();
        assert_eq!(mapping.headings(Column::OrderId), ["Bestellung"]);
        assert_eq!(mapping.headings(Column::Cost), ["EK", "Kosten"]);
        assert_eq!(mapping.headings(Column::OrderedAt), ["下单时间", "日期"]);
        assert_eq!(mapping.headings(Column::StoreId), ["门店ID", "门店名称", "Filiale"]);
    }

    #[test]
    fn a_store_may_go_by_name_only() {
        let mapping = read("order_id = 'o'\nstore_name = 's'\nordered_at = 't'").unwrap();
        assert_eq!(mapping.headings(Column::StoreId), ["s"]);
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let error = read("extends = 'mine'\nprice = 'x'\ncost = 3\nstock = []\norder_id = ' '")
            .unwrap_err()
            .to_string();
        for part in ["extends = \"mine\"", "price = \"x\"", "cost = 3", "stock = []", "order_id = \" \""] {
            assert!(error.contains(part), "{part} in {error}");
        }
        let error = read("order_id = 'o'").unwrap_err().to_string();
        assert!(error.contains("store_id is missing") || error.contains("ordered_at is missing"), "{error}");
        assert!(read("order_id = ").is_err());
    }

    #[test]
    fn names_are_choices() {
        assert_eq!("canonical".parse(), Ok(MappingChoice::Canonical));
        assert_eq!("a.toml".parse(), Ok(MappingChoice::File("a.toml".into())));
        assert!(MappingChoice::File("/nowhere.toml".into()).resolve().is_err());
    }
}
