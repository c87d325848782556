//! Composition: what one store contributes to a document, the merge of contributions, and the document.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::documents::{
    Change, ChannelRow, Channels, MetricsDocument, Overview, Products, Trend, TrendBucket, profit_rate,
};
use super::store_table::{self, StoreWindows};
use super::top_products::{self, TopProduct};
use crate::diagnosis::{self, Partial, StoreProducts};
use crate::metrics::change::{Exact, change_percent};
use crate::metrics::{self, ActiveDays, Metrics, StoreDays};
use crate::model::number::Decimal;
use crate::model::query::{Document, Granularity, Query};
use crate::model::version::DataVersion;
use crate::model::{ChannelFilter, Day, DayRange, Directory};

/// The cells of one store that a question needs. Days without lines may be left out.
#[derive(Clone, Debug, Default)]
pub struct StoreData {
    /// Day cells.
    pub days: StoreDays,
    /// Product cells.
    pub products: StoreProducts,
    /// Content version of each day with lines of which any cell is here.
    pub versions: BTreeMap<Day, DataVersion>,
}

/// What some stores contribute to a document. Merging is associative, and the same in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    content: Content,
    version: DataVersion,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Overview { current: Box<Metrics>, previous: Box<Metrics> },
    Trend(Vec<Metrics>),
    Channels(BTreeMap<String, Metrics>),
    StoreTable(Vec<StoreWindows>),
    Products(Vec<TopProduct>),
    Diagnosis(Box<Partial>),
    Nothing,
}

/// A document's `data`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "one for each document")]
pub enum Data {
    Stores(super::documents::StoreList),
    Overview(Box<Overview>),
    Trend(Trend),
    Channels(Channels),
    StoreTable(Box<super::documents::StoreTable>),
    Products(Products),
    Diagnosis(Box<super::documents::Diagnosis>),
    Orders(super::documents::OrderPage),
}

impl Part {
    /// The part of a question to which no store contributes.
    #[must_use]
    pub fn empty() -> Self {
        Self { content: Content::Nothing, version: DataVersion::default() }
    }

    /// What one store contributes, from its cells.
    #[must_use]
    pub fn of_store(query: &Query, store_id: &str, data: &StoreData) -> Self {
        Work::new(store_id, data).part(query)
    }

    /// What one store contributes to a diagnosis, from its stored partial.
    #[must_use]
    pub fn of_partial(partial: Partial, version: DataVersion) -> Self {
        Self { content: Content::Diagnosis(Box::new(partial)), version }
    }

    /// The partial of a diagnosis and its version, if it is one.
    #[must_use]
    pub fn as_partial(&self) -> Option<(&Partial, DataVersion)> {
        match &self.content {
            Content::Diagnosis(partial) => Some((partial, self.version)),
            _ => None,
        }
    }

    /// Version of the data it is made of.
    #[must_use]
    pub fn version(&self) -> DataVersion {
        self.version
    }

    /// Adds the part of other stores to the same question.
    pub fn merge(&mut self, other: Self, query: &Query) {
        self.version += other.version;
        match (&mut self.content, other.content) {
            (mine @ Content::Nothing, theirs) => *mine = theirs,
            (
                Content::Overview { current, previous },
                Content::Overview { current: their_current, previous: their_previous },
            ) => {
                **current += &their_current;
                **previous += &their_previous;
            }
            (Content::Trend(mine), Content::Trend(theirs)) => {
                for (mine, theirs) in mine.iter_mut().zip(&theirs) {
                    *mine += theirs;
                }
            }
            (Content::Channels(mine), Content::Channels(theirs)) => {
                for (channel, metrics) in theirs {
                    *mine.entry(channel).or_default() += &metrics;
                }
            }
            (Content::StoreTable(mine), Content::StoreTable(theirs)) => mine.extend(theirs),
            (Content::Products(mine), Content::Products(theirs)) => {
                mine.extend(theirs);
                if let Document::Products(sort, limit) = query.document {
                    top_products::sort_and_cut(mine, sort, limit);
                }
            }
            (Content::Diagnosis(mine), Content::Diagnosis(theirs)) => mine.merge(*theirs),
            // Parts of one question are of one kind, or nothing.
            _ => {}
        }
    }

