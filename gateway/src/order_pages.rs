//! Pages of raw order lines: L1 where it is ready, else the source, day by day until the page is full.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use shared::access_log::Outcome;
use shared::answers::Data;
use shared::answers::documents::OrderPage;
use shared::answers::orders::day_lines;
use shared::answers::parameters::OrdersAsk;
use shared::cache::StoredAnswer;
use shared::cells::partition;
use shared::entry::{self, EntryKind, OrderBlock};
use shared::model::{DataVersion, Day, DayRange, Lines, Query};
use shared::runtime::now_ms;
use shared::source::{Columns, ReadRequest};

use crate::app::App;
use crate::ladder::{Answer, Content, Timing};
use crate::problem::Problem;

/// Days that are looked up together at first; doubled while a page is not full, up to [`MOST_DAYS`].
const FIRST_DAYS: usize = 2;
const MOST_DAYS: usize = 16;

/// A page, with the question it answers (for the envelope).
///
/// # Errors
/// If the lines can be read nowhere.
pub async fn page(app: &App, ask: &OrdersAsk, query: &Query, days: Vec<Day>) -> Result<Answer, Problem> {
    let mut timing = Timing::default();
    let mut page = Vec::new();
    let mut version = DataVersion::default();
    let mut outcome = Outcome::L1;
    let mut computed_at = i64::MAX;
    let wanted = usize::from(ask.limit) + 1;
    let from = ask.cursor.as_ref().map(shared::answers::orders::Cursor::day);
    let days: Vec<Day> = days.into_iter().filter(|day| from.is_none_or(|from| *day >= from)).collect();
    let mut rest = &days[..];
    let mut together = FIRST_DAYS;
    while page.len() < wanted && !rest.is_empty() {
        let (now, later) = rest.split_at(together.min(rest.len()));
        rest = later;
        together = (together * 2).min(MOST_DAYS);
        let (read, came_from, at) = read_days(app, &ask.store_id, now, &mut timing).await?;
        outcome = outcome.max(came_from);
        computed_at = computed_at.min(at);
        let start = Instant::now();
        let (channels, cursor) = (ask.channels.clone(), ask.cursor.clone());
        let store_id = ask.store_id.clone();
        let room = wanted - page.len();
        let (lines, versions) = app
            .compute()
            .run(move || {
                let (mut lines, mut versions) = (Vec::new(), DataVersion::default());
                for (day, (of_day, version)) in read {
                    if lines.len() >= room {
                        break;
                    }
                    versions += version.placed(&store_id, day);
                    let room = room - lines.len();
                    lines.extend(day_lines(&of_day, &channels, cursor.as_ref(), room));
                }
                (lines, versions)
            })
            .await?;
        timing.compute += start.elapsed();
        version += versions;
        page.extend(lines);
    }
    let more = page.len() > usize::from(ask.limit);
    page.truncate(usize::from(ask.limit));
    let next = if more { page.last().map(|(cursor, _)| cursor.to_string()) } else { None };
    let lines = page.into_iter().map(|(_, line)| line).collect();
    let json =
        app.compute().run(move || StoredAnswer::new(&Data::Orders(OrderPage { lines, next }))).await??.json;
    let now = now_ms();
    let confirmed = match outcome {
        Outcome::Source => now,
        _ => app.levels().read_fresh(&query.stores).await.into_iter().flatten().min().unwrap_or(now),
    };
    let ttl = app.levels().ttl();
    Ok(Answer {
        content: Content::Data(json),
        version,
        outcome,
        computed_at: if computed_at == i64::MAX { now } else { computed_at },
        confirmed_at: confirmed,
        soft: ttl.soft(EntryKind::Orders),
        hard: ttl.hard(EntryKind::Orders, ""),
        timing,
    })
}

type Days = BTreeMap<Day, (Arc<Lines>, DataVersion)>;

/// The sorted lines of some days, where they came from, and when the oldest was made.
async fn read_days(
    app: &App,
    store_id: &str,
    days: &[Day],
    timing: &mut Timing,
) -> Result<(Days, Outcome, i64), Problem> {
    let start = Instant::now();
    let store_days: Vec<(String, Day)> = days.iter().map(|day| (store_id.to_owned(), *day)).collect();
    let entries = app.levels().read_orders(&store_days).await;
    timing.cache += start.elapsed();
    let start = Instant::now();
    let levels = app.levels().clone();
    let decode = move || {
        let (mut found, mut missing, mut computed_at) = (Days::new(), Vec::new(), i64::MAX);
        for ((store_id, day), entry) in store_days.into_iter().zip(entries) {
            match entry.hit().and_then(|bytes| levels.decode_orders(&store_id, day, &bytes)) {
                Some((header, lines)) => {
                    computed_at = computed_at.min(header.computed_at);
                    found.insert(day, (Arc::new(lines), header.data_version));
                }
                None => missing.push(day),
            }
        }
        (found, missing, computed_at)
    };
    let (mut found, missing, computed_at) = app.compute().run(decode).await?;
    timing.compute += start.elapsed();
    let (Some(from), Some(to)) = (missing.first().copied(), missing.last().copied()) else {
        return Ok((found, Outcome::L1, computed_at));
    };
    let start = Instant::now();
    let range = DayRange { from, to };
    let request = ReadRequest { stores: vec![store_id.to_owned()], range, columns: Columns::All };
    let lines = app.source().read(&request).await.map_err(|error| Problem::source(&error))?;
    timing.source += start.elapsed();
    let start = Instant::now();
    let read = app
        .compute()
        .run(move || {
            let mut read = Days::new();
            for group in partition(&lines.view()) {
                if !missing.contains(&group.day) {
                    continue;
                }
                let rows: Vec<u32> = group.rows.into_iter().flatten().collect();
                let block = OrderBlock(lines.take(&rows).sorted());
                let version = DataVersion::of(&entry::canonical_bytes(&block)?);
                read.insert(group.day, (Arc::new(block.0), version));
            }
            Ok::<_, entry::EncodeError>(read)
        })
        .await??;
    timing.compute += start.elapsed();
    found.extend(read);
    Ok((found, Outcome::Source, computed_at.min(now_ms())))
}
