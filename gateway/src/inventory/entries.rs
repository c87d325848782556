//! Entries: what lies in the cache, of which keys, how large and how old, and why it is kept. Which keys there may be follows from
//! directory and plan, so that nobody walks through all of Redis.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use shared::answers::parameters::Parameters;
use shared::cache::{Levels, Outline, Patience, Read};
use shared::entry::{self, EntryKind};
use shared::keys::Slot;
use shared::model::{Ask, Day, DayRange, Directory, Document, Query, RelativeAsk, StoreInfo};
use shared::published::{PlanRecord, Reason};
use shared::runtime::now_ms;

use super::Page;
use crate::app::{App, KeptDays};
use crate::problem::Problem;

/// A level of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Order lines.
    L1,
    /// Cells.
    L2,
    /// Partials and whole documents.
    L3,
    /// Ready responses.
    L4,
}

impl Level {
    pub(crate) const ALL: [Self; 4] = [Self::L1, Self::L2, Self::L3, Self::L4];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::L1 => "l1",
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::L4 => "l4",
        }
    }

    /// The level that is asked for; `None` = all.
    pub(super) fn read(parameters: &mut Parameters<'_>) -> Option<Self> {
        let all = Self::ALL.map(Some);
        parameters.choice("level", &all, |level| level.map_or("", Self::as_str), None)
    }
}

/// What is warm.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Entries {
    /// When this was true, milliseconds since 1970.
    now: i64,
    /// Entries of these stores, hottest first; on the first page of all stores those over several stores, too.
    entries: Vec<Row>,
    /// Where the next page begins (`after`); null at the end.
    next: Option<String>,
}

/// An entry.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Row {
    /// Its key in the cache.
    key: String,
    /// The field, where the key is a hash.
    field: Option<String>,
    /// Which level.
    level: Level,
    /// `orders`, `cells`, `products`, `partial`, `answer` or `ready`.
    kind: &'static str,
    /// The store, if it is of one.
    store_id: Option<String>,
    /// The question, if it answers one.
    question: Option<String>,
    /// Bytes as stored.
    bytes: u64,
    /// Last data day of what it was made of; null where there is none.
    as_of: Option<String>,
    /// When it was computed, milliseconds since 1970.
    computed_at: Option<i64>,
    /// Seconds until it is stale unless its data are confirmed before; below 0: it is.
    stale_in: Option<i64>,
    /// Seconds until it goes; null if it stays, or nobody says.
    expires_in: Option<u64>,
    /// Why it is kept.
    why: String,
}

/// A key that may be there.
struct Candidate {
    key: String,
    level: Level,
    kind: EntryKind,
    name: &'static str,
    store_id: Option<String>,
    question: Option<String>,
    confirmed_at: Option<i64>,
    why: String,
}

pub(super) async fn of(
    app: &App,
    directory: &Arc<Directory>,
    page: &Page,
    level: Option<Level>,
    operator: bool,
) -> Result<Entries, Problem> {
    let wants = |one: Level| level.is_none_or(|level| level == one);
    let (levels, now, all) = (app.levels(), now_ms(), app.directory().await?);
    let ids: Vec<String> = page.stores.iter().map(|store| store.info.store_id.clone()).collect();
    let fresh: BTreeMap<&str, Option<i64>> =
        ids.iter().map(String::as_str).zip(levels.read_fresh(&ids).await).collect();
    let mut candidates = Vec::new();
    let mut rows = Vec::new();
    let fleet = Ask::default_for(Document::Diagnosis).resolve(&all).ok().and_then(|query| query.diagnosis);
    for store in page.stores.iter().map(|store| &store.info) {
        let confirmed_at = fresh.get(store.store_id.as_str()).copied().flatten();
        let of_store = OfStore {
            levels,
            store,
            all: &all,
            plan: page.plan.as_deref(),
            operator,
            kept: app.kept_days(),
            confirmed_at,
        };
        if wants(Level::L1) {
            candidates.extend(of_store.orders(all.last_day()));
        }
        if wants(Level::L2) {
            rows.extend(of_store.cells(now).await?);
        }
        if wants(Level::L3) {
            candidates.extend(of_store.partials(fleet));
        }
    }
    if page.first_of_all && (wants(Level::L3) || wants(Level::L4)) {
        let confirmed_at = levels.read_fleet_fresh().await;
        let answers =
            page.plan.iter().flat_map(|plan| answers(levels, plan, &all, directory, operator, confirmed_at));
        candidates.extend(answers.filter(|candidate| wants(candidate.level)));
    }
    let keys: Vec<String> = candidates.iter().map(|candidate| candidate.key.clone()).collect();
    let outlines = levels.cache().outlines(&keys).await.map_err(|error| Problem::cache(&error))?;
    let there = candidates.into_iter().zip(outlines);
    rows.extend(there.filter_map(|(candidate, outline)| Some(candidate.row(levels, &outline?, now))));
    rows.sort_by(|a, b| (a.level, &a.key, &a.field).cmp(&(b.level, &b.key, &b.field)));
    Ok(Entries { now, entries: rows, next: page.next.clone() })
}