    /// The document.
    #[must_use]
    pub fn finish(self, query: &Query, directory: &Directory) -> Data {
        let range = query.range;
        match (query.document, self.content) {
            (Document::Stores, _) => Data::Stores(store_table::list(query, directory)),
            (Document::Overview, Content::Overview { current, previous }) => {
                Data::Overview(Box::new(overview(&current, &previous, range)))
            }
            (Document::Overview, _) => {
                Data::Overview(Box::new(overview(&Metrics::default(), &Metrics::default(), range)))
            }
            (Document::Trend(granularity), content) => {
                let values = if let Content::Trend(values) = content { values } else { Vec::new() };
                Data::Trend(trend(values, range, granularity))
            }
            (Document::Channels, Content::Channels(channels)) => Data::Channels(channels_document(&channels)),
            (Document::Channels, _) => Data::Channels(Channels::default()),
            (Document::StoreTable(sort, order), content) => {
                let rows = if let Content::StoreTable(rows) = content { rows } else { Vec::new() };
                Data::StoreTable(Box::new(store_table::document(&rows, directory, sort, order)))
            }
            (Document::Products(..), content) => {
                let products = if let Content::Products(products) = content { products } else { Vec::new() };
                Data::Products(Products { products: products.into_iter().map(TopProduct::finish).collect() })
            }
            (Document::Diagnosis, content) => {
                let partial =
                    if let Content::Diagnosis(partial) = content { *partial } else { Partial::default() };
                Data::Diagnosis(Box::new(partial.finish(query.diagnosis)))
            }
        }
    }
}

/// One store's cells with what several questions about them share: numbered products, metrics of windows, product
/// totals. Keeps the last of each, so ask questions of one range after another.
pub struct Work<'a> {
    store_id: &'a str,
    data: &'a StoreData,
    active: OnceCell<ActiveDays>,
    windows: Option<(DayRange, ChannelFilter, Metrics, Metrics)>,
    products: Option<(DayRange, ChannelFilter, Vec<TopProduct>)>,
}

impl<'a> Work<'a> {
    /// For the questions about one store.
    #[must_use]
    pub fn new(store_id: &'a str, data: &'a StoreData) -> Self {
        Self { store_id, data, active: OnceCell::new(), windows: None, products: None }
    }

    /// What the store contributes to `query`.
    #[must_use]
    pub fn part(&mut self, query: &Query) -> Part {
        let Some(range) = query.range else { return Part::empty() };
        let (store_id, data) = (self.store_id, self.data);
        let filter = &query.channels;
        let content = match query.document {
            Document::Stores => Content::Nothing,
            Document::Overview => {
                let (current, previous) = self.windows(range, filter);
                Content::Overview { current: Box::new(current), previous: Box::new(previous) }
            }
            Document::Trend(granularity) => {
                let active = self.active();
                let over = |bucket: (Day, DayRange)| metrics::metrics(&data.days, active, bucket.1, filter);
                Content::Trend(buckets(range, granularity).map(over).collect())
            }
            Document::Channels => Content::Channels(metrics::by_channel(&data.days, self.active(), range)),
            Document::StoreTable(..) => {
                let (current, previous) = self.windows(range, filter);
                Content::StoreTable(vec![StoreWindows { store_id: store_id.to_owned(), current, previous }])
            }
            Document::Products(sort, limit) => {
                let mut products = self.products(range, filter).clone();
                top_products::sort_and_cut(&mut products, sort, limit);
                Content::Products(products)
            }
            Document::Diagnosis => match query.diagnosis {
                Some(range) => Content::Diagnosis(Box::new(diagnosis::partial(
                    store_id,
                    &data.days,
                    &data.products,
                    range,
                ))),
                None => Content::Nothing,
            },
        };
        Part { content, version: version_over(query, store_id, data) }
    }

    fn active(&self) -> &ActiveDays {
        self.active.get_or_init(|| ActiveDays::new(&self.data.days))
    }

    /// Metrics of a range and of the window before it.
    fn windows(&mut self, range: DayRange, filter: &ChannelFilter) -> (Metrics, Metrics) {
        if let Some((known, of, current, previous)) = &self.windows
            && (*known, of) == (range, filter)
        {
            return (current.clone(), previous.clone());
        }
        let over = |range| metrics::metrics(&self.data.days, self.active(), range, filter);
        let (current, previous) = (over(range), over(range.previous()));
        self.windows = Some((range, filter.clone(), current.clone(), previous.clone()));
        (current, previous)
    }

