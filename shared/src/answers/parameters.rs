//! From a request's path and query to a question, with every bad parameter named at once. The gateway reads requests
//! with it, the warmer the access log: what one takes for a question, the other does.

use std::borrow::Cow;
use std::collections::BTreeSet;

use percent_encoding::percent_decode;
use schemars::JsonSchema;
use serde::Serialize;

use super::orders::Cursor;
use crate::model::query::{Granularity, MAX_STORES, ProductSort, SortOrder, StoreSort};
use crate::model::{Ask, ChannelFilter, Day, Document};

/// Products of a list unless told otherwise, and at most.
pub const PRODUCTS: (u16, u16) = (20, 200);
/// Lines of a page unless told otherwise, and at most.
pub const LINES: (u16, u16) = (100, 1000);
/// Parameters that do not fit of which each is told: more are not looked at, or the answer would be a hundred times the question.
const MOST_ERRORS: usize = 100;

/// One bad parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ParameterError {
    /// Which.
    pub parameter: String,
    /// What is wrong with it, and what to write instead.
    pub reason: String,
}

/// Why parameters make no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// All that do not fit.
    #[error("{} parameter(s) do not fit", .0.len())]
    Unfit(Vec<ParameterError>),
    /// So many stores are named, more than [`MAX_STORES`].
    #[error("{0} stores are named, more than {MAX_STORES}; ask in parts, or for all")]
    TooManyStores(usize),
}

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A document.
    Document(Ask),
    /// A page of raw order lines of one store.
    Orders(OrdersAsk),
}

/// A page of raw order lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrdersAsk {
    /// The store.
    pub store_id: String,
    /// First day.
    pub from: Option<Day>,
    /// Last day.
    pub to: Option<Day>,
    /// Which orders.
    pub channels: ChannelFilter,
    /// Most lines.
    pub limit: u16,
    /// Behind which line the page starts.
    pub cursor: Option<Cursor>,
}

/// The routes of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/v1/stores`
    Stores,
    /// `/v1/metrics/overview`
    Overview,
    /// `/v1/metrics/trend`
    Trend,
    /// `/v1/metrics/channels`
    Channels,
    /// `/v1/metrics/stores`
    StoreTable,
    /// `/v1/metrics/products`
    Products,
    /// `/v1/diagnosis`
    Diagnosis,
    /// `/v1/stores/{id}/orders`, the id still encoded
    Orders(String),
}

impl Route {
    /// The route of a path.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/stores" => Self::Stores,
            "/v1/metrics/overview" => Self::Overview,
            "/v1/metrics/trend" => Self::Trend,
            "/v1/metrics/channels" => Self::Channels,
            "/v1/metrics/stores" => Self::StoreTable,
            "/v1/metrics/products" => Self::Products,
            "/v1/diagnosis" => Self::Diagnosis,
            _ => {
                let id = path.strip_prefix("/v1/stores/")?.strip_suffix("/orders")?;
                if id.is_empty() || id.contains('/') {
                    return None;
                }
                Self::Orders(id.to_owned())
            }
        })
    }

    /// All routes; that of order lines for the store `{id}`.
    #[must_use]
    pub fn all() -> [Self; 8] {
        let orders = Self::Orders("{id}".to_owned());
        [
            Self::Stores,
            Self::Overview,
            Self::Trend,
            Self::Channels,
            Self::StoreTable,
            Self::Products,
            Self::Diagnosis,
            orders,
        ]
    }

    /// Its path, with `{id}` for the store.
    #[must_use]
    pub const fn template(&self) -> &'static str {
        match self {
            Self::Stores => "/v1/stores",
            Self::Overview => "/v1/metrics/overview",
            Self::Trend => "/v1/metrics/trend",
            Self::Channels => "/v1/metrics/channels",
            Self::StoreTable => "/v1/metrics/stores",
            Self::Products => "/v1/metrics/products",
            Self::Diagnosis => "/v1/diagnosis",
            Self::Orders(_) => "/v1/stores/{id}/orders",
        }
    }

    /// All kinds.
    pub const KINDS: [&str; 8] =
        ["stores", "overview", "trend", "channels", "store_table", "products", "diagnosis", "orders"];

    /// The kind of document that it leads to: the name of a [`Document`], or `orders`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Stores => "stores",
            Self::Overview => "overview",
            Self::Trend => "trend",
            Self::Channels => "channels",
            Self::StoreTable => "store_table",
            Self::Products => "products",
            Self::Diagnosis => "diagnosis",
            Self::Orders(_) => "orders",
        }
    }

    /// The parameters that it has.
    #[must_use]
    pub const fn parameters(&self) -> &'static [&'static str] {
        match self {
            Self::Stores => &[],
            Self::Overview => &["stores", "from", "to", "channel"],
            Self::Trend => &["stores", "from", "to", "channel", "granularity"],
            Self::Channels | Self::Diagnosis => &["stores", "from", "to"],
            Self::StoreTable => &["from", "to", "channel", "sort", "order"],
            Self::Products => &["stores", "from", "to", "channel", "sort", "limit"],
            Self::Orders(_) => &["from", "to", "channel", "limit", "cursor"],
        }
    }
}

