//! Store-days without a cell: built from their lines, which L1 has or the source.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rayon::prelude::*;
use shared::access_log::Outcome;
use shared::cache::levels::VersionedDay;
use shared::cache::{Levels, Read};
use shared::cells::{self, build_store_day, partition};
use shared::entry::EncodeError;
use shared::model::{Day, DayRange, Lines, Rules};
use shared::runtime::now_ms;
use shared::source::{Columns, ReadRequest};

use super::cells::{Put as _, Ready};
use super::{Fetched, Fill};
use crate::flight::store_days::{Cells, Claims, StoreDay, wait_for};
use crate::near::ReadIn;
use crate::problem::Problem;

/// Cells by store and day.
type Built = BTreeMap<(String, Day), Cells>;

impl Fill {
    /// Adds the missing store-days: those that another question fetches are waited for.
    pub(super) async fn fetch_missing(
        &self,
        ready: &mut [Ready],
        fetched: &mut Fetched,
    ) -> Result<(), Problem> {
        let near = self.app.near();
        let mut wanted = Vec::new();
        for Ready { store_id, missing, .. } in ready.iter() {
            let changed = near.last_store_change(store_id);
            let of_day = |day: &Day| StoreDay { store_id: store_id.clone(), day: *day, changed };
            wanted.extend(missing.iter().map(of_day));
        }
        let (mut claims, others) = self.app.fetching().claim(wanted);
        // From L1, and from the source what is still open then. A failure is told to those who wait, too.
        let mut found = Built::new();
        let own = async {
            self.build_from_l1(&mut claims, &mut found, fetched).await?;
            self.build_from_source(&mut claims, &mut found, fetched).await
        };
        if let Err(problem) = own.await {
            claims.fail(&problem);
            return Err(problem);
        }
        if !others.is_empty() {
            let start = Instant::now();
            for (StoreDay { store_id, day, .. }, cells) in wait_for(others).await? {
                fetched.at_least(cells.as_ref().map_or(Outcome::Source, |cells| cells.outcome));
                found.extend(cells.map(|cells| ((store_id, day), cells)));
            }
            fetched.timing.source += start.elapsed();
        }
        ready.sort_by(|a, b| a.store_id.cmp(&b.store_id));
        for ((store_id, day), Cells { version, day: day_cell, products, .. }) in found {
            if let Ok(at) = ready.binary_search_by(|ready| ready.store_id.cmp(&store_id)) {
                let data = &mut ready[at].data;
                data.put_day(day, version, day_cell);
                data.put_products(day, version, products);
            }
        }
        Ok(())
    }

    async fn build_from_l1(
        &self,
        claims: &mut Claims,
        found: &mut Built,
        fetched: &mut Fetched,
    ) -> Result<(), Problem> {
        let open = claims.open();
        if open.is_empty() || fetched.cache_is_down {
            return Ok(());
        }
        let start = Instant::now();
        let store_days: Vec<(String, Day)> =
            open.iter().map(|open| (open.store_id.clone(), open.day)).collect();
        let entries = self.app.levels().read_orders(&store_days).await;
        fetched.timing.cache += start.elapsed();
        if entries.iter().all(|entry| !matches!(entry, Read::Hit(_))) {
            return Ok(());
        }
        let start = Instant::now();
        let (levels, rules) = (self.app.levels().clone(), Arc::clone(self.app.rules()));
        let build = move || {
            let lines = store_days.into_par_iter().zip(entries).filter_map(|((store_id, day), entry)| {
                let (_, lines) = lines_of(&levels, &store_id, day, entry)?;
                Some(build(&rules, &lines, Outcome::L1, |store, of| store == store_id && of == day))
            });
            lines.collect::<Result<Vec<Built>, EncodeError>>()
        };
        let built: Built = self.app.compute().run(build).await??.into_iter().flatten().collect();
        fetched.timing.compute += start.elapsed();
        if !built.is_empty() {
            fetched.at_least(Outcome::L1);
        }
        self.keep(&built, None);
        for store_day in &open {
            if let Some(cells) = built.get(&(store_day.store_id.clone(), store_day.day)) {
                claims.publish(store_day, Ok(Some(cells.clone())));
            }
        }
        found.extend(built);
        Ok(())
    }

