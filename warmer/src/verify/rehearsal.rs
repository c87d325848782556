//! A rehearsal on the real servers: one store is made ready under keys of its own, read back level by level, damaged,
//! changed, written by somebody who may not, and removed again.

mod safety;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use shared::answers::{Part, StoreData};
use shared::cache::levels::Stored;
use shared::cache::{Cache, Levels, Patience, Read, RedisCache, StoredAnswer, Write};
use shared::cells::{build_store_day, partition};
use shared::config::Settings;
use shared::entry;
use shared::keys::{Keys, Slot};
use shared::model::{Day, DayRange, Document, Lines, Query};
use shared::runtime::ComputePool;
use shared::source::postgres::PostgresSource;
use shared::source::{Columns, ReadRequest, Source};
use shared::verify::Report;

use super::over;
use crate::fleet::write_documents;
use crate::scope::{Extent, Scope};
use crate::store::{StoreJob, warm_whole};
use crate::warming::{WarmError, Warming};

/// Days of cells and of order lines.
const DAYS: i32 = 7;
/// How long a change may take to be told.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the lines are written and compared: in a shop that is open some may come in between.
const TRIES: usize = 3;
/// Keys that are removed at the end, at most.
const MOST_KEYS: usize = 10_000;

const WRITE: &str = "cache.write";
/// Names of the checks of the levels.
pub(super) const CHECKS: [&str; 10] = [
    WRITE,
    "cache.orders",
    "cache.cells",
    "cache.partial",
    "cache.answer",
    "cache.ready",
    "cache.expiry",
    "cache.damage",
    "cache.change",
    "cache.fence",
];

/// What was seen, or what is wrong.
type Seen = Result<String, String>;

/// What a rehearsal works on.
struct Stage {
    warming: Warming,
    redis: RedisCache,
    scope: Scope,
    store: String,
    /// The store's cells, as they are composed from Redis.
    data: StoreData,
}

/// Makes the checks.
pub(super) async fn rehearse(
    report: &mut Report,
    settings: &Settings,
    redis: &RedisCache,
    source: PostgresSource,
    store: &str,
) {
    let prefix = format!("{}:", Keys::new(&settings.prefix).proof(&crate::lease::owner()));
    let outcome = on_stage(report, settings, redis, source, store, &prefix).await;
    if let Err(error) = outcome {
        report.fail(
            WRITE,
            format!("store {store}: {error}"),
            "see what the message names, then run this again",
        );
        report.skip(&CHECKS[1..], "cache.write failed");
    }
    if let Err(what) = clear(redis, &prefix).await {
        tracing::warn!(
            error = what,
            prefix,
            "what was written to be read again could not be removed; it expires by itself"
        );
    }
}

async fn on_stage(
    report: &mut Report,
    settings: &Settings,
    redis: &RedisCache,
    source: PostgresSource,
    store: &str,
    prefix: &str,
) -> Result<(), WarmError> {
    let directory = source.store_info(&[store.to_owned()]).await?;
    let scope =
        Scope::new(Arc::new(directory), &Extent { retention_days: DAYS, hot_share: 1.0, order_days: DAYS });
    let rules = settings.rules.fingerprint();
    let levels = Levels::new(over(redis), Keys::new(prefix), rules, settings.ttl, settings.max_inflated);
    let compute = ComputePool::new(1, 1).map_err(|_| shared::runtime::Busy)?;
    let warming = Warming::new(settings, Source::Postgres(source), levels, compute);
    let mut stage =
        Stage { warming, redis: redis.clone(), scope, store: store.to_owned(), data: StoreData::default() };
    let mut written = stage.write_all().await?;
    let mut orders = stage.orders().await;
    for _ in 1..TRIES {
        if orders.is_ok() {
            break;
        }
        written = stage.write_all().await?;
        orders = stage.orders().await;
    }
    report.pass(WRITE, written);
    stage.check(report, orders).await;
    Ok(())
}

/// The store's cells of the days that are kept.
async fn composed(levels: &Levels, scope: &Scope, store: &str) -> StoreData {
    let read = levels.read_store(store, scope.retention, scope.retention, &BTreeSet::new()).await;
    read.hit().and_then(|stored| levels.decode_store(&stored)).unwrap_or_default()
}

