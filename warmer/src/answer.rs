//! Whole documents of questions that are asked: composed from the cells that are ready, else from the source, and
//! written as they will be looked up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::answers::{Part, StoreData};
use shared::cache::levels::{Stamp, VersionedDay};
use shared::cache::{Levels, Read, StoredAnswer, Write};
use shared::cells::{StoreDay, build_store_day, partition};
use shared::entry::EncodeError;
use shared::model::{Day, DayRange, Lines, Query, Rules};
use shared::runtime::now_ms;
use shared::source::{Columns, ReadRequest};

use crate::once::{ANSWERS, LevelCount, count};
use crate::scope::Scope;
use crate::warming::{WarmError, Warming};

/// What was done for one question.
#[derive(Debug, Default)]
pub struct AnswerOutcome {
    /// What was written.
    pub counts: Vec<LevelCount>,
    /// Order lines read from the source, where cells were not ready.
    pub lines_read: u64,
    /// Bytes of the document's entry.
    pub bytes: u64,
    /// Time that making it took.
    pub time: Duration,
}

/// A document as writes, with its ready response if that is kept; else none must be left, since it would get old.
///
/// # Errors
/// If an entry cannot be made.
pub fn document(
    levels: &Levels,
    query: &Query,
    answer: &StoredAnswer,
    stamp: &Stamp,
    ready: bool,
) -> Result<Vec<Write>, EncodeError> {
    let response = if ready {
        levels.write_ready(query, answer, stamp)?
    } else {
        Write::Delete { key: levels.keys().hot(query).key }
    };
    Ok(vec![levels.write_answer(query, answer, stamp)?, response])
}

/// Composes the document of a question and writes it, with its ready response if that is kept.
///
/// # Errors
/// If the source cannot be read where cells are missing, or the cache not be written.
pub async fn warm_answer(
    warming: &Warming,
    scope: &Scope,
    query: &Query,
    ready: bool,
) -> Result<AnswerOutcome, WarmError> {
    let (start, mut outcome) = (Instant::now(), AnswerOutcome::default());
    let mut merged = Part::empty();
    for store_id in &query.stores {
        let (data, lines_read) = store_data(warming, scope, query, store_id).await?;
        outcome.lines_read += lines_read;
        let (of_query, store_id) = (query.clone(), store_id.clone());
        let part = warming.compute.run_waiting(move || Part::of_store(&of_query, &store_id, &data)).await?;
        merged.merge(part, query);
    }
    let (levels, of_query, directory) = (warming.levels.clone(), query.clone(), Arc::clone(&scope.directory));
    let now = now_ms();
    let mut writes = warming
        .compute
        .run_waiting(move || {
            let stamp = Stamp { now, as_of: of_query.as_of, version: merged.version() };
            let answer = StoredAnswer::new(&merged.finish(&of_query, &directory))?;
            document(&levels, &of_query, &answer, &stamp, ready)
        })
        .await??;
    outcome.counts = count(&writes);
    outcome.bytes =
        outcome.counts.iter().filter(|level| level.name == ANSWERS).map(|level| level.bytes).sum();
    outcome.time = start.elapsed();
    // The cells that it is made of changed earlier: whoever kept the older document must look it up again.
    writes.push(Write::Bump { key: warming.levels.keys().answer_version(&query.canonical()) });
    warming.levels.cache().transact(writes).await?;
    Ok(outcome)
}

/// The cells of one store that a question needs, and how many lines had to be read for them.
async fn store_data(
    warming: &Warming,
    scope: &Scope,
    query: &Query,
    store_id: &str,
) -> Result<(StoreData, u64), WarmError> {
    let needs = query.needs();
    let Some(span) = needs.span() else { return Ok((StoreData::default(), 0)) };
    let with_lines: BTreeSet<Day> = scope.days_with_lines(store_id, span).into_iter().collect();
    let (Some(from), Some(to)) = (with_lines.first(), with_lines.last()) else {
        return Ok((StoreData::default(), 0));
    };
    let known = DayRange { from: *from, to: *to };
    let within = |range: Option<DayRange>| range.and_then(|range| range.intersect(known));
    let without = known.days().filter(|day| !with_lines.contains(day)).collect();
    let read =
        warming.levels.read_store(store_id, within(needs.days), within(needs.products), &without).await;
    if let Read::Hit(stored) = read {
        let levels = warming.levels.clone();
        if let Some(data) = warming.compute.run_waiting(move || levels.decode_store(&stored)).await? {
            return Ok((data, 0));
        }
    }
    let request = ReadRequest { stores: vec![store_id.to_owned()], range: known, columns: Columns::ForCells };
    let lines = warming.source.read(&request).await?;
    let lines_read = lines.len() as u64;
    let rules = Arc::clone(&warming.rules);
    Ok((warming.compute.run_waiting(move || build(&rules, &lines)).await??, lines_read))
}

fn build(rules: &Rules, lines: &Lines) -> Result<StoreData, EncodeError> {
    let view = lines.view();
    let mut data = StoreData::default();
    for group in partition(&view) {
        let built = VersionedDay::new(build_store_day(&view, &group.rows, rules))?;
        data.versions.insert(group.day, built.version);
        let StoreDay { day, products } = built.cells;
        data.days.insert(group.day, Arc::new(day));
        data.products.insert(group.day, Arc::new(products));
    }
    Ok(data)
}