    async fn build_from_source(
        &self,
        claims: &mut Claims,
        found: &mut Built,
        fetched: &mut Fetched,
    ) -> Result<(), Problem> {
        let open = claims.open();
        if open.is_empty() {
            return Ok(());
        }
        fetched.at_least(Outcome::Source);
        let start = Instant::now();
        let mut missing: BTreeMap<String, BTreeSet<Day>> = BTreeMap::new();
        for StoreDay { store_id, day, .. } in &open {
            missing.entry(store_id.clone()).or_default().insert(*day);
        }
        let lines = self.read_source(&missing).await?;
        fetched.timing.source += start.elapsed();
        let start = Instant::now();
        let rules = Arc::clone(self.app.rules());
        let build = move || {
            let is_missing =
                |store: &str, day| missing.get(store).is_some_and(|days: &BTreeSet<Day>| days.contains(&day));
            let built = lines.iter().map(|lines| build(&rules, lines, Outcome::Source, is_missing));
            built.collect::<Result<Vec<Built>, EncodeError>>()
        };
        let built: Built = self.app.compute().run(build).await??.into_iter().flatten().collect();
        fetched.timing.compute += start.elapsed();
        self.keep(&built, Some(now_ms()));
        for store_day in &open {
            let cells = built.get(&(store_day.store_id.clone(), store_day.day)).cloned();
            claims.publish(store_day, Ok(cells));
        }
        found.extend(built);
        Ok(())
    }

    fn keep(&self, built: &Built, source_at: Option<i64>) {
        let read = ReadIn { epoch: self.epoch, source_at };
        for ((store_id, day), cells) in built {
            self.app.near().keep_day_cell((store_id, *day), cells.version, &cells.day, read);
            self.app.near().keep_product_cell((store_id, *day), cells.version, &cells.products, read);
        }
    }

    /// Reads the lines of all missing store-days: stores of which most is missing together, the others one by one.
    async fn read_source(&self, missing: &BTreeMap<String, BTreeSet<Day>>) -> Result<Vec<Lines>, Problem> {
        let mut together: BTreeMap<DayRange, Vec<String>> = BTreeMap::new();
        let spans: Vec<(&String, DayRange)> = missing
            .iter()
            .filter_map(|(store, days)| Some((store, DayRange { from: *days.first()?, to: *days.last()? })))
            .collect();
        let widest = spans
            .iter()
            .map(|(_, span)| *span)
            .reduce(|a, b| DayRange { from: a.from.min(b.from), to: a.to.max(b.to) });
        let Some(widest) = widest else { return Ok(Vec::new()) };
        for (store, span) in spans {
            let range = if span.len() * 2 > widest.len() { widest } else { span };
            together.entry(range).or_default().push(store.clone());
        }
        let mut lines = Vec::with_capacity(together.len());
        for (range, stores) in together {
            let request = ReadRequest { stores, range, columns: Columns::ForCells };
            lines.push(self.app.source().read(&request).await.map_err(|error| Problem::source(&error))?);
        }
        Ok(lines)
    }
}

/// The lines of a store-day from its entry of L1; an entry holds all of them.
fn lines_of(
    levels: &Levels,
    store_id: &str,
    day: Day,
    entry: Read<Bytes>,
) -> Option<(shared::entry::Header, Lines)> {
    entry.hit().and_then(|bytes| levels.decode_orders(store_id, day, &bytes))
}

/// Builds the cells of the store-days that are wanted, from lines of L1 or the source.
fn build(
    rules: &Rules,
    lines: &Lines,
    outcome: Outcome,
    is_wanted: impl Fn(&str, Day) -> bool + Sync,
) -> Result<Built, EncodeError> {
    let view = lines.view();
    partition(&view)
        .into_par_iter()
        .filter(|group| is_wanted(&group.store_id, group.day))
        .map(|group| {
            let VersionedDay { cells: built, version, .. } =
                VersionedDay::new(build_store_day(&view, &group.rows, rules))?;
            let cells::StoreDay { day, products } = built;
            let (day, products) = (Arc::new(day), Arc::new(products));
            let cells = Cells { version, day, products, outcome };
            Ok(((group.store_id, group.day), cells))
        })
        .collect()
}