/// The decoded parameters of a query string, and what is wrong with them.
#[derive(Debug)]
pub struct Parameters<'a> {
    /// Names, and values that are copied only where they are encoded: a log holds millions of them.
    values: Vec<(&'static str, Cow<'a, str>)>,
    errors: Vec<ParameterError>,
}

/// Reads a route's parameters from a query string (without its question mark).
///
/// # Errors
/// Every bad parameter; or too many stores.
pub fn read(route: &Route, query: &str) -> Result<Asked, ParametersError> {
    let mut parameters = Parameters::of(query, route.parameters());
    let stores = parameters.stores();
    let (from, to) = (parameters.day("from"), parameters.day("to"));
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        parameters.error("from", format!("{from} is after to={to}; swap them"));
    }
    let channels = parameters.channels();
    let document = match route {
        Route::Stores => Document::Stores,
        Route::Overview => Document::Overview,
        Route::Trend => Document::Trend(parameters.choice(
            "granularity",
            Granularity::ALL,
            Granularity::as_str,
            Granularity::Day,
        )),
        Route::Channels => Document::Channels,
        Route::StoreTable => {
            let sort = parameters.choice("sort", StoreSort::ALL, StoreSort::as_str, StoreSort::Sales);
            let order = parameters.choice("order", SortOrder::ALL, SortOrder::as_str, SortOrder::Descending);
            Document::StoreTable(sort, order)
        }
        Route::Products => {
            let sort = parameters.choice("sort", ProductSort::ALL, ProductSort::as_str, ProductSort::Units);
            Document::Products(sort, parameters.limit(PRODUCTS))
        }
        Route::Diagnosis => Document::Diagnosis,
        Route::Orders(id) => {
            let limit = parameters.limit(LINES);
            let cursor = parameters.cursor();
            let store_id = decode(id, false).map(Cow::into_owned);
            if store_id.is_none() {
                parameters.error("id", "is not UTF-8 after percent-decoding".to_owned());
            }
            parameters.finish()?;
            let store_id = store_id.unwrap_or_default();
            return Ok(Asked::Orders(OrdersAsk { store_id, from, to, channels, limit, cursor }));
        }
    };
    parameters.finish()?;
    if let Some(stores) = stores.as_ref().filter(|stores| stores.len() > MAX_STORES) {
        return Err(ParametersError::TooManyStores(stores.len()));
    }
    Ok(Asked::Document(Ask { document, stores, from, to, channels }))
}

