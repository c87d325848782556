//! The ladder: from a question to its document. Each step answers what it can; only what is really missing is fetched
//! by the next one: L3 answer → L3 partials merged → L2 cells composed → source.

mod fetch;

use std::time::{Duration, Instant};

use shared::answers::Part;
use shared::answers::compose::takes_partials;
use shared::cache::{Read, StoredAnswer};
use shared::entry::EntryKind;
use shared::model::{DataVersion, Directory, Document, Query};
use shared::runtime::now_ms;

use crate::app::App;
use crate::problem::Problem;

/// Which step gave the answer, for `X-Cache`: the lowest one that was needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A whole document.
    L3,
    /// Merged partials.
    L3Compose,
    /// Composed cells.
    L2Compose,
    /// Order lines.
    L1,
    /// Something was read from the source.
    Source,
}

impl Outcome {
    /// As in `X-Cache`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L3 => "l3",
            Self::L3Compose => "l3-compose",
            Self::L2Compose => "l2-compose",
            Self::L1 => "l1",
            Self::Source => "source",
        }
    }
}

/// Time spent, for `Server-Timing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Reading the cache.
    pub cache: Duration,
    /// Decoding, composing, encoding.
    pub compute: Duration,
    /// Reading the source.
    pub source: Duration,
}

/// A document's `data` and what the headers say about it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `data` as JSON text.
    pub json: String,
    /// Version of the data it was made of.
    pub version: DataVersion,
    /// Where it came from.
    pub outcome: Outcome,
    /// When it was computed, milliseconds since 1970.
    pub computed_at: i64,
    /// When its data were last confirmed to be current, milliseconds since 1970.
    pub confirmed_at: i64,
    /// How long it is fresh after that.
    pub soft: Duration,
    /// How long it is served after that.
    pub hard: Duration,
    /// Time spent.
    pub timing: Timing,
}

impl Answer {
    /// Whether it is past its soft expiry.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.age() > self.soft
    }

    /// Time since its data were last confirmed.
    #[must_use]
    pub fn age(&self) -> Duration {
        Duration::from_millis(u64::try_from(now_ms().saturating_sub(self.confirmed_at)).unwrap_or(0))
    }
}

/// Answers a question.
///
/// # Errors
/// If what is missing can neither be read nor computed.
pub async fn answer(
    app: &App,
    query: &Query,
    directory: &std::sync::Arc<Directory>,
) -> Result<Answer, Problem> {
    let mut timing = Timing::default();
    let start = Instant::now();
    if query.document == Document::Stores {
        return store_list(app, query, directory, timing).await;
    }
    let stored = app.levels().read_answer(query).await;
    timing.cache += start.elapsed();
    if let Read::Hit((header, stored)) = stored {
        let confirmed = confirmed_at(app, query, directory).await.unwrap_or(header.computed_at);
        return Ok(Answer {
            json: stored.json,
            version: header.data_version,
            outcome: Outcome::L3,
            computed_at: header.computed_at,
            confirmed_at: confirmed.max(header.computed_at),
            soft: app.levels().ttl().soft(EntryKind::Answer),
            hard: hard(app, EntryKind::Answer),
            timing,
        });
    }
    let mut fetched = fetch::Fetched { part: Part::empty(), outcome: Outcome::L3Compose, timing };
    let mut rest = query.stores.clone();
    if takes_partials(query)
        && let Some(range) = query.diagnosis
    {
        rest = fetch::partials(app, query, range, rest, &mut fetched).await?;
    }
    if !rest.is_empty() && query.needs().span().is_some() {
        fetch::cells(app, query, directory, &rest, &mut fetched).await?;
    }
    compose(app, query, directory, fetched).await
}

async fn compose(
    app: &App,
    query: &Query,
    directory: &std::sync::Arc<Directory>,
    fetched: fetch::Fetched,
) -> Result<Answer, Problem> {
    let fetch::Fetched { part, outcome, mut timing } = fetched;
    let kind = if outcome == Outcome::L3Compose { EntryKind::Partial } else { EntryKind::DayCell };
    let now = now_ms();
    let confirmed_at = if outcome == Outcome::Source {
        now
    } else {
        let start = Instant::now();
        let confirmed = confirmed_at(app, query, directory).await;
        timing.cache += start.elapsed();
        confirmed.unwrap_or(now)
    };
    let start = Instant::now();
    let version = part.version();
    let (of_query, directory) = (query.clone(), std::sync::Arc::clone(directory));
    let finish = move || StoredAnswer::new(&part.finish(&of_query, &directory));
    let json = app.compute().run(finish).await??.json;
    timing.compute += start.elapsed();
    Ok(Answer {
        json,
        version,
        outcome,
        computed_at: now,
        confirmed_at,
        soft: app.levels().ttl().soft(kind),
        hard: hard(app, kind),
        timing,
    })
}

fn hard(app: &App, kind: EntryKind) -> Duration {
    // The middle of the jitter, so that all gateways say the same.
    let soft = app.levels().ttl().soft(kind);
    app.levels().ttl().hard(kind, "").max(soft)
}

/// When the data of all stores of a question were last confirmed.
pub(crate) async fn confirmed_at(app: &App, query: &Query, directory: &Directory) -> Option<i64> {
    if query.stores.len() == directory.stores().len() {
        return app.levels().read_fleet_fresh().await;
    }
    let fresh = app.levels().read_fresh(&query.stores).await;
    fresh.into_iter().collect::<Option<Vec<i64>>>()?.into_iter().min()
}

/// The list of stores is the directory itself.
async fn store_list(
    app: &App,
    query: &Query,
    directory: &std::sync::Arc<Directory>,
    timing: Timing,
) -> Result<Answer, Problem> {
    let json = StoredAnswer::new(&Part::empty().finish(query, directory))?.json;
    let confirmed = app.levels().read_fleet_fresh().await;
    let now = now_ms();
    Ok(Answer {
        version: DataVersion::of(json.as_bytes()),
        json,
        outcome: if confirmed.is_some() { Outcome::L3 } else { Outcome::Source },
        computed_at: confirmed.unwrap_or(now),
        confirmed_at: confirmed.unwrap_or(now),
        soft: app.levels().ttl().soft(EntryKind::Store),
        hard: hard(app, EntryKind::Store),
        timing,
    })
}
