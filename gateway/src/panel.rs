//! What the monitor page shows, as JSON: `GET /v1/status`, and the same every five seconds as events (`/v1/status/stream`).
//! One task looks at counters, Redis, warmers and the machine; requests for the status wait for nobody.
//!
//! - `look`: looks; `traffic`, `clients`: counters of requests; `history`: the last hour; `events`: what happened.
//! - [`document`]: what is told to whom; `stream`: event by event.

pub mod clients;
pub mod document;
mod events;
mod facts;
mod history;
mod look;
mod stream;
mod traffic;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response};
use shared::answers::response::JSON;
use shared::cache::MonitorStatus;
use shared::entry;
use shared::model::Directory;
use shared::published::PlanRecord;
use shared::runtime::{VERSION, now_ms, process};
use tokio::sync::{Semaphore, watch};

use crate::app::Front;
use crate::auth::Caller;
use crate::body::ResponseBody;
use crate::negotiate;
use crate::problem::Problem;
use clients::Clients;
use document::Document;
use events::Events;
use history::History;
use look::{Looker, Seen};
use traffic::rounded;

/// The status.
pub const PATH: &str = "/v1/status";
/// The same, event by event.
pub const STREAM: &str = "/v1/status/stream";
/// Time from one look to the next.
const INTERVAL: Duration = Duration::from_secs(5);
/// How soon a change of what matters most is seen.
const NOTICE: Duration = Duration::from_millis(250);
/// Hottest stores that are told.
const HOTTEST: usize = 20;

/// What was seen, and who is to hear of it.
#[derive(Debug)]
pub struct Panel {
    started_at: i64,
    /// Where the gateway listens.
    name: OnceLock<String>,
    clients: Clients,
    known: Mutex<Known>,
    /// Counts looks.
    looks: watch::Sender<u64>,
    /// Places for streams; as many as the settings say from when the gateway serves.
    streams: OnceLock<Arc<Semaphore>>,
}

#[derive(Debug)]
struct Known {
    seen: Arc<Seen>,
    history: History,
    events: Events,
}

impl Default for Known {
    fn default() -> Self {
        // Before the first look nobody knows whether Redis is there.
        let seen = Seen { redis: Some(MonitorStatus::default()), ..Seen::default() };
        Self { seen: Arc::new(seen), history: History::default(), events: Events::default() }
    }
}

impl Default for Panel {
    fn default() -> Self {
        Self {
            started_at: now_ms(),
            name: OnceLock::new(),
            clients: Clients::default(),
            known: Mutex::default(),
            looks: watch::Sender::new(0),
            streams: OnceLock::new(),
        }
    }
}

/// What somebody may see. Kept by streams, which outlive a request.
#[derive(Clone, Debug)]
pub(crate) struct View {
    operator: bool,
    /// Whether he came with a token.
    token: bool,
    /// His stores; `None` = all.
    list: Option<Arc<BTreeSet<String>>>,
}

impl View {
    pub(crate) fn of(caller: Caller<'_>) -> Self {
        Self {
            operator: caller.is_operator(),
            token: caller.token().is_some(),
            list: caller.list().map(|list| Arc::new(list.clone())),
        }
    }

    fn shows(&self, store_id: &str) -> bool {
        self.list.as_ref().is_none_or(|list| list.contains(store_id))
    }

    fn stores(&self, directory: &Directory) -> usize {
        match &self.list {
            None => directory.stores().len(),
            Some(list) => list.iter().filter(|store_id| directory.get(store_id).is_some()).count(),
        }
    }
}

impl Panel {
    /// Who asks.
    #[must_use]
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The plan that the warmer follows, as it was read last.
    pub(crate) fn plan(&self) -> Option<Arc<PlanRecord>> {
        self.with(|known| known.seen.plan.clone())
    }

    /// Where the gateway listens, and how many streams it may have.
    pub(crate) fn serves(&self, name: &str, max_streams: usize) {
        // A second server of the same front would be a mistake of the program; what the first one said stays.
        let _ = self.name.set(format!("{} {name}", process::host_name()));
        let _ = self.streams.set(Arc::new(Semaphore::new(max_streams)));
    }

    /// Everybody who listens looks again.
    pub(crate) fn rouse(&self) {
        self.looks.send_modify(|looks| *looks += 1);
    }

