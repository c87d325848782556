//! Questions relative to the last data day: "these 3 stores, last 7 days". What is asked again every day keeps one
//! form, of which tomorrow's question can be made before anyone asks it.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::query::{Granularity, ProductSort, RESERVED, SortOrder, StoreSort};
use super::{Ask, ChannelFilter, Day, Document};

/// An [`Ask`] whose days are distances from the last data day. Its text is canonical: equal questions have equal texts,
/// different ones different texts; serde writes the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelativeAsk {
    /// Everything but the days.
    ask: Ask,
    /// Days from the last data day to `from`; negative before it.
    from: Option<i32>,
    /// Days from the last data day to `to`.
    to: Option<i32>,
}

/// Room for the text of a question about a few stores.
const TEXT_BYTES: usize = 96;

/// A text that is not a relative question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a relative question: {0}")]
pub struct NotRelative(&'static str);

impl RelativeAsk {
    /// The form of `ask` when `last_day` was the last data day of all stores at the time of asking.
    #[must_use]
    pub fn new(ask: Ask, last_day: Day) -> Self {
        let distance = |day: Day| day.0.saturating_sub(last_day.0).clamp(-Day::MAX.0, Day::MAX.0);
        Self {
            from: ask.from.map(distance),
            to: ask.to.map(distance),
            ask: Ask { from: None, to: None, ..ask },
        }
    }

    /// The question as it is asked when `last_day` is the last data day. Days beyond those that can be named become the
    /// nearest that can.
    #[must_use]
    pub fn absolute(&self, last_day: Day) -> Ask {
        let day = |distance: i32| last_day.plus(distance).clamp(Day::MIN, Day::MAX);
        Ask { from: self.from.map(day), to: self.to.map(day), ..self.ask.clone() }
    }

    /// The canonical text, as [`fmt::Display`] writes it, in one piece of memory.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(TEXT_BYTES);
        let written = write!(text, "{self}");
        debug_assert!(written.is_ok(), "a string takes every text");
        text
    }

    /// Which document.
    #[must_use]
    pub fn document(&self) -> Document {
        self.ask.document
    }

    /// Stores named; `None` = all.
    pub fn stores(&self) -> Option<impl ExactSizeIterator<Item = &str>> {
        self.ask.stores.as_ref().map(|stores| stores.iter().map(String::as_str))
    }

    /// Whether it names a day, so that the question changes with the last data day. Without one the gateway's defaults
    /// count, which move by themselves.
    #[must_use]
    pub fn names_days(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }
}

impl fmt::Display for RelativeAsk {
    /// As [`super::Query::canonical`], with distances for days, and without `stores` for all.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ask.document.name())?;
        f.write_char('?')?;
        match self.ask.document {
            Document::Trend(granularity) => write!(f, "granularity={}", granularity.as_str())?,
            Document::StoreTable(sort, order) => {
                write!(f, "sort={}&order={}", sort.as_str(), order.as_str())?;
            }
            Document::Products(sort, limit) => write!(f, "sort={}&limit={limit}", sort.as_str())?,
            Document::Stores | Document::Overview | Document::Channels | Document::Diagnosis => {}
        }
        for (name, distance) in [("from", self.from), ("to", self.to)] {
            if let Some(distance) = distance {
                write!(f, "&{name}={distance:+}")?;
            }
        }
        if let ChannelFilter::Only(channels) = &self.ask.channels {
            // A filter that names nothing is not the same as none.
            if channels.is_empty() {
                f.write_str("&no_channel")?;
            }
            for channel in channels {
                f.write_str("&channel=")?;
                encoded(f, channel)?;
            }
        }
        if let Some(stores) = &self.ask.stores {
            if stores.is_empty() {
                f.write_str("&no_store")?;
            }
            for store in stores {
                f.write_str("&store=")?;
                encoded(f, store)?;
            }
        }
        Ok(())
    }
}

/// Piece by piece, without the machinery of a format string: a log holds millions of them.
fn encoded(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    utf8_percent_encode(name, RESERVED).try_for_each(|piece| f.write_str(piece))
}

/// What a canonical text names beside the document.
#[derive(Default)]
struct Parts<'a> {
    sort: Option<&'a str>,
    order: Option<&'a str>,
    limit: Option<u16>,
    granularity: Option<Granularity>,
}

impl Parts<'_> {
    fn document(&self, name: &str) -> Option<Document> {
        Some(match name {
            "stores" => Document::Stores,
            "overview" => Document::Overview,
            "trend" => Document::Trend(self.granularity?),
            "channels" => Document::Channels,
            "store_table" => {
                Document::StoreTable(StoreSort::from_text(self.sort?)?, SortOrder::from_text(self.order?)?)
            }
            "products" => Document::Products(ProductSort::from_text(self.sort?)?, self.limit?),
            "diagnosis" => Document::Diagnosis,
            _ => return None,
        })
    }
}

impl FromStr for RelativeAsk {
    type Err = NotRelative;

