//! Who asks what: sessions of people at dashboards, as pages that are looked at one after the other.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use clap::ValueEnum;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rand::Rng;
use serde::Serialize;
use shared::answers::parameters::Route;

use super::popularity::{Popularity, Span};
use super::world::World;

/// What need not be encoded in a parameter.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Of sessions in `mixed`, those of head office, in percent.
const OFFICE_PERCENT: u32 = 10;
/// Of managers, those with several stores, in percent.
const REGIONAL_PERCENT: u32 = 20;
/// Of opened dashboards, those that are looked at once more in the end, in percent.
const REFRESH_PERCENT: u32 = 30;

/// Kind of a request that is no question.
pub const OTHER: &str = "other";
/// Kind of a wish for fresh figures.
pub const REFRESH: &str = "refresh";
const REFRESH_PATH: &str = "/v1/refresh";

/// Who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// Managers of one store or a few.
    Manager,
    /// Head office, about all stores.
    Office,
    /// Nine managers for one of head office.
    #[default]
    Mixed,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Kind of the question ([`Route::kind`]), [`REFRESH`] or [`OTHER`].
    pub kind: &'static str,
    /// Path with query.
    pub path: Arc<str>,
    /// The body of a wish for fresh figures; what has none is a GET.
    pub wish: Option<Bytes>,
}

impl Ask {
    /// Of any path with query.
    #[must_use]
    pub fn new(path: &str) -> Self {
        let route = Route::of(path.split_once('?').map_or(path, |(path, _)| path));
        Self { kind: route.map_or(OTHER, |route| route.kind()), path: path.into(), wish: None }
    }

    /// A wish for fresh figures of these stores.
    fn refresh(stores: &[&str]) -> Self {
        let wish = serde_json::json!({ "stores": stores }).to_string();
        Self { kind: REFRESH, path: REFRESH_PATH.into(), wish: Some(wish.into()) }
    }
}

/// Requests of one page: a browser sends them together.
pub type Page = Vec<Ask>;

/// Makes sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// People.
    People { scenario: Scenario, world: World, popularity: Popularity, wishes: u32 },
    /// Given paths, each a page of its own.
    Paths(Vec<Ask>),
}

impl Sessions {
    /// Of people; of managers, `wishes` percent ask for fresh figures.
    #[must_use]
    pub fn of_people(scenario: Scenario, world: World, popularity: Popularity, wishes: u32) -> Self {
        Self { what: What::People { scenario, world, popularity, wishes } }
    }

    /// That ask for given paths, one after the other.
    #[must_use]
    pub fn of_paths(paths: &[String]) -> Self {
        Self { what: What::Paths(paths.iter().map(|path| Ask::new(path)).collect()) }
    }

    /// The pages that somebody looks at, in order.
    pub fn next(&self, random: &mut impl Rng) -> Vec<Page> {
        match &self.what {
            What::Paths(paths) => paths.iter().map(|ask| vec![ask.clone()]).collect(),
            What::People { scenario, world, popularity, wishes } => {
                let office = match scenario {
                    Scenario::Manager => false,
                    Scenario::Office => true,
                    Scenario::Mixed => percent(random, OFFICE_PERCENT),
                };
                let session = Session { world, popularity, wishes: *wishes };
                if office { session.of_office(random) } else { session.of_manager(random) }
            }
        }
    }
}

fn percent(random: &mut impl Rng, of: u32) -> bool {
    random.random_range(0..100) < of
}

/// One person at a dashboard.
struct Session<'a> {
    world: &'a World,
    popularity: &'a Popularity,
    wishes: u32,
}