    /// What was seen last, for somebody; of the history what came after `since`, seconds since 1970.
    fn document(&self, front: &Front, view: &View, since: i64) -> Document {
        let (seen, history, events) =
            self.with(|known| (Arc::clone(&known.seen), known.history.after(since), known.events.latest()));
        let (readiness, operator) = (front.readiness(), view.operator);
        let directory = &seen.directory;
        let last_day = match &view.list {
            None => directory.last_day(),
            Some(list) => list.iter().filter_map(|store| directory.get(store)?.days.last()).max(),
        };
        let stores = view.stores(directory);
        let warmer = |status| {
            let warmer = document::Warmer::of(status, seen.paused.as_ref(), operator);
            if view.list.is_some() { warmer.limited(stores, |store| view.shows(store)) } else { warmer }
        };
        Document {
            v: document::FORM,
            now: now_ms(),
            version: VERSION,
            viewer: document::Viewer { operator, token: view.token, stores },
            gateway: document::Gateway {
                name: self.name.get().cloned().filter(|_| operator),
                started_at: self.started_at,
                ready: readiness.is_ok(),
                problem: front.problems().or(readiness.err()),
            },
            data: document::Data {
                last_day: last_day.map(|day| day.to_string()),
                stores,
                confirmed_at: seen.confirmed_at,
            },
            redis: seen
                .redis
                .as_ref()
                .map_or_else(document::Redis::memory, |found| document::Redis::of(found, operator)),
            postgres: seen.postgres.as_ref().filter(|_| operator).map(|health| document::Postgres {
                connections: health.connections,
                max_connections: health.max_connections,
                waiting: health.waiting,
                admits: health.breaker.as_ref().is_none_or(|breaker| breaker.admits),
                errors: health.errors.iter().map(|(_, count)| count).sum(),
            }),
            requests: document::Requests {
                window_s: traffic::WINDOW.as_secs(),
                per_second: rounded(seen.per_second),
                hit_percent: seen.hit_percent,
                p50_ms: seen.p50_ms,
                p95_ms: seen.p95_ms,
                p99_ms: seen.p99_ms,
                failed_percent: seen.failed_percent,
                in_flight: front.counters().in_flight(),
                total: seen.total,
            },
            levels: seen.levels.clone(),
            users: document::Users { online: seen.users, window_s: clients::WINDOW.as_secs() },
            system: operator.then(|| document::System {
                host: seen.host_name.clone(),
                cpu_percent: seen.host.cpu_percent.map(rounded),
                cpus: seen.host.cpus,
                memory_percent: traffic::percent(seen.host.memory_used, seen.host.memory_total),
                memory_used: seen.host.memory_used,
                memory_total: seen.host.memory_total,
                process_memory: seen.process_memory,
            }),
            warmers: seen.warmers.iter().flat_map(|warmers| &warmers.warmers).map(warmer).collect(),
            hot: hottest(&seen, view),
            events: events.into_iter().filter(|_| operator).collect(),
            errors: operator.then(|| errors(front, seen.failed)),
            history,
        }
    }
}

/// The hottest stores that somebody may see; without a plan the largest.
fn hottest(seen: &Seen, view: &View) -> Vec<document::HotStore> {
    let directory = &seen.directory;
    let info = |store_id: &str| directory.get(store_id).filter(|_| view.shows(store_id));
    let ranked: Vec<(&str, f64, bool)> = match &seen.plan {
        Some(plan) => {
            let of = plan.stores.iter();
            of.map(|store| (store.store_id.as_str(), store.heat, store.hot)).collect()
        }
        None => {
            let mut stores: Vec<_> = directory.stores().iter().collect();
            stores.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.store_id.cmp(&b.store_id)));
            stores.into_iter().map(|store| (store.store_id.as_str(), 0.0, false)).collect()
        }
    };
    let known = ranked.into_iter().filter_map(|(id, heat, hot)| Some((info(id)?, heat, hot)));
    let ranked = known.enumerate().map(|(before, (store, heat, hot))| document::HotStore {
        store_id: store.store_id.clone(),
        name: store.name.clone(),
        rank: before + 1,
        heat: rounded(heat),
        hot,
        lines: store.lines,
    });
    ranked.take(HOTTEST).collect()
}

fn errors(front: &Front, failed: u64) -> document::Errors {
    let (counters, log) = (front.counters(), front.access_log().counts());
    let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    document::Errors {
        failed,
        shed: count(&counters.shed),
        timeouts: count(&counters.timeouts),
        panics: count(&counters.panics),
        slow: count(&counters.slow),
        entries_unusable: front.app().map_or(0, |app| app.levels().damages().map(|(_, count)| count).sum()),
        access_log_dropped: log.dropped,
        access_log_failed: log.failed,
    }
}

/// The status as JSON.
///
/// # Errors
/// 406 if the client wants something else.
pub(crate) fn answer(
    front: &Front,
    caller: Caller<'_>,
    request: &HeaderMap,
) -> Result<Response<ResponseBody>, Problem> {
    if negotiate::format(request, &[negotiate::Format::Json]).is_none() {
        return Err(Problem::not_acceptable(JSON));
    }
    let document = front.panel().document(front, &View::of(caller), 0);
    json_response(&document, request)
}

/// A document as JSON, compressed for who takes that.
///
/// # Errors
/// 500 if it cannot be written; none can.
pub(crate) fn json_response<T: serde::Serialize>(
    document: &T,
    request: &HeaderMap,
) -> Result<Response<ResponseBody>, Problem> {
    let body = serde_json::to_vec(document).map_err(|_| Problem::internal())?;
    let gzip = negotiate::takes_gzip(request);
    let body = if gzip { entry::gzip(&body).map_err(|_| Problem::internal())? } else { body };
    let mut response = Response::new(ResponseBody::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// The status as events.
///
/// # Errors
/// 503 if as many streams are open as may be.
pub(crate) fn stream(
    front: &Front,
    caller: Caller<'_>,
    request: &HeaderMap,
) -> Result<Response<ResponseBody>, Problem> {
    stream::open(front, View::of(caller), negotiate::takes_gzip(request))
}

/// Looks for as long as this is polled: every [`INTERVAL`], and as soon as what matters most changes.
pub(crate) async fn follow(front: Front) -> Infallible {
    let panel = front.panel();
    let mut looker = Looker::new();
    loop {
        let matters = what_matters(&front);
        let (seen, facts, point) = looker.look(&front).await;
        panel.with(|known| {
            known.events.take(&facts);
            known.history.extend(point);
            known.seen = Arc::new(seen);
        });
        panel.rouse();
        let changed = async {
            while what_matters(&front) == matters {
                tokio::time::sleep(NOTICE).await;
            }
        };
        let _ = tokio::time::timeout(INTERVAL, changed).await;
    }
}

/// What nobody should wait for to hear.
fn what_matters(front: &Front) -> impl PartialEq + use<> {
    let redis = front.app().and_then(|app| app.levels().cache().health());
    let redis = redis.and_then(|health| health.monitor).map(|monitor| monitor.state);
    (redis, front.problems(), front.not_ready())
}
