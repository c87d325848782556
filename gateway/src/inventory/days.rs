//! Stores × days: which cells are there.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use shared::entry::EntryKind;
use shared::model::{Day, Directory};
use shared::runtime::now_ms;

use super::why::Causes;
use super::{Page, Ranked};
use crate::app::App;
use crate::problem::Problem;

/// Which days of which stores are ready.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StoreDays {
    /// When this was true, milliseconds since 1970.
    now: i64,
    /// The days, ascending; the last one is the last data day.
    days: Vec<String>,
    /// Stores, hottest first.
    stores: Vec<StoreRow>,
    /// How many of these stores have each state.
    counts: BTreeMap<&'static str, usize>,
    /// Where the next page begins (`after`); null at the end.
    next: Option<String>,
}

/// A store.
#[derive(Debug, Serialize, JsonSchema)]
struct StoreRow {
    /// Id.
    store_id: String,
    /// Name.
    name: String,
    /// Place by heat, from 1.
    rank: usize,
    /// Decayed count of requests that name it.
    heat: f64,
    /// Whether it is warmed first.
    hot: bool,
    /// When its data were last confirmed, milliseconds since 1970.
    confirmed_at: Option<i64>,
    /// `warm`, `partly` (days are missing), `stale` (past its soft expiry, served all the same), `cold` (nothing is there).
    state: &'static str,
    /// A letter per day: `w` warm, `s` stale, `c` cold, `e` warm and without orders.
    days: String,
    /// Why: `code` for programs, `text` for people, and what the code needs.
    why: Value,
}

pub(super) async fn of(
    app: &App,
    directory: &Arc<Directory>,
    page: Page,
    shown: i32,
    operator: bool,
) -> Result<StoreDays, Problem> {
    let (levels, now) = (app.levels(), now_ms());
    // What is older than cells are kept is cold because it is to be.
    let shown = shown.min(app.kept_days().cells);
    let days: Vec<Day> = directory
        .last_day()
        .map(|last| (0..shown).map(|after| last.plus(after + 1 - shown)).collect())
        .unwrap_or_default();
    let keys: Vec<String> = page
        .stores
        .iter()
        .flat_map(|store| {
            let id = &store.info.store_id;
            [levels.keys().day_cells(id), levels.keys().product_cells(id)]
        })
        .collect();
    let fields = levels.cache().field_names(&keys).await.map_err(|error| Problem::cache(&error))?;
    let ids: Vec<String> = page.stores.iter().map(|store| store.info.store_id.clone()).collect();
    let fresh = levels.read_fresh(&ids).await;
    let causes = Causes::read(levels, operator).await?;
    let soft = i64::try_from(levels.ttl().soft(EntryKind::DayCell).as_millis()).unwrap_or(i64::MAX);
    // In memory nothing is confirmed, for nothing changes.
    let ages = levels.cache().health().is_some();
    // Away from the threads that serve: of 1,000 stores these are a quarter of a million names.
    app.compute()
        .run(move || rows(now, &days, page, &fields, &fresh, &causes, ages.then_some(soft)))
        .await
        .map_err(Problem::from)
}

/// What is there, and what is old: confirmed longer ago than `soft` milliseconds, if age counts.
fn rows(
    now: i64,
    days: &[Day],
    page: Page,
    fields: &[Vec<String>],
    fresh: &[Option<i64>],
    causes: &Causes,
    soft: Option<i64>,
) -> StoreDays {
    let names: Vec<String> = days.iter().map(Day::to_string).collect();
    let mut counts = BTreeMap::from([("warm", 0), ("partly", 0), ("stale", 0), ("cold", 0)]);
    let mut stores = Vec::with_capacity(page.stores.len());
    for ((store, fields), confirmed_at) in page.stores.iter().zip(fields.chunks(2)).zip(fresh) {
        let stale = soft.is_some_and(|soft| confirmed_at.is_none_or(|at| at.saturating_add(soft) < now));
        let there: Vec<HashSet<&str>> =
            fields.iter().map(|names| names.iter().map(String::as_str).collect()).collect();
        let has = |name: &str| there.iter().all(|names| names.contains(name));
        let letters = days.iter().zip(&names).map(|(day, name)| match (has(name), stale) {
            (false, _) => 'c',
            (true, true) => 's',
            (true, false) if store.info.days.within(one(*day)).next().is_none() => 'e',
            (true, false) => 'w',
        });
        let row = row(store, letters.collect(), stale, *confirmed_at, causes);
        *counts.entry(row.state).or_default() += 1;
        stores.push(row);
    }
    StoreDays { now, days: names, stores, counts, next: page.next }
}

fn one(day: Day) -> shared::model::DayRange {
    shared::model::DayRange { from: day, to: day }
}

fn row(store: &Ranked, days: String, stale: bool, confirmed_at: Option<i64>, causes: &Causes) -> StoreRow {
    let missing = days.matches('c').count();
    let state = match (missing, stale) {
        (missing, _) if missing == days.len() => "cold",
        (0, false) => "warm",
        (0, true) => "stale",
        _ => "partly",
    };
    let id = &store.info.store_id;
    StoreRow {
        why: match state {
            "warm" => Causes::of_ready(confirmed_at),
            _ => causes.of(id, store.hot, state == "stale"),
        },
        store_id: id.clone(),
        name: store.info.name.clone(),
        rank: store.rank,
        heat: (store.heat * 100.0).round() / 100.0,
        hot: store.hot,
        confirmed_at,
        state,
        days,
    }
}