impl Session<'_> {
    /// A path with parameters; those without a value are left out.
    fn ask(&self, route: &Route, parameters: &[(&str, &str)], span: Span) -> Ask {
        let mut path = route.template().to_owned();
        if let Route::Orders(id) = route {
            path = format!("/v1/stores/{id}/orders");
        }
        let days = span.days(self.world.last_day).map(|(from, to)| (from.to_string(), to.to_string()));
        let days = days.iter().flat_map(|(from, to)| [("from", from.as_str()), ("to", to.as_str())]);
        let given = parameters.iter().copied().chain(days).filter(|(_, value)| !value.is_empty());
        for (number, (name, value)) in given.enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            // Writing to a text cannot fail.
            let _ = write!(path, "{mark}{name}={value}");
        }
        Ask { kind: route.kind(), path: path.into(), wish: None }
    }

    /// The stores of one manager, at least one.
    fn own_stores(&self, random: &mut impl Rng) -> Vec<&str> {
        let count = if percent(random, REGIONAL_PERCENT) { random.random_range(2..=5) } else { 1 };
        let mut ids: Vec<&str> = Vec::new();
        // Stores that come twice are left out: a region is a few different ones.
        for _ in 0..count {
            let id = self.popularity.stores.draw(random).as_str();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// Opens his dashboard, looks into causes, then at raw lines; some look at the first page once
    /// more, and who asked for fresh figures does.
    fn of_manager(&self, random: &mut impl Rng) -> Vec<Page> {
        let own = self.own_stores(random);
        let encoded: Vec<String> =
            own.iter().map(|id| utf8_percent_encode(id, ENCODED).to_string()).collect();
        let (stores, first) = (encoded.join(","), encoded[0].clone());
        let span = *self.popularity.spans.draw(random);
        let of = |route: Route, span: Span| self.ask(&route, &[("stores", &stores)], span);
        let opened = vec![
            self.ask(&Route::Stores, &[], Span::Default),
            of(Route::Overview, span),
            of(Route::Trend, span),
        ];
        let sort = ["units", "sales", "profit", "loss"][random.random_range(0..4)];
        let mut pages = vec![
            opened.clone(),
            vec![of(Route::Diagnosis, Span::Default)],
            vec![
                of(Route::Channels, span),
                self.ask(&Route::Products, &[("stores", &stores), ("sort", sort)], span),
            ],
        ];
        if percent(random, 50) {
            pages.push(vec![self.ask(&Route::Orders(first), &[], Span::Default)]);
        }
        let wishes = percent(random, self.wishes);
        if wishes {
            pages.push(vec![Ask::refresh(&own)]);
        }
        if wishes || percent(random, REFRESH_PERCENT) {
            pages.push(opened);
        }
        pages
    }

    /// Opens the table of stores, sorts it otherwise, compares weeks, and looks at the products of all.
    fn of_office(&self, random: &mut impl Rng) -> Vec<Page> {
        let span = *self.popularity.spans.draw(random);
        let all = |route: Route, span: Span| self.ask(&route, &[], span);
        let sort = ["sales", "profit", "profit_rate", "orders"][random.random_range(0..4)];
        let order = ["desc", "asc"][random.random_range(0..2)];
        let opened =
            vec![all(Route::Stores, Span::Default), all(Route::Overview, span), all(Route::StoreTable, span)];
        let week = |back| Span::Days { back, days: 7 };
        let mut pages = vec![
            opened.clone(),
            vec![self.ask(&Route::StoreTable, &[("sort", sort), ("order", order)], span)],
            vec![
                all(Route::Overview, week(0)),
                all(Route::Overview, week(7)),
                self.ask(&Route::Trend, &[("granularity", "week")], Span::Days { back: 0, days: 28 }),
            ],
            vec![all(Route::Diagnosis, Span::Default), all(Route::Products, span)],
        ];
        if percent(random, REFRESH_PERCENT) {
            pages.push(opened);
        }
        pages
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use super::super::world::tests::world;
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;
    use shared::answers::parameters;

    fn sessions(scenario: Scenario, count: usize) -> Vec<Vec<Page>> {
        let world = world(20);
        let popularity = Popularity::zipf(&world, 1.0).unwrap();
        let sessions = Sessions::of_people(scenario, world, popularity, 0);
        let mut random = SmallRng::seed_from_u64(7);
        (0..count).map(|_| sessions.next(&mut random)).collect()
    }

    #[test]
    fn every_request_is_a_question_of_its_kind() {
        let mut kinds = BTreeSet::new();
        for ask in sessions(Scenario::Mixed, 500).into_iter().flatten().flatten() {
            let (path, query) = ask.path.split_once('?').unwrap_or((&ask.path, ""));
            let route = Route::of(path).unwrap();
            assert!(parameters::read(&route, query).is_ok(), "{}", ask.path);
            assert_eq!((route.kind(), Ask::new(&ask.path)), (ask.kind, ask.clone()));
            kinds.insert(ask.kind);
        }
        assert_eq!(kinds, BTreeSet::from(Route::KINDS));
    }

    #[test]
    fn a_seed_makes_the_same_sessions() {
        assert_eq!(sessions(Scenario::Mixed, 50), sessions(Scenario::Mixed, 50));
    }

    #[test]
    fn managers_ask_for_their_stores_and_head_office_for_all() {
        for session in sessions(Scenario::Manager, 100) {
            let kinds: Vec<Vec<&str>> =
                session.iter().map(|page| page.iter().map(|ask| ask.kind).collect()).collect();
            assert_eq!(kinds[0], ["stores", "overview", "trend"]);
            assert_eq!((&kinds[1][..], &kinds[2][..]), (&["diagnosis"][..], &["channels", "products"][..]));
            // The same stores all the way.
            let stores: BTreeSet<String> = session
                .iter()
                .flatten()
                .filter_map(|ask| Some(ask.path.split_once("stores=")?.1.split('&').next()?.to_owned()))
                .collect();
            assert_eq!(stores.len(), 1, "{stores:?}");
        }
        let refreshed =
            sessions(Scenario::Manager, 200).iter().filter(|s| s.len() > 1 && s.first() == s.last()).count();
        assert!((30..90).contains(&refreshed), "{refreshed} of 200");
        for session in sessions(Scenario::Office, 100) {
            assert!(session.iter().flatten().all(|ask| !ask.path.contains("stores=")));
            assert!(session[0].iter().any(|ask| ask.kind == "store_table"));
        }
    }

    #[test]
    fn names_of_stores_are_encoded() {
        let mut world = world(1);
        world.stores[0].store_id = "门/店 1&".to_owned();
        let popularity = Popularity::zipf(&world, 1.0).unwrap();
        let pages = Sessions::of_people(Scenario::Manager, world, popularity, 100)
            .next(&mut SmallRng::seed_from_u64(1));
        for ask in pages.iter().flatten() {
            assert!(ask.path.is_ascii() && !ask.path.contains(' '), "{}", ask.path);
        }
        // In a body of JSON they are as they are.
        let wish = pages.iter().flatten().find_map(|ask| ask.wish.clone()).unwrap();
        assert_eq!(&wish[..], r#"{"stores":["门/店 1&"]}"#.as_bytes());
        assert!(pages[0][1].path.contains("stores=%E9%97%A8%2F%E5%BA%97%201%26"), "{}", pages[0][1].path);
    }
}