impl Stage {
    /// Reads the store and writes all of it; gives what was done.
    async fn write_all(&mut self) -> Result<String, WarmError> {
        let (store_id, scope) = (self.store.clone(), self.scope.clone());
        let job = StoreJob { store_id, scope, orders: true, before: None };
        let warmed = warm_whole(&self.warming, job, Vec::new()).await?;
        let all = Arc::new(self.scope.queries.iter().map(Query::canonical).collect::<BTreeSet<_>>());
        let mut counts = warmed.counts;
        counts.extend(write_documents(&self.warming, &self.scope, warmed.parts, all).await?);
        let (entries, bytes) =
            counts.iter().fold((0, 0), |sum, level| (sum.0 + level.entries, sum.1 + level.bytes));
        self.data = composed(self.levels(), &self.scope, &self.store).await;
        Ok(format!(
            "store {}: {} lines read in {} ms, {entries} entries of {bytes} bytes written",
            self.store,
            warmed.lines_read,
            warmed.steps.read.as_millis()
        ))
    }

    /// Makes the checks of what was written; `orders` is what came of the lines.
    async fn check(&self, report: &mut Report, orders: Seen) {
        let remedy = "see that nobody else writes under redis.prefix, and that redis.url leads to one primary server; if so, \
                      report it with this output";
        let checks = [
            orders,
            self.cells().await,
            self.partial().await,
            self.answer().await,
            self.ready().await,
            self.expiry().await,
            self.damage().await,
            self.change().await,
            self.fence().await,
        ];
        for (name, seen) in CHECKS[1..].iter().zip(checks) {
            match seen {
                Ok(seen) => report.pass(name, seen),
                Err(what) => report.fail(name, what, remedy),
            }
        }
    }

    fn levels(&self) -> &Levels {
        &self.warming.levels
    }

    /// Days of which lines are kept.
    fn days(&self) -> Vec<Day> {
        self.scope.orders.map(|range| self.scope.days_with_lines(&self.store, range)).unwrap_or_default()
    }

    /// What lies in a slot.
    async fn stored(&self, slot: Slot) -> Result<Bytes, String> {
        let key = slot.key.clone();
        match self.levels().cache().read(&[slot], Patience::Bulk).await.pop() {
            Some(Read::Hit(bytes)) => Ok(bytes),
            Some(Read::Unavailable) => Err(format!("{key} cannot be read: Redis does not answer in time")),
            _ => Err(format!("{key} was written, and is not there")),
        }
    }

    /// Lines that the source gives of the days of which lines are kept.
    async fn source_lines(&self) -> Result<Lines, String> {
        let Some(range) = self.scope.orders else { return Ok(Lines::default()) };
        let request = ReadRequest { stores: vec![self.store.clone()], range, columns: Columns::All };
        self.warming.source.read(&request).await.map_err(|error| error.to_string())
    }

    /// L1: as many lines as the source has, and the same cells from them.
    async fn orders(&self) -> Seen {
        let days = self.days();
        let wanted = self.source_lines().await?.len();
        let (mut found, mut stored, mut inflated) = (0, 0, 0);
        for day in &days {
            let bytes = self.stored(self.levels().keys().orders(&self.store, *day)).await?;
            (stored, inflated) = add(&bytes, stored, inflated);
            let (_, lines) = self
                .levels()
                .decode_orders(&self.store, *day, &bytes)
                .ok_or_else(|| format!("the lines of {day} cannot be decoded"))?;
            found += lines.len();
            self.same_cells(*day, &lines)?;
        }
        if found != wanted {
            return Err(format!(
                "{found} lines are cached, {wanted} are in the table, {TRIES} times in a row"
            ));
        }
        Ok(format!("L1: {found} lines of {} days, {}", days.len(), ratio(stored, inflated)))
    }

    /// Whether the cells of a day are those of its lines.
    fn same_cells(&self, day: Day, lines: &Lines) -> Result<(), String> {
        let view = lines.view();
        for group in partition(&view) {
            let built = build_store_day(&view, &group.rows, &self.warming.rules);
            let kept = self.data.days.get(&day).zip(self.data.products.get(&day));
            if kept.is_none_or(|(cell, products)| **cell != built.day || **products != built.products) {
                return Err(format!("the cells of {day} are not those of its lines"));
            }
        }
        Ok(())
    }

    /// L2: the cells of all days.
    async fn cells(&self) -> Seen {
        let (keys, days) = (self.levels().keys(), self.days());
        let (mut stored, mut inflated) = (0, 0);
        for day in &days {
            for slot in [keys.day_cell(&self.store, *day), keys.product_cell(&self.store, *day)] {
                (stored, inflated) = add(&self.stored(slot).await?, stored, inflated);
            }
        }
        if self.data.days.len() < days.len() {
            return Err(format!("cells of {} days can be decoded, of {}", self.data.days.len(), days.len()));
        }
        Ok(format!("L2: {} cells, {}", days.len() * 2, ratio(stored, inflated)))
    }

