//! Questions: as asked, with defaults open ([`Ask`]), and resolved against the directory ([`Query`]). One `Query` has
//! one canonical text, from which its cache key is made.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::model::{Day, DayRange, Directory};

/// Longest range of days.
pub const MAX_DAYS: i32 = 366;
/// Most stores that a question may name.
pub const MAX_STORES: usize = 500;

/// Which orders count, by their channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChannelFilter {
    /// All.
    #[default]
    All,
    /// Those of one of these channels; `""` stands for orders without one.
    Only(BTreeSet<String>),
}

impl ChannelFilter {
    /// Whether orders of `channel` count.
    #[must_use]
    pub fn admits(&self, channel: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(channels) => channels.contains(channel),
        }
    }
}

/// Which document, with the parameters that only it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Document {
    /// `/v1/stores`
    Stores,
    /// `/v1/metrics/overview`
    Overview,
    /// `/v1/metrics/trend`
    Trend(Granularity),
    /// `/v1/metrics/channels`
    Channels,
    /// `/v1/metrics/stores`
    StoreTable(StoreSort, SortOrder),
    /// `/v1/metrics/products`, with the limit
    Products(ProductSort, u16),
    /// `/v1/diagnosis`
    Diagnosis,
}

/// Declares an enum of parameter values with their texts.
macro_rules! parameter {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$value_doc])* $value,)* }

        impl $name {
            /// All values.
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            /// Its text in a URL.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text,)* }
            }

            /// The value of a text.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }
    };
}

parameter! {
    /// Length of a trend's buckets.
    Granularity {
        /// Days.
        Day = "day",
        /// Weeks from Monday.
        Week = "week",
        /// Calendar months.
        Month = "month",
    }
}
parameter! {
    /// What the store table is sorted by.
    StoreSort {
        /// Sales.
        Sales = "sales",
        /// Profit.
        Profit = "profit",
        /// Profit rate as shown.
        ProfitRate = "profit_rate",
        /// Valid orders.
        Orders = "orders",
    }
}
parameter! {
    /// Direction of a sort.
    SortOrder {
        /// Largest first.
        Descending = "desc",
        /// Smallest first.
        Ascending = "asc",
    }
}
parameter! {
    /// What top products are sorted by.
    ProductSort {
        /// Quantity.
        Units = "units",
        /// Sales.
        Sales = "sales",
        /// Gross profit, most first.
        Profit = "profit",
        /// Gross profit, least first.
        Loss = "loss",
    }
}

impl Document {
    /// Its name in keys and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stores => "stores",
            Self::Overview => "overview",
            Self::Trend(_) => "trend",
            Self::Channels => "channels",
            Self::StoreTable(..) => "store_table",
            Self::Products(..) => "products",
            Self::Diagnosis => "diagnosis",
        }
    }
}

/// A question as asked: what is absent is resolved against the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Which document.
    pub document: Document,
    /// Stores named; `None` = all.
    pub stores: Option<BTreeSet<String>>,
    /// First day.
    pub from: Option<Day>,
    /// Last day.
    pub to: Option<Day>,
    /// Which orders.
    pub channels: ChannelFilter,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// A named store does not exist.
    #[error("there is no store {0:?}")]
    UnknownStore(String),
    /// `from` is after `to`.
    #[error("from {from} is after to {to}")]
    EmptyRange {
        /// First day.
        from: Day,
        /// Last day.
        to: Day,
    },
    /// More than [`MAX_DAYS`].
    #[error("{from} to {to} are {days} days, more than {MAX_DAYS}; ask for a shorter range")]
    TooManyDays {
        /// First day.
        from: Day,
        /// Last day.
        to: Day,
        /// Days of the range.
        days: i32,
    },
}

/// A resolved question: the same for everyone who asks for the same stores, days and channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which document.
    pub document: Document,
    /// Stores by id, without repeats.
    pub stores: Vec<String>,
    /// Days; `None` if there is no data to take the default from.
    pub range: Option<DayRange>,
    /// Which orders.
    pub channels: ChannelFilter,
    /// Last data day of the selection, whatever the range.
    pub as_of: Option<Day>,
    /// For the diagnosis: `from` … y, where y is the last day of the range with a line of the selection.
    pub diagnosis: Option<DayRange>,
}

impl Ask {
    /// All stores, default range, all channels.
    #[must_use]
    pub fn default_for(document: Document) -> Self {
        Self { document, stores: None, from: None, to: None, channels: ChannelFilter::All }
    }

