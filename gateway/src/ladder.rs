//! The ladder: from a question to its document. Each step answers what it can; only what is really missing is fetched
//! by the next one: L4 ready response → L3 answer → L3 partials merged → L2 cells composed → source.

mod fetch;

use std::time::{Duration, Instant};

use bytes::Bytes;
use shared::access_log::Outcome;
use shared::answers::Part;
use shared::answers::compose::takes_partials;
use shared::cache::levels::Stored;
use shared::cache::{Read, StoredAnswer};
use shared::entry::{EntryKind, Header};
use shared::model::{DataVersion, Directory, Document, Query};
use shared::runtime::now_ms;

use crate::app::App;
use crate::problem::Problem;

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

/// What an answer holds of its document.
#[derive(Clone, Debug)]
pub enum Content {
    /// `data` as JSON text.
    Data(String),
    /// The JSON response, to be sent as it is.
    Ready {
        /// Its body.
        body: Bytes,
        /// Whether the body is gzip.
        gzip: bool,
    },
}

/// A document and what the headers say about it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The document.
    pub content: Content,
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

/// Answers a question; with a ready response only where JSON is wanted.
///
/// # Errors
/// If what is missing can neither be read nor computed.
pub async fn answer(
    app: &App,
    query: &Query,
    directory: &std::sync::Arc<Directory>,
    wants_json: bool,
) -> Result<Answer, Problem> {
    let mut timing = Timing::default();
    let start = Instant::now();
    if query.document == Document::Stores {
        return store_list(app, query, directory, timing).await;
    }
    let stored = match wants_json {
        true => app.levels().read_ready(query).await,
        false => match app.levels().read_answer(query).await {
            Read::Hit((header, answer)) => Read::Hit(Stored::Answer { header, answer }),
            Read::Miss => Read::Miss,
            Read::Unavailable => Read::Unavailable,
        },
    };
    timing.cache += start.elapsed();
    if let Read::Hit(stored) = stored {
        let confirmed = confirmed_at(app, query, directory).await;
        return Ok(match stored {
            Stored::Ready { header, body, gzip } => {
                let content = Content::Ready { body, gzip };
                whole(app, content, &header, confirmed, (Outcome::L4, EntryKind::Hot), timing)
            }
            Stored::Answer { header, answer } => {
                let content = Content::Data(answer.json);
                whole(app, content, &header, confirmed, (Outcome::L3, EntryKind::Answer), timing)
            }
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

/// The answer that a stored document is.
fn whole(
    app: &App,
    content: Content,
    header: &Header,
    confirmed: Option<i64>,
    (outcome, kind): (Outcome, EntryKind),
    timing: Timing,
) -> Answer {
    Answer {
        content,
        version: header.data_version,
        outcome,
        computed_at: header.computed_at,
        confirmed_at: confirmed.unwrap_or(header.computed_at).max(header.computed_at),
        soft: app.levels().ttl().soft(kind),
        hard: hard(app, kind),
        timing,
    }
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
        content: Content::Data(json),
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
        content: Content::Data(json),
        outcome: if confirmed.is_some() { Outcome::L3 } else { Outcome::Source },
        computed_at: confirmed.unwrap_or(now),
        confirmed_at: confirmed.unwrap_or(now),
        soft: app.levels().ttl().soft(EntryKind::Store),
        hard: hard(app, EntryKind::Store),
        timing,
    })
}
