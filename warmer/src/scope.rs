//! What is kept ready, as it follows from the stores and their days: which documents over all stores, which days of
//! cells and of order lines.

use std::sync::Arc;

use shared::config::Settings;
use shared::model::query::{Granularity, ProductSort, SortOrder, StoreSort};
use shared::model::{Ask, Day, DayRange, Directory, Document, Query, StoreInfo};

/// Products that the warmed lists hold: the default of the REST parameter.
const PRODUCT_LIMIT: u16 = 20;
/// Days of a default range.
const DEFAULT_DAYS: i32 = 30;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Days of cells.
    pub retention_days: i32,
    /// Share of stores with order lines.
    pub hot_share: f64,
    /// Days of order lines.
    pub order_days: i32,
}

impl Extent {
    /// From settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            retention_days: settings.retention_days,
            hot_share: settings.warm.hot_share,
            order_days: settings.warm.order_days,
        }
    }
}

/// What is kept ready of a directory. It changes when a new day begins, or a store comes or goes.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The stores.
    pub directory: Arc<Directory>,
    /// The documents over all stores, for the default range.
    pub queries: Arc<Vec<Query>>,
    /// Days of cells.
    pub retention: Option<DayRange>,
    /// Days of order lines.
    pub orders: Option<DayRange>,
    /// Days to read for a whole store: the retention, and what the documents over all stores are made of.
    pub span: Option<DayRange>,
}

impl Scope {
    /// Of a directory.
    #[must_use]
    pub fn new(directory: Arc<Directory>, extent: &Extent) -> Self {
        let queries = fleet_queries(&directory);
        let last = directory.last_day();
        let until_last = |days: i32| last.and_then(|last| DayRange::new(last.plus(1 - days), last));
        let (retention, orders) = (until_last(extent.retention_days), until_last(extent.order_days));
        let documents = queries.iter().filter_map(|query| query.needs().span());
        let span = documents
            .chain(retention)
            .chain(orders)
            .reduce(|a, b| DayRange { from: a.from.min(b.from), to: a.to.max(b.to) });
        Self { directory, queries: Arc::new(queries), retention, orders, span }
    }

    /// Whether the documents and days are the same as those of `other`, whatever the stores hold.
    #[must_use]
    pub fn same_questions(&self, other: &Self) -> bool {
        self.queries == other.queries && self.retention == other.retention && self.orders == other.orders
    }

    /// The days of which a store's cells are kept and needed: those that composing may read from the cache.
    #[must_use]
    pub fn composed(&self) -> (Option<DayRange>, Option<DayRange>) {
        let widest = |ranges: &mut dyn Iterator<Item = DayRange>| {
            ranges.reduce(|a, b| DayRange { from: a.from.min(b.from), to: a.to.max(b.to) })
        };
        let needs = || self.queries.iter().map(Query::needs);
        (
            widest(&mut needs().filter_map(|needs| needs.days)),
            widest(&mut needs().filter_map(|needs| needs.products)),
        )
    }

    /// The range of a store's own default diagnosis, which ends on its own last day.
    #[must_use]
    pub fn own_diagnosis(&self, store_id: &str) -> Option<DayRange> {
        let last = self.directory.get(store_id)?.days.last()?;
        Some(DayRange { from: last.plus(1 - DEFAULT_DAYS), to: last })
    }

    /// The largest stores by lines, ties by id; at least one if the share is above 0. They count as hot while no
    /// access log tells.
    #[must_use]
    pub fn largest(&self, share: f64) -> Vec<String> {
        let mut stores: Vec<_> = self.directory.stores().iter().collect();
        stores.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.store_id.cmp(&b.store_id)));
        let count = share_of(stores.len(), share);
        stores.into_iter().take(count).map(|store| store.store_id.clone()).collect()
    }

    /// Order lines of a store in the days of which they may be kept, about.
    #[must_use]
    pub fn order_lines(&self, store: &StoreInfo) -> u64 {
        let all = store.days.within(DayRange { from: Day::MIN, to: Day::MAX }).count() as u64;
        let kept = self.orders.map_or(0, |range| store.days.within(range).count() as u64);
        if all == 0 {
            0
        } else {
            u64::try_from(u128::from(store.lines) * u128::from(kept) / u128::from(all)).unwrap_or(u64::MAX)
        }
    }

    /// Days of `range` with lines of a store.
    #[must_use]
    pub fn days_with_lines(&self, store_id: &str, range: DayRange) -> Vec<Day> {
        self.directory.get(store_id).map(|store| store.days.within(range).collect()).unwrap_or_default()
    }
}

/// A share of a count, rounded up.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count"
)]
pub fn share_of(count: usize, share: f64) -> usize {
    (count as f64 * share).ceil() as usize
}

/// The documents over all stores that are kept ready, for the default range.
#[must_use]
pub fn fleet_documents() -> Vec<Document> {
    let mut documents = vec![Document::Overview, Document::Channels];
    documents.extend(Granularity::ALL.iter().map(|granularity| Document::Trend(*granularity)));
    documents.extend(StoreSort::ALL.iter().map(|sort| Document::StoreTable(*sort, SortOrder::Descending)));
    documents.extend(ProductSort::ALL.iter().map(|sort| Document::Products(*sort, PRODUCT_LIMIT)));
    documents.push(Document::Diagnosis);
    documents
}

fn fleet_queries(directory: &Directory) -> Vec<Query> {
    let resolve = |document| Ask::default_for(document).resolve(directory).ok();
    fleet_documents().into_iter().filter_map(resolve).collect()
}
