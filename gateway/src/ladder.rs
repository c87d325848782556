//! The ladder: from a question to its document. Each step answers what it can; only what is really missing is fetched
//! by the next one, in one round trip: L4 ready response and L3 answer → L3 partials merged → L2 cells composed → L1 → source.
//! Partials and cells are looked for near first, and kept there.

mod cells;
mod missing;
mod partials;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use shared::access_log::Outcome;
use shared::answers::Part;
use shared::answers::compose::takes_partials;
use shared::cache::levels::{Stored, StoredAt};
use shared::cache::{Read, StoredAnswer};
use shared::entry::{EntryKind, Header};
use shared::model::{DataVersion, Directory, Document, Query};
use shared::runtime::now_ms;

use crate::app::App;
use crate::near::Epoch;
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

/// A question that is being answered.
#[derive(Clone, Debug)]
pub(crate) struct Fill {
    pub(crate) app: App,
    pub(crate) query: Arc<Query>,
    pub(crate) directory: Arc<Directory>,
    /// When it was begun, before anything was read; `None` if nothing of it is kept near.
    pub(crate) epoch: Option<Epoch>,
}

/// Bytes of a stored document up to which it is decoded on the thread that serves: a fraction of a millisecond.
const DECODED_AT_ONCE: usize = 8 << 10;

/// What the first step came to.
pub(crate) enum Step {
    Answered(Answer),
    /// There is no whole document; with when its data were last confirmed, if that is known.
    Missing(Option<i64>),
}

/// What was fetched so far.
struct Fetched {
    part: Part,
    outcome: Outcome,
    timing: Timing,
    /// Whether the cache did not answer: then the steps that may be skipped are.
    cache_is_down: bool,
}

impl Fetched {
    fn at_least(&mut self, outcome: Outcome) {
        self.outcome = self.outcome.max(outcome);
    }
}

impl Fill {
    /// Whether the question is about all stores.
    pub(crate) fn is_of_all(&self) -> bool {
        self.query.stores.len() == self.directory.stores().len()
    }

    /// The whole document as stored; a ready response only where JSON is wanted.
    pub(crate) async fn stored(&self, at: &StoredAt, wants_json: bool) -> Step {
        let start = Instant::now();
        let (stored, mut confirmed) = self.app.levels().read_stored(at, wants_json).await;
        let Read::Hit(stored) = stored else { return Step::Missing(confirmed) };
        if confirmed.is_none() {
            confirmed = Box::pin(self.confirmed_at()).await;
        }
        let timing = Timing { cache: start.elapsed(), ..Timing::default() };
        match stored {
            // It has the last data day of when it was made in its body; after a new one has begun it is another answer.
            Stored::Ready { header, .. } if header.as_of != self.query.as_of => Step::Missing(confirmed),
            Stored::Ready { header, body, gzip } => {
                let content = Content::Ready { body, gzip };
                Step::Answered(self.of_stored(content, &header, Outcome::L4, confirmed, timing))
            }
            Stored::Answer(bytes) => {
                let start = Instant::now();
                let decoded = Box::pin(self.decode(at, bytes)).await;
                let Some((header, answer)) = decoded else { return Step::Missing(confirmed) };
                let (content, timing) =
                    (Content::Data(answer.json), Timing { compute: start.elapsed(), ..timing });
                Step::Answered(self.of_stored(content, &header, Outcome::L3, confirmed, timing))
            }
        }
    }

    /// A stored document; `None` if it is damaged.
    async fn decode(&self, at: &StoredAt, bytes: Bytes) -> Option<(Header, StoredAnswer)> {
        if bytes.len() <= DECODED_AT_ONCE {
            return self.app.levels().decode_answer(at.question(), &bytes);
        }
        let (levels, question) = (self.app.levels().clone(), at.question().to_owned());
        // No more wait here than requests do.
        let decoded = self.app.compute().run_waiting(move || levels.decode_answer(&question, &bytes));
        decoded.await.ok().flatten()
    }