    fn products(&mut self, range: DayRange, filter: &ChannelFilter) -> &Vec<TopProduct> {
        let known = matches!(&self.products, Some((known, of, _)) if (*known, of) == (range, filter));
        let products = if known { self.products.take() } else { None };
        let products = products.unwrap_or_else(|| {
            let products = top_products::of_store(self.store_id, &self.data.products, range, filter);
            (range, filter.clone(), products)
        });
        &self.products.insert(products).2
    }
}

/// The version of what a document is made of: each store-day of its range that has lines.
fn version_over(query: &Query, store_id: &str, data: &StoreData) -> DataVersion {
    let Some(span) = query.needs().span() else { return DataVersion::default() };
    data.versions.range(span.from..=span.to).map(|(day, version)| version.placed(store_id, *day)).sum()
}

/// The calendar buckets that meet the range, with the days of the range in each.
fn buckets(range: DayRange, granularity: Granularity) -> impl Iterator<Item = (Day, DayRange)> {
    let start_of = move |day: Day| match granularity {
        Granularity::Day => day,
        Granularity::Week => day.monday(),
        Granularity::Month => day.first_of_month(),
    };
    let end_of = move |start: Day| match granularity {
        Granularity::Day => start,
        Granularity::Week => start.plus(6),
        Granularity::Month => start.first_of_next_month().plus(-1),
    };
    std::iter::successors(Some(start_of(range.from)), move |start| {
        let next = end_of(*start).plus(1);
        (next <= range.to).then_some(next)
    })
    .filter_map(move |start| {
        DayRange::new(start, end_of(start))
            .and_then(|bucket| bucket.intersect(range))
            .map(|days| (start, days))
    })
}

fn trend(values: Vec<Metrics>, range: Option<DayRange>, granularity: Granularity) -> Trend {
    let Some(range) = range else { return Trend::default() };
    let values = values.into_iter().chain(std::iter::repeat_with(Metrics::default));
    let bucket = |((start, _), metrics): ((Day, DayRange), Metrics)| TrendBucket::new(start, &metrics);
    Trend { buckets: buckets(range, granularity).zip(values).map(bucket).collect() }
}

fn overview(current: &Metrics, previous: &Metrics, range: Option<DayRange>) -> Overview {
    Overview {
        current: MetricsDocument::new(current),
        previous: MetricsDocument::new(previous),
        change: change(current, previous),
        previous_from: range.map(|range| range.previous().from),
        previous_to: range.map(|range| range.previous().to),
    }
}

/// Change of the main metrics from `previous` to `current`.
pub(super) fn change(current: &Metrics, previous: &Metrics) -> Change {
    let (now, before) = (&current.sums, &previous.sums);
    let percent = |now: Exact, before: Exact| Decimal(change_percent(now, before));
    let whole = |now: i128, before: i128| percent(Exact::whole(now), Exact::whole(before));
    let average = |sums: &crate::cells::Sums| Exact::ratio(sums.sales.0, i128::from(sums.orders));
    Change {
        orders: whole(i128::from(now.orders), i128::from(before.orders)),
        sales: whole(now.sales.0, before.sales.0),
        profit: whole(now.profit.0, before.profit.0),
        average_order_value: percent(average(now), average(before)),
        profit_rate: Decimal(profit_rate(current).0 - profit_rate(previous).0),
        gmv: whole(now.gmv.0, before.gmv.0),
        marketing_cost: whole(now.marketing_cost.0, before.marketing_cost.0),
    }
}

fn channels_document(channels: &BTreeMap<String, Metrics>) -> Channels {
    let orders: u64 = channels.values().map(|metrics| metrics.sums.orders).sum();
    let sales: i128 = channels.values().map(|metrics| metrics.sums.sales.0).sum();
    let mut rows: Vec<ChannelRow> = channels
        .iter()
        .map(|(channel, metrics)| {
            let order_share = Decimal::percent(i128::from(metrics.sums.orders), i128::from(orders));
            let sales_share = Decimal::percent(metrics.sums.sales.0, sales);
            ChannelRow::new(channel.clone(), metrics, order_share, sales_share)
        })
        .collect();
    // The map ascends by name, and the sort is stable.
    rows.sort_by_key(|row| std::cmp::Reverse(row.orders));
    Channels { channels: rows }
}

/// Whether a question can be answered by stored partials alone.
#[must_use]
pub fn takes_partials(query: &Query) -> bool {
    query.document == Document::Diagnosis && query.channels == ChannelFilter::All
}