    /// Fills in the defaults.
    ///
    /// # Errors
    /// If a store is unknown, or the range is empty or too long.
    pub fn resolve(&self, directory: &Directory) -> Result<Query, AskError> {
        let selected: Vec<_> = match &self.stores {
            None => directory.stores().iter().collect(),
            Some(named) => named
                .iter()
                .map(|id| directory.get(id).ok_or_else(|| AskError::UnknownStore(id.clone())))
                .collect::<Result<_, _>>()?,
        };
        let as_of = selected.iter().filter_map(|store| store.days.last()).max();
        let last_until =
            |limit: DayRange| selected.iter().filter_map(|store| store.days.last_within(limit)).max();
        let to = self.to.or_else(|| match self.from {
            Some(from) => as_of.map(|day| day.max(from)).or(Some(from)),
            None => as_of,
        });
        let from = self.from.or_else(|| {
            let end = match (self.document, to) {
                (Document::Diagnosis, Some(to)) => {
                    last_until(DayRange { from: Day::MIN, to: to.max(Day::MIN) }).or(Some(to))
                }
                (_, to) => to,
            };
            // Never a day that nobody could name.
            end.map(|day| day.plus(-29).max(Day::MIN))
        });
        let range = match (from, to) {
            (Some(from), Some(to)) => Some(check_range(from, to)?),
            _ => None,
        };
        let diagnosis = match (self.document, range) {
            (Document::Diagnosis, Some(range)) => {
                last_until(range).map(|as_of| DayRange { from: range.from, to: as_of })
            }
            _ => None,
        };
        let range = if self.document == Document::Stores { None } else { range };
        let stores = selected.iter().map(|store| store.store_id.clone()).collect();
        Ok(Query {
            document: self.document,
            stores,
            range,
            channels: self.channels.clone(),
            as_of,
            diagnosis,
        })
    }
}

/// A range that may be asked for. The default `from` of a diagnosis lies up to a range before its last data day, so
/// only ranges that were named can be too long.
fn check_range(from: Day, to: Day) -> Result<DayRange, AskError> {
    let range = DayRange::new(from, to).ok_or(AskError::EmptyRange { from, to })?;
    if range.len() > MAX_DAYS {
        return Err(AskError::TooManyDays { from, to, days: range.len() });
    }
    Ok(range)
}

/// What separates the parts of a canonical text, and what texts must not carry unescaped.
pub(super) const RESERVED: &AsciiSet =
    &CONTROLS.add(b'%').add(b'&').add(b'=').add(b',').add(b'?').add(b'{').add(b'}');

impl Query {
    /// The canonical text: equal questions have equal texts, different ones different texts.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::from(self.document.name());
        match self.document {
            Document::Trend(granularity) => push(&mut text, "?granularity=", granularity.as_str()),
            Document::StoreTable(sort, order) => {
                push(&mut text, "?sort=", sort.as_str());
                push(&mut text, "&order=", order.as_str());
            }
            Document::Products(sort, limit) => {
                push(&mut text, "?sort=", sort.as_str());
                push(&mut text, "&limit=", limit);
            }
            Document::Stores | Document::Overview | Document::Channels | Document::Diagnosis => {
                text.push('?');
            }
        }
        if let Some(range) = self.range {
            push(&mut text, "&from=", range.from);
            push(&mut text, "&to=", range.to);
        }
        if let ChannelFilter::Only(channels) = &self.channels {
            for channel in channels {
                push(&mut text, "&channel=", utf8_percent_encode(channel, RESERVED));
            }
        }
        text.push_str("&stores=");
        for (at, store) in self.stores.iter().enumerate() {
            push(&mut text, if at == 0 { "" } else { "," }, utf8_percent_encode(store, RESERVED));
        }
        text
    }

    /// The stores that a canonical text names; `None` if it is none.
    #[must_use]
    pub fn stores_of(canonical: &str) -> Option<Vec<String>> {
        let (_, stores) = canonical.rsplit_once("&stores=")?;
        let decode = |store: &str| Some(percent_decode_str(store).decode_utf8().ok()?.into_owned());
        if stores.is_empty() {
            return Some(Vec::new());
        }
        stores.split(',').map(decode).collect()
    }

    /// Which cells of each store it is made of.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let Some(range) = self.range else { return Needs::default() };
        let both = DayRange { from: range.previous().from, to: range.to };
        match self.document {
            Document::Stores => Needs::default(),
            Document::Overview | Document::StoreTable(..) => Needs { days: Some(both), products: None },
            Document::Trend(_) | Document::Channels => Needs { days: Some(range), products: None },
            Document::Products(..) => Needs { days: None, products: Some(range) },
            Document::Diagnosis => Needs {
                days: self
                    .diagnosis
                    .map(|range| DayRange { from: range.to.plus(-3).max(range.from), to: range.to }),
                products: self.diagnosis,
            },
        }
    }
}