    /// Answers the question from what its document is made of; `confirmed` is when the data were last confirmed, if
    /// that is known.
    ///
    /// # Errors
    /// If what is missing can neither be read nor computed.
    pub(crate) async fn compose(&self, confirmed: Option<i64>) -> Result<Answer, Problem> {
        let (query, timing) = (&*self.query, Timing::default());
        if query.document == Document::Stores {
            return self.store_list(timing).await;
        }
        let mut fetched =
            Fetched { part: Part::empty(), outcome: Outcome::L3Compose, timing, cache_is_down: false };
        let mut rest = query.stores.clone();
        if takes_partials(query)
            && let Some(range) = query.diagnosis
        {
            rest = self.merge_partials(range, rest, &mut fetched).await?;
        }
        if !rest.is_empty() && query.needs().span().is_some() {
            self.compose_cells(&rest, &mut fetched).await?;
        }
        self.finish(fetched, confirmed).await
    }

    /// The answer that a stored document is.
    fn of_stored(
        &self,
        content: Content,
        header: &Header,
        outcome: Outcome,
        confirmed: Option<i64>,
        timing: Timing,
    ) -> Answer {
        let kind = if outcome == Outcome::L4 { EntryKind::Hot } else { EntryKind::Answer };
        Answer {
            content,
            version: header.data_version,
            outcome,
            computed_at: header.computed_at,
            confirmed_at: confirmed.unwrap_or(header.computed_at).max(header.computed_at),
            soft: self.app.levels().ttl().soft(kind),
            hard: hard(&self.app, kind),
            timing,
        }
    }

    /// Makes the document of what was fetched.
    async fn finish(&self, fetched: Fetched, confirmed: Option<i64>) -> Result<Answer, Problem> {
        let Fetched { part, outcome, mut timing, .. } = fetched;
        let kind = if outcome == Outcome::L3Compose { EntryKind::Partial } else { EntryKind::DayCell };
        let now = now_ms();
        let confirmed_at = if outcome == Outcome::Source {
            now
        } else if let Some(confirmed) = confirmed {
            confirmed
        } else {
            let start = Instant::now();
            let confirmed = self.confirmed_at().await;
            timing.cache += start.elapsed();
            confirmed.unwrap_or(now)
        };
        let start = Instant::now();
        let version = part.version();
        let (query, directory) = (Arc::clone(&self.query), Arc::clone(&self.directory));
        let finish = move || StoredAnswer::new(&part.finish(&query, &directory));
        let json = self.app.compute().run(finish).await??.json;
        timing.compute += start.elapsed();
        Ok(Answer {
            content: Content::Data(json),
            version,
            outcome,
            computed_at: now,
            confirmed_at,
            soft: self.app.levels().ttl().soft(kind),
            hard: hard(&self.app, kind),
            timing,
        })
    }

    /// When the data of all stores of the question were last confirmed.
    async fn confirmed_at(&self) -> Option<i64> {
        if self.is_of_all() {
            return self.app.levels().read_fleet_fresh().await;
        }
        let fresh = self.app.levels().read_fresh(&self.query.stores).await;
        fresh.into_iter().collect::<Option<Vec<i64>>>()?.into_iter().min()
    }

    /// The list of stores is the directory itself.
    async fn store_list(&self, timing: Timing) -> Result<Answer, Problem> {
        let json = StoredAnswer::new(&Part::empty().finish(&self.query, &self.directory))?.json;
        let confirmed = self.app.levels().read_fleet_fresh().await;
        let now = now_ms();
        Ok(Answer {
            version: DataVersion::of(json.as_bytes()),
            content: Content::Data(json),
            outcome: if confirmed.is_some() { Outcome::L3 } else { Outcome::Source },
            computed_at: confirmed.unwrap_or(now),
            confirmed_at: confirmed.unwrap_or(now),
            soft: self.app.levels().ttl().soft(EntryKind::Store),
            hard: hard(&self.app, EntryKind::Store),
            timing,
        })
    }
}

fn hard(app: &App, kind: EntryKind) -> Duration {
    // The middle of the jitter, so that all gateways say the same.
    let soft = app.levels().ttl().soft(kind);
    app.levels().ttl().hard(kind, "").max(soft)
}