    /// L3 (a): the partial of the store's diagnosis.
    async fn partial(&self) -> Seen {
        let Some(range) = self.scope.own_diagnosis(&self.store) else {
            return Ok("L3: the store has no day".to_owned());
        };
        let bytes = self.stored(self.levels().keys().partial(&self.store, range)).await?;
        match self.levels().decode_partial(&self.store, range, &bytes) {
            Some(_) => {
                let (stored, inflated) = add(&bytes, 0, 0);
                Ok(format!("L3: the partial of {} to {}, {}", range.from, range.to, ratio(stored, inflated)))
            }
            None => Err("the partial cannot be decoded".to_owned()),
        }
    }

    /// A question of the days that are kept, and its document, composed of cells.
    fn question(&self) -> Result<(Query, StoredAnswer), String> {
        let overview = self.scope.queries.iter().find(|query| query.document == Document::Overview);
        let mut query = overview.cloned().ok_or("there is no day with lines")?;
        // Twice its days are needed: those before, too.
        let last = self.scope.retention.map(|range| range.to).ok_or("there is no day with lines")?;
        query.range = Some(DayRange { from: last.plus(1 - DAYS / 2), to: last });
        let document = Part::of_store(&query, &self.store, &self.data).finish(&query, &self.scope.directory);
        StoredAnswer::new(&document).map(|answer| (query, answer)).map_err(|error| error.to_string())
    }

    /// L3 (b): all documents that were written can be read, and one composed of cells is written and read as it was.
    async fn answer(&self) -> Seen {
        let (mut stored, mut inflated) = (0, 0);
        for query in self.scope.queries.iter() {
            let bytes = self.stored(self.levels().keys().answer(query)).await?;
            (stored, inflated) = add(&bytes, stored, inflated);
            if self.levels().decode_answer(&query.canonical(), &bytes).is_none() {
                return Err(format!("the document {} cannot be decoded", query.canonical()));
            }
        }
        let (query, answer) = self.question()?;
        let stamp = self.stamp(&query);
        let write = self.levels().write_answer(&query, &answer, &stamp).map_err(|error| error.to_string())?;
        self.write(vec![write]).await?;
        match self.levels().read_answer(&query).await {
            Read::Hit((_, read)) if read == answer => {
                Ok(format!("L3: {} documents, {}", self.scope.queries.len(), ratio(stored, inflated)))
            }
            _ => Err("a document composed of cells is not read as it was written".to_owned()),
        }
    }

    /// L4: the ready response of a document holds it.
    async fn ready(&self) -> Seen {
        let (query, answer) = self.question()?;
        let write = self
            .levels()
            .write_ready(&query, &answer, &self.stamp(&query))
            .map_err(|error| error.to_string())?;
        self.write(vec![write]).await?;
        let Read::Hit(Stored::Ready { body, gzip, .. }) = self.levels().read_ready(&query).await else {
            return Err("a ready response was written, and is not there".to_owned());
        };
        let stored = body.len();
        let mut plain = String::new();
        let read = if gzip {
            let limit = self.levels().max_inflated();
            std::io::Read::read_to_string(&mut entry::gunzip(&body[..], limit), &mut plain)
        } else {
            std::io::Read::read_to_string(&mut &body[..], &mut plain)
        };
        read.map_err(|error| format!("a ready response cannot be inflated: {error}"))?;
        if plain.contains(&answer.json) {
            Ok(format!("L4: one response, {}", ratio(stored as u64, plain.len() as u64)))
        } else {
            Err("a ready response holds another document".to_owned())
        }
    }

    fn stamp(&self, query: &Query) -> shared::cache::levels::Stamp {
        let part = Part::of_store(query, &self.store, &self.data);
        shared::cache::levels::Stamp {
            now: shared::runtime::now_ms(),
            as_of: query.as_of,
            version: part.version(),
        }
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), String> {
        self.levels().cache().transact(writes).await.map_err(|error| error.to_string())
    }
}

/// Adds the bytes of an entry's payload, stored and inflated.
fn add(bytes: &Bytes, stored: u64, inflated: u64) -> (u64, u64) {
    match entry::look(bytes) {
        Ok(look) => (stored + look.payload, inflated + look.inflated),
        Err(_) => (stored, inflated),
    }
}

fn ratio(stored: u64, inflated: u64) -> String {
    let times = inflated as f64 / (stored.max(1)) as f64;
    format!(
        "{} in {} ({times:.1} : 1)",
        bytesize::ByteSize(inflated).display().iec(),
        bytesize::ByteSize(stored).display().iec()
    )
}

/// Removes everything under a prefix.
async fn clear(redis: &RedisCache, prefix: &str) -> Result<(), String> {
    let cache = Cache::Redis(redis.clone());
    let keys = cache.scan(prefix, MOST_KEYS).await.map_err(|error| error.to_string())?;
    let deletes = keys.into_iter().map(|key| Write::Delete { key }).collect();
    cache.transact(deletes).await.map_err(|error| error.to_string())
}