fn push(text: &mut String, name: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{name}{value}");
}

/// Cells of one store that a question is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Day cells.
    pub days: Option<DayRange>,
    /// Product cells.
    pub products: Option<DayRange>,
}

impl Needs {
    /// The days of which any cell is needed.
    #[must_use]
    pub fn span(&self) -> Option<DayRange> {
        match (self.days, self.products) {
            (Some(a), Some(b)) => Some(DayRange { from: a.from.min(b.from), to: a.to.max(b.to) }),
            (range, None) | (None, range) => range,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::model::StoreInfo;
    use proptest::prelude::*;

    fn directory(stores: &[(&str, &[&str])]) -> Directory {
        let info = |(id, days): &(&str, &[&str])| StoreInfo {
            store_id: (*id).to_owned(),
            name: (*id).to_owned(),
            city: None,
            lines: 1,
            days: days.iter().map(|day| day.parse::<Day>().unwrap()).collect(),
        };
        Directory::new(stores.iter().map(info).collect())
    }

    fn resolve(document: Document, stores: Option<&[&str]>, from: Option<&str>, to: Option<&str>) -> Query {
        let directory = directory(&[("a", &["2026-03-01", "2026-03-05"]), ("b", &["2026-03-07"])]);
        let day = |text: &str| text.parse::<Day>().unwrap();
        let ask = Ask {
            stores: stores.map(|ids| ids.iter().map(ToString::to_string).collect()),
            from: from.map(day),
            to: to.map(day),
            ..Ask::default_for(document)
        };
        ask.resolve(&directory).unwrap()
    }

    fn shown(range: Option<DayRange>) -> String {
        range.map_or(String::from("none"), |range| format!("{}..{}", range.from, range.to))
    }

    #[test]
    fn fills_in_defaults() {
        let overview = |stores, from, to| shown(resolve(Document::Overview, stores, from, to).range);
        assert_eq!(overview(None, None, None), "2026-02-06..2026-03-07");
        assert_eq!(overview(Some(&["a"]), None, None), "2026-02-04..2026-03-05");
        assert_eq!(overview(None, Some("2026-05-01"), None), "2026-05-01..2026-05-01");
        assert_eq!(overview(None, None, Some("2026-03-20")), "2026-02-19..2026-03-20");
        assert_eq!(overview(None, None, Some("1970-01-09")), "1970-01-01..1970-01-09");
        let diagnosis = resolve(Document::Diagnosis, Some(&["a"]), None, Some("2026-03-04"));
        assert_eq!(shown(diagnosis.range), "2026-01-31..2026-03-04");
        assert_eq!(shown(diagnosis.diagnosis), "2026-01-31..2026-03-01");
        let early = resolve(Document::Diagnosis, None, None, Some("2026-02-01"));
        assert_eq!(
            (shown(early.range), shown(early.diagnosis)),
            ("2026-01-03..2026-02-01".into(), "none".into())
        );
    }

    #[test]
    fn refuses_what_has_no_answer() {
        let directory = directory(&[("a", &["2026-03-01"])]);
        let mut ask = Ask::default_for(Document::Overview);
        ask.stores = Some(BTreeSet::from(["x".to_owned()]));
        assert_eq!(ask.resolve(&directory), Err(AskError::UnknownStore("x".into())));
        ask.stores = None;
        ask.from = Some("2020-01-01".parse().unwrap());
        assert!(matches!(ask.resolve(&directory), Err(AskError::TooManyDays { .. })));
    }

    proptest! {
        #[test]
        fn canonical_texts_are_injective(
            a in proptest::collection::btree_set("[a,&%{}=? 门]{1,3}", 1..4),
            b in proptest::collection::btree_set("[a,&%{}=? 门]{1,3}", 1..4),
        ) {
            let query = |stores: &BTreeSet<String>| Query {
                document: Document::Channels,
                stores: stores.iter().cloned().collect(),
                range: None,
                channels: ChannelFilter::All,
                as_of: None,
                diagnosis: None,
            };
            prop_assert_eq!(query(&a).canonical() == query(&b).canonical(), a == b);
            prop_assert_eq!(Query::stores_of(&query(&a).canonical()), Some(a.into_iter().collect()));
        }
    }
}