impl Candidate {
    fn row(self, levels: &Levels, outline: &Outline, now: i64) -> Row {
        let header = entry::look(&outline.head).ok().map(|look| look.header);
        let computed_at = header.as_ref().map(|header| header.computed_at);
        Row {
            stale_in: stale_in(levels, self.kind, computed_at, self.confirmed_at, now),
            key: self.key,
            field: None,
            level: self.level,
            kind: self.name,
            store_id: self.store_id,
            question: self.question,
            bytes: outline.bytes,
            as_of: header.as_ref().and_then(|header| header.as_of).map(|day| day.to_string()),
            computed_at,
            expires_in: outline.ttl.map(|ttl| ttl.as_secs()),
            why: self.why,
        }
    }
}

/// Seconds until an entry is stale: its time counts from when its data were last confirmed.
fn stale_in(
    levels: &Levels,
    kind: EntryKind,
    computed_at: Option<i64>,
    confirmed_at: Option<i64>,
    now: i64,
) -> Option<i64> {
    let soft = i64::try_from(levels.ttl().soft(kind).as_millis()).ok()?;
    let from = computed_at.into_iter().chain(confirmed_at).max()?;
    Some((from.saturating_add(soft) - now) / 1000)
}

/// Entries of one store.
struct OfStore<'a> {
    levels: &'a Levels,
    store: &'a StoreInfo,
    all: &'a Directory,
    plan: Option<&'a PlanRecord>,
    operator: bool,
    kept: KeptDays,
    confirmed_at: Option<i64>,
}

