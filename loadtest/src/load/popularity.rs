//! Which stores and days are asked for how often: by Zipf's law, or as an access log has it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use rand::Rng;
use rand::distr::weighted::WeightedIndex;
use rand::prelude::Distribution as _;
use shared::access_log::Request;
use shared::answers::parameters::Asked;
use shared::model::Day;

use super::log::read_logs;
use super::world::World;

/// Days of the range that is asked for where none is named, the last one included.
const DEFAULT_DAYS: u16 = 30;

/// A range of days, relative to the last data day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// None named: the gateway's default.
    Default,
    /// So many days, of which the last is so many days before the last data day.
    Days {
        /// From the last data day back to the last day.
        back: u16,
        /// How many, at least one.
        days: u16,
    },
}

/// What dashboards offer, the most usual first.
const SPANS: [Span; 9] = [
    Span::Default,
    Span::Days { back: 0, days: 7 },
    Span::Days { back: 0, days: 1 },
    Span::Days { back: 0, days: 14 },
    Span::Days { back: 7, days: 7 },
    Span::Days { back: 1, days: 1 },
    Span::Days { back: 0, days: 60 },
    Span::Days { back: 30, days: 30 },
    Span::Days { back: 0, days: 90 },
];

impl Span {
    /// First and last day; none for the default.
    #[must_use]
    pub fn days(self, last_day: Day) -> Option<(Day, Day)> {
        let Self::Days { back, days } = self else { return None };
        let to = last_day.plus(-i32::from(back));
        Some((to.plus(1 - i32::from(days.max(1))), to))
    }

    /// The range of days that were asked for when `last_day` was the last one.
    fn of(from: Option<Day>, to: Option<Day>, last_day: Day) -> Option<Self> {
        if from.is_none() && to.is_none() {
            return Some(Self::Default);
        }
        let to = to.unwrap_or(last_day);
        let from = from.unwrap_or_else(|| to.plus(1 - i32::from(DEFAULT_DAYS)));
        let back = u16::try_from(last_day.since(to).max(0)).ok()?;
        Some(Self::Days { back, days: u16::try_from(to.since(from) + 1).ok()? })
    }
}

/// Things that are drawn, each with its weight.
#[derive(Clone, Debug)]
pub struct Weighted<T> {
    things: Vec<T>,
    index: WeightedIndex<f64>,
}

impl<T> Weighted<T> {
    fn new(things: Vec<(T, f64)>) -> anyhow::Result<Self> {
        let index = WeightedIndex::new(things.iter().map(|(_, weight)| *weight))?;
        Ok(Self { things: things.into_iter().map(|(thing, _)| thing).collect(), index })
    }

    /// The first is drawn the most, the nth 1/n^`exponent` as often.
    fn zipf(things: Vec<T>, exponent: f64) -> anyhow::Result<Self> {
        let weight = |rank: usize| 1.0 / (rank as f64 + 1.0).powf(exponent);
        Self::new(things.into_iter().enumerate().map(|(rank, thing)| (thing, weight(rank))).collect())
    }

    /// One of them.
    pub fn draw(&self, random: &mut impl Rng) -> &T {
        &self.things[self.index.sample(random)]
    }
}

/// What is asked for how often.
#[derive(Clone, Debug)]
pub struct Popularity {
    /// Ids of stores.
    pub stores: Weighted<String>,
    /// Ranges of days.
    pub spans: Weighted<Span>,
}

impl Popularity {
    /// By Zipf's law: stores by their size, ranges as dashboards offer them.
    ///
    /// # Errors
    /// If the exponent is no number from 0 to 5.
    pub fn zipf(world: &World, exponent: f64) -> anyhow::Result<Self> {
        if !(0.0..=5.0).contains(&exponent) {
            bail!("--zipf {exponent} is not from 0 to 5; 0 asks for all stores alike, 1 is usual");
        }
        let stores = world.stores.iter().map(|store| store.store_id.clone()).collect();
        let (stores, spans) = (Weighted::zipf(stores, exponent)?, Weighted::zipf(SPANS.to_vec(), exponent)?);
        Ok(Self { stores, spans })
    }

    /// As access logs have it; of stores that are there no more, nothing counts.
    ///
    /// # Errors
    /// If a log cannot be read or names none of the stores.
    pub fn of_logs(world: &World, paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut counted = Counted::new(world);
        read_logs(paths, |request| {
            counted.add(&request);
            Ok(())
        })?;
        counted.popularity()
    }
}