impl<'a> Parameters<'a> {
    /// Those of a query string (without its question mark), of which these are known.
    #[must_use]
    pub fn of(query: &'a str, known: &[&'static str]) -> Self {
        let mut parameters = Self { values: Vec::with_capacity(known.len()), errors: Vec::new() };
        parameters.decode(query, known);
        parameters
    }

    /// Notes what is wrong with a parameter, and what to write instead.
    pub fn error(&mut self, parameter: &str, reason: String) {
        self.errors.push(ParameterError { parameter: parameter.to_owned(), reason });
    }

    /// Whether all of them fit.
    ///
    /// # Errors
    /// Every bad parameter.
    pub fn finish(&mut self) -> Result<(), ParametersError> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(ParametersError::Unfit(std::mem::take(&mut self.errors)))
        }
    }

    fn decode(&mut self, query: &'a str, known: &[&'static str]) {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if self.errors.len() >= MOST_ERRORS {
                break;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decode(name, true) else {
                self.error(name, "is not UTF-8 after percent-decoding".to_owned());
                continue;
            };
            let Some(name) = known.iter().find(|known| **known == name) else {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                self.error(&name, format!("there is no such parameter here; known: {known}"));
                continue;
            };
            match decode(value, true) {
                Some(value) => self.values.push((name, value)),
                None => self.error(name, "is not UTF-8 after percent-decoding".to_owned()),
            }
        }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &Cow<'a, str>> {
        self.values.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The value of a parameter that may be given once.
    pub fn one(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.all(name).next()?.clone();
        if self.all(name).nth(1).is_some() {
            self.error(name, "is given more than once".to_owned());
        }
        Some(value)
    }

    fn day(&mut self, name: &str) -> Option<Day> {
        let text = self.one(name)?;
        match text.parse() {
            Ok(day) => Some(day),
            Err(error) => {
                self.error(name, format!("{text:?} is {error}"));
                None
            }
        }
    }

    /// One of several values by their texts.
    pub fn choice<T: Copy>(&mut self, name: &str, all: &[T], text: fn(T) -> &'static str, default: T) -> T {
        let Some(given) = self.one(name) else { return default };
        if let Some(value) = all.iter().find(|value| text(**value) == given) {
            return *value;
        }
        let names: Vec<&str> = all.iter().map(|value| text(*value)).collect();
        self.error(name, format!("{given:?} is none of {}", names.join(", ")));
        default
    }

    fn limit(&mut self, bounds: (u16, u16)) -> u16 {
        self.number("limit", bounds)
    }

    /// A whole number from 1 to `most`.
    pub fn number(&mut self, name: &str, (default, most): (u16, u16)) -> u16 {
        let Some(text) = self.one(name) else { return default };
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u16>() {
            Ok(number) if plain && (1..=most).contains(&number) => number,
            _ => {
                self.error(name, format!("{text:?} is not a whole number from 1 to {most}"));
                default
            }
        }
    }

    fn cursor(&mut self) -> Option<Cursor> {
        let text = self.one("cursor")?;
        match text.parse() {
            Ok(cursor) => Some(cursor),
            Err(error) => {
                self.error("cursor", format!("{text:?} is {error}"));
                None
            }
        }
    }

    /// The ids that `stores` names, if it is given.
    pub fn stores(&mut self) -> Option<BTreeSet<String>> {
        self.all("stores").next()?;
        let mut ids = BTreeSet::new();
        // One by one: a log asks for a few stores a million times, and collecting sorts through a list of its own.
        for id in self.all("stores").flat_map(|value| value.split(',')) {
            ids.insert(id.to_owned());
        }
        if ids.contains("") {
            self.error(
                "stores",
                "names an empty id; leave the parameter out to ask for all stores".to_owned(),
            );
        }
        Some(ids)
    }

    fn channels(&self) -> ChannelFilter {
        let channels: BTreeSet<String> =
            self.all("channel").map(|value| value.clone().into_owned()).collect();
        if channels.is_empty() { ChannelFilter::All } else { ChannelFilter::Only(channels) }
    }
}

/// Percent-decoding; in a query a plus is a blank.
fn decode(text: &str, plus_is_blank: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || plus_is_blank && byte == b'+') {
        return Some(Cow::Borrowed(text));
    }
    let bytes: Vec<u8> =
        text.bytes().map(|byte| if plus_is_blank && byte == b'+' { b' ' } else { byte }).collect();
    percent_decode(&bytes).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_every_bad_parameter() {
        let query = "from=2026-02-29&to=x&limit=0&sort=price&foo=1&stores=a,,b&from=2026-01-01&channel=%ff";
        let ParametersError::Unfit(errors) = read(&Route::Products, query).unwrap_err() else { panic!() };
        let mut names: Vec<&str> = errors.iter().map(|error| error.parameter.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["channel", "foo", "from", "from", "limit", "sort", "stores", "to"]);
    }

    #[test]
    fn of_very_many_bad_parameters_some_are_named() {
        let query = "x&".repeat(10_000);
        let Err(ParametersError::Unfit(errors)) = read(&Route::Overview, &query) else { panic!() };
        assert_eq!(errors.len(), MOST_ERRORS);
    }

    #[test]
    fn order_and_repeats_of_stores_have_no_meaning() {
        let read = |query| read(&Route::Overview, query).unwrap();
        assert_eq!(read("stores=b,a&stores=a"), read("stores=a,b"));
        assert_ne!(read("channel="), read(""));
        let Asked::Document(ask) = read("stores=%E9%97%A8%E5%BA%97%3A1,a%2Bb,a+b") else { panic!() };
        assert_eq!(ask.stores.unwrap(), ["a b", "a+b", "门店:1"].map(str::to_owned).into());
    }

    #[test]
    fn kinds_are_the_names_of_documents() {
        let (documents, orders) = (Route::all().into_iter().take(7), Route::all().into_iter().next_back());
        assert_eq!(orders.unwrap().kind(), "orders");
        for route in documents {
            assert_eq!(Route::of(route.template()), Some(route.clone()));
            let Asked::Document(ask) = read(&route, "").unwrap() else { panic!() };
            assert_eq!(ask.document.name(), route.kind());
            assert!(Route::KINDS.contains(&route.kind()));
        }
        assert_eq!(Route::all().map(|route| route.kind()), Route::KINDS);
    }

    #[test]
    fn finds_routes() {
        assert_eq!(Route::of("/v1/stores/a%2Fb/orders"), Some(Route::Orders("a%2Fb".into())));
        for path in ["/v1/stores//orders", "/v1/stores/a/b/orders", "/v1/stores/", "/v1/metrics", "/"] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