impl OfStore<'_> {
    fn candidate(
        &self,
        slot: Slot,
        level: Level,
        kind: EntryKind,
        name: &'static str,
        why: String,
    ) -> Candidate {
        Candidate {
            key: slot.key,
            level,
            kind,
            name,
            store_id: Some(self.store.store_id.clone()),
            question: None,
            confirmed_at: self.confirmed_at,
            why,
        }
    }

    fn orders(&self, last_day: Option<Day>) -> Vec<Candidate> {
        let Some(range) = last_day.and_then(|last| DayRange::new(last.plus(1 - self.kept.orders), last))
        else {
            return Vec::new();
        };
        let id = &self.store.store_id;
        let decision =
            self.plan.and_then(|plan| plan.stores.iter().find(|decision| decision.store_id == *id));
        let why = decision.map_or_else(
            || "kept: among the largest stores".to_owned(),
            |decision| words(&decision.lines_reason, self.operator),
        );
        let days = self.store.days.within(range);
        let keys = self.levels.keys();
        days.map(|day| {
            self.candidate(keys.orders(id, day), Level::L1, EntryKind::Orders, "orders", why.clone())
        })
        .collect()
    }

    fn partials(&self, fleet: Option<DayRange>) -> Vec<Candidate> {
        let id = &self.store.store_id;
        let ask = Ask { stores: Some([id.clone()].into()), ..Ask::default_for(Document::Diagnosis) };
        let own = ask.resolve(self.all).ok().and_then(|query| query.diagnosis);
        let keys = self.levels.keys();
        let of = |range, whose: &str| {
            let why = format!("kept: this store's part of the default diagnosis of {whose}");
            self.candidate(keys.partial(id, range), Level::L3, EntryKind::Partial, "partial", why)
        };
        let own_apart = own.filter(|own| Some(*own) != fleet);
        let fleet = fleet.map(|range| of(range, "all stores"));
        fleet.into_iter().chain(own_apart.map(|range| of(range, "its own"))).collect()
    }

    /// Both cells of each day. A day's cells are written together, so the header of one says it of both.
    async fn cells(&self, now: i64) -> Result<Vec<Row>, Problem> {
        let (levels, id) = (self.levels, &self.store.store_id);
        let (cells, products) = (levels.keys().day_cells(id), levels.keys().product_cells(id));
        let hashes = [cells.clone(), products.clone()];
        let mut names =
            levels.cache().field_names(&hashes).await.map_err(|error| Problem::cache(&error))?.into_iter();
        let (of_days, of_products) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let slots: Vec<Slot> =
            of_days.iter().map(|day| Slot { key: cells.clone(), field: Some(day.clone()) }).collect();
        let fields: Vec<(String, String)> =
            of_products.iter().map(|day| (products.clone(), day.clone())).collect();
        let lengths = levels.cache().field_lengths(&fields).await.map_err(|error| Problem::cache(&error))?;
        let left = levels.cache().time_left(&cells).await.map_err(|error| Problem::cache(&error))?;
        let expires_in = left.map(|left| left.as_secs());
        let why = format!("kept: cells of all stores, {} days (cache.retention_days)", self.kept.cells);
        let row = |key: &str, field: String, kind: &'static str, bytes, computed_at, as_of| Row {
            key: key.to_owned(),
            field: Some(field),
            level: Level::L2,
            kind,
            store_id: Some(id.clone()),
            question: None,
            bytes,
            as_of,
            computed_at,
            stale_in: stale_in(levels, EntryKind::DayCell, computed_at, self.confirmed_at, now),
            expires_in,
            why: why.clone(),
        };
        let mut known = BTreeMap::new();
        let mut rows = Vec::with_capacity(slots.len() + fields.len());
        for (day, read) in of_days.into_iter().zip(levels.cache().read(&slots, Patience::Bulk).await) {
            let bytes = match read {
                Read::Hit(bytes) => bytes,
                Read::Miss => continue,
                Read::Unavailable => return Err(Problem::cache_away()),
            };
            let header = entry::look(&bytes).ok().map(|look| look.header);
            let computed_at = header.as_ref().map(|header| header.computed_at);
            let as_of = header.and_then(|header| header.as_of).map(|day| day.to_string());
            known.insert(day.clone(), (computed_at, as_of.clone()));
            rows.push(row(&cells, day, "cells", bytes.len() as u64, computed_at, as_of));
        }
        for ((_, day), bytes) in fields.into_iter().zip(lengths) {
            let (computed_at, as_of) = known.get(&day).cloned().unwrap_or_default();
            rows.push(row(&products, day, "products", bytes, computed_at, as_of));
        }
        Ok(rows)
    }
}

/// A reason in words; whose favourite something is, is for operators.
fn words(reason: &Reason, operator: bool) -> String {
    match reason {
        Reason::Floor { .. } if !operator => "kept: among somebody's favourites".to_owned(),
        _ => reason.to_string(),
    }
}

/// Documents and ready responses that the plan keeps, of which somebody may see all stores.
fn answers<'a>(
    levels: &'a Levels,
    plan: &'a PlanRecord,
    all: &'a Directory,
    visible: &'a Directory,
    operator: bool,
    confirmed_at: Option<i64>,
) -> impl Iterator<Item = Candidate> + 'a {
    let sees = |query: &Query| query.stores.iter().all(|store| visible.get(store).is_some());
    let admitted = plan.decisions.iter().filter(|decision| decision.reason.admits() || decision.ready);
    let resolved = admitted.filter_map(move |decision| {
        let ask = decision.relative.parse::<RelativeAsk>().ok()?.absolute(all.last_day()?);
        ask.resolve(all).ok().filter(sees).map(|query| (decision, query))
    });
    resolved.flat_map(move |(decision, query)| {
        let candidate = |slot: Slot, level, kind, name, why: String| Candidate {
            key: slot.key,
            level,
            kind,
            name,
            store_id: None,
            question: Some(query.canonical()),
            confirmed_at,
            why,
        };
        let kept = decision.reason.admits();
        let answer = kept.then(|| {
            let why = words(&decision.reason, operator);
            candidate(levels.keys().answer(&query), Level::L3, EntryKind::Answer, "answer", why)
        });
        let ready = decision.ready.then(|| {
            let why = format!("{}; among the hottest questions (warm.hot_answers)", Reason::Worth);
            candidate(levels.keys().hot(&query), Level::L4, EntryKind::Hot, "ready", why)
        });
        answer.into_iter().chain(ready).collect::<Vec<_>>()
    })
}