/// How often each was asked for.
struct Counted<'a> {
    stores: BTreeMap<&'a str, f64>,
    spans: BTreeMap<Span, f64>,
}

impl<'a> Counted<'a> {
    fn new(world: &'a World) -> Self {
        let stores = world.stores.iter().map(|store| (store.store_id.as_str(), 0.0)).collect();
        Self { stores, spans: BTreeMap::new() }
    }

    fn add(&mut self, request: &Request) {
        let (named, from, to) = match request.question() {
            Ok(Asked::Document(ask)) => (ask.stores.into_iter().flatten().collect(), ask.from, ask.to),
            Ok(Asked::Orders(ask)) => (vec![ask.store_id], ask.from, ask.to),
            Err(_) => return,
        };
        for store in named {
            if let Some(count) = self.stores.get_mut(store.as_str()) {
                *count += 1.0;
            }
        }
        // Logs of other servers do not tell the day that dates were relative to.
        let last_day = request.last_day.or(to);
        if let Some(span) = last_day.map_or(Some(Span::Default), |day| Span::of(from, to, day)) {
            *self.spans.entry(span).or_default() += 1.0;
        }
    }

    fn popularity(self) -> anyhow::Result<Popularity> {
        let stores: Vec<(String, f64)> =
            self.stores.into_iter().filter(|(_, n)| *n > 0.0).map(|(id, n)| (id.to_owned(), n)).collect();
        if stores.is_empty() {
            bail!("the log names none of the gateway's stores; take its own log, or --zipf");
        }
        Ok(Popularity {
            stores: Weighted::new(stores)?,
            spans: Weighted::new(self.spans.into_iter().collect())?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::world::tests::{LAST_DAY, world};
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    #[test]
    fn zipf_draws_the_first_the_most() {
        let popularity = Popularity::zipf(&world(10), 1.0).unwrap();
        let mut random = SmallRng::seed_from_u64(1);
        let mut counts = BTreeMap::new();
        for _ in 0..10_000 {
            *counts.entry(popularity.stores.draw(&mut random).clone()).or_insert(0) += 1;
        }
        // 1/1, 1/2, … of a sum of 2.93.
        assert!((3_200..3_630).contains(&counts["1"]), "{counts:?}");
        assert!((1_550..1_860).contains(&counts["2"]), "{counts:?}");
        assert!(Popularity::zipf(&world(1), f64::NAN).is_err());
    }

    #[test]
    fn ranges_are_relative_to_the_last_data_day() {
        let last_day: Day = LAST_DAY.parse().unwrap();
        let text = |span: Span| span.days(last_day).map(|(from, to)| format!("{from} {to}"));
        assert_eq!(text(Span::Default), None);
        assert_eq!(text(Span::Days { back: 7, days: 7 }).as_deref(), Some("2026-02-22 2026-02-28"));
        for span in SPANS {
            let (from, to) = span.days(last_day).unzip();
            assert_eq!(Span::of(from, to, last_day), Some(span));
        }
        assert_eq!(Span::of(None, Some(last_day), last_day), Some(Span::Days { back: 0, days: 30 }));
    }

    #[test]
    fn a_log_tells_what_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let line = |path: &str, query: &str, last_day: &str| {
            format!(
                "{{\"v\":1,\"type\":\"request\",\"time\":1,\"path\":\"{path}\",\"query\":\"{query}\",\
                 \"last_day\":\"{last_day}\",\"status\":200}}\n"
            )
        };
        let text = [
            line("/v1/metrics/overview", "stores=2,gone&from=2026-01-01&to=2026-01-07", "2026-01-07"),
            line("/v1/stores/2/orders", "from=2026-01-02&to=2026-01-08", "2026-01-08"),
        ];
        std::fs::write(&path, text.concat()).unwrap();
        let popularity = Popularity::of_logs(&world(3), std::slice::from_ref(&path)).unwrap();
        assert_eq!(popularity.stores.things, ["2"]);
        assert_eq!(popularity.spans.things, [Span::Days { back: 0, days: 7 }]);
        std::fs::write(&path, line("/v1/stores", "", LAST_DAY)).unwrap();
        assert!(
            Popularity::of_logs(&world(3), &[path]).unwrap_err().to_string().contains("none of the gateway")
        );
    }
}