    fn from_str(text: &str) -> Result<Self, NotRelative> {
        let (name, rest) = text.split_once('?').ok_or(NotRelative("no question mark"))?;
        let mut relative = Self { ask: Ask::default_for(Document::Stores), from: None, to: None };
        let mut parts = Parts::default();
        for pair in rest.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "sort" => parts.sort = Some(value),
                "order" => parts.order = Some(value),
                "limit" => parts.limit = value.parse().ok(),
                "granularity" => parts.granularity = Granularity::from_text(value),
                "from" => relative.from = Some(distance(value)?),
                "to" => relative.to = Some(distance(value)?),
                "no_channel" | "channel" => {
                    if relative.ask.channels == ChannelFilter::All {
                        relative.ask.channels = ChannelFilter::Only([].into());
                    }
                    if key == "channel"
                        && let ChannelFilter::Only(channels) = &mut relative.ask.channels
                    {
                        channels.insert(decoded(value)?);
                    }
                }
                "no_store" => relative.ask.stores = Some([].into()),
                "store" => {
                    relative.ask.stores.get_or_insert_default().insert(decoded(value)?);
                }
                _ => return Err(NotRelative("a part has an unknown name")),
            }
        }
        relative.ask.document = parts.document(name).ok_or(NotRelative("the document is unknown"))?;
        // One text per question, or it would be no key.
        if relative.to_string() == text { Ok(relative) } else { Err(NotRelative("not in canonical form")) }
    }
}

fn distance(text: &str) -> Result<i32, NotRelative> {
    let distance: i32 = text.parse().map_err(|_| NotRelative("a distance is no number"))?;
    let limit = Day::MAX.0;
    if (-limit..=limit).contains(&distance) {
        Ok(distance)
    } else {
        Err(NotRelative("a distance is too long"))
    }
}

fn decoded(text: &str) -> Result<String, NotRelative> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| NotRelative("a name is not UTF-8"))?;
    Ok(decoded.into_owned())
}

impl Serialize for RelativeAsk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RelativeAsk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn a_week_moves_with_the_data() {
        let ask = Ask {
            stores: Some(["b", "a&=門"].map(str::to_owned).into()),
            from: Some(day("2026-03-01")),
            to: Some(day("2026-03-07")),
            ..Ask::default_for(Document::Products(ProductSort::Loss, 20))
        };
        let relative = RelativeAsk::new(ask.clone(), day("2026-03-07"));
        assert_eq!(
            relative.to_string(),
            "products?sort=loss&limit=20&from=-6&to=+0&store=a%26%3D%E9%96%80&store=b"
        );
        let tomorrow = relative.absolute(day("2026-03-08"));
        assert_eq!((tomorrow.from, tomorrow.to), (Some(day("2026-03-02")), Some(day("2026-03-08"))));
        assert_eq!(relative.absolute(day("2026-03-07")), ask);
        assert_eq!(relative, RelativeAsk::new(tomorrow.clone(), day("2026-03-08")));
        assert!(relative.names_days());
    }

    #[test]
    fn days_stay_within_those_that_can_be_named() {
        let ask = Ask { from: Some(Day::MIN), to: Some(Day::MAX), ..Ask::default_for(Document::Overview) };
        let relative = RelativeAsk::new(ask.clone(), day("2026-03-07"));
        let early = relative.absolute(Day::MIN);
        assert!(early.from == Some(Day::MIN) && early.to < Some(Day::MAX));
        assert_eq!(relative.absolute(Day::MAX).to, Some(Day::MAX));
    }

    fn asks() -> impl Strategy<Value = Ask> {
        let choice = |all: usize| 0..all;
        let document =
            (0..7usize, choice(4), choice(3), 1..=200u16).prop_map(|(which, sort, other, limit)| {
                [
                    Document::Stores,
                    Document::Overview,
                    Document::Trend(Granularity::ALL[other]),
                    Document::Channels,
                    Document::StoreTable(StoreSort::ALL[sort], SortOrder::ALL[other % 2]),
                    Document::Products(ProductSort::ALL[sort], limit),
                    Document::Diagnosis,
                ][which]
            });
        let names = || proptest::collection::btree_set("[a,&%{}=?+ 门]{0,3}", 0..4);
        let days = || proptest::option::of((0..=Day::MAX.0).prop_map(Day));
        (document, proptest::option::of(names()), days(), days(), proptest::option::of(names())).prop_map(
            |(document, stores, from, to, channels)| Ask {
                document,
                stores,
                from,
                to,
                channels: channels.map_or(ChannelFilter::All, ChannelFilter::Only),
            },
        )
    }

    proptest! {
        #[test]
        fn texts_lead_back(ask in asks(), last_day in 0..=Day::MAX.0) {
            let last_day = Day(last_day);
            let relative = RelativeAsk::new(ask.clone(), last_day);
            prop_assert_eq!(&relative.absolute(last_day), &ask);
            let text = relative.to_string();
            prop_assert_eq!(text.parse::<RelativeAsk>().unwrap(), relative.clone());
            let json = serde_json::to_string(&relative).unwrap();
            prop_assert_eq!(serde_json::from_str::<RelativeAsk>(&json).unwrap(), relative);
        }

        #[test]
        fn different_questions_have_different_texts(a in asks(), b in asks()) {
            let text = |ask: &Ask| RelativeAsk::new(ask.clone(), Day(20_000)).to_string();
            prop_assert_eq!(text(&a) == text(&b), a == b);
        }

        #[test]
        fn garbage_is_no_question(text in "(overview|trend|products)?[?&=+%a-z0-9門-]{0,30}") {
            let _ = text.parse::<RelativeAsk>();
        }
    }
}
