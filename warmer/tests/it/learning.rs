//! What the daemon learns from access logs, on real servers.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use shared::access_log::{Event, Outcome, Refresh, Request, line};
use shared::cache::levels::Stored;
use shared::cache::{Cache, Levels, Read, RedisCache};
use shared::config::{ChangeMode, Settings};
use shared::keys::Keys;
use shared::model::{Ask, Day, Document, Query};
use shared::published::{Counts, PlanRecord, Reason};
use shared::runtime::{ComputePool, now_ms};
use shared::source::Source;
use shared::source::postgres::{PostgresSource, SCHEMA};
use testkit::{PostgresServer, RedisServer, wait_until};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use warmer::daemon::{self, Progress};
use warmer::follow::{self, Follower};
use warmer::learned::Learned;
use warmer::warming::Warming;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// 4 stores, 12 days to 2026-03-12, 6 orders a day.
const ROWS: &str = "INSERT INTO orders (order_id, store_id, store_name, ordered_at, channel, product_name, quantity, \
     list_price, paid_price, cost, gross_profit, stock) \
     SELECT 'o' || n, 's' || s, 'Store ' || s, timestamp '2026-03-01 10:00' + d * interval '1 day', '', 'p' || n % 5, \
     1 + n % 3, 10, 8 + n % 2, 5, 3, n FROM generate_series(1, 4) s, generate_series(0, 11) d, generate_series(1, 6) n";
const LAST_DAY: &str = "2026-03-12";

pub(crate) struct Place {
    redis: RedisServer,
    client: tokio_postgres::Client,
    pub(crate) settings: Settings,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) struct Running {
    progress: Progress,
    learned: Arc<Learned>,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

impl Place {
    pub(crate) async fn new(redis: &[&str]) -> Self {
        let (url, client) = PostgresServer::shared().await.database_after(&[SCHEMA, ROWS]).await;
        let (redis, folder) = (RedisServer::start_with(redis).await, tempfile::tempdir().unwrap());
        let mut settings = Settings::load(&[], &|_| None).unwrap();
        settings.redis.url = redis.url();
        settings.redis.connect_timeout = Duration::from_secs(10);
        settings.redis.command_timeout = Duration::from_secs(10);
        settings.redis.bulk_timeout = Duration::from_secs(10);
        settings.postgres.url = url;
        settings.changes.mode = ChangeMode::Poll;
        settings.changes.poll_interval = Duration::from_millis(100);
        settings.warm.interval = Duration::from_secs(3600);
        settings.warm.rank_interval = Duration::from_millis(100);
        settings.warm.state = Some(folder.path().join("state"));
        settings.heat.logs = vec![folder.path().join("access.log").display().to_string()];
        settings.heat.poll_interval = Duration::from_millis(20);
        Self { redis, client, settings, folder }
    }

    pub(crate) fn levels(&self) -> Levels {
        let cache = Cache::Redis(RedisCache::connect(&self.settings.redis).unwrap());
        let (rules, ttl) = (self.settings.rules.fingerprint(), self.settings.ttl);
        Levels::new(cache, Keys::new(&self.settings.prefix), rules, ttl, self.settings.max_inflated)
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    pub(crate) fn write(&self, events: &[Event]) {
        let mut lines = Vec::new();
        for event in events {
            line::write(event, &mut lines).unwrap();
        }
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        file.write_all(&lines).unwrap();
    }

    pub(crate) fn start(&self) -> Running {
        let source = Source::Postgres(PostgresSource::new(&self.settings.postgres).unwrap());
        let compute = ComputePool::new(2, 16).unwrap();
        let warming = Warming::new(&self.settings, source, self.levels(), compute);
        let (learned, progress) = (Arc::new(Learned::open(&self.settings)), Progress::default());
        let (sender, requests) = mpsc::channel(100);
        let (stop, stopped) = oneshot::channel::<()>();
        let follower = Follower::open(&self.settings.heat, &learned).unwrap();
        let (settings, of_daemon, shown) = (self.settings.clone(), Arc::clone(&learned), progress.clone());
        let follow = follower.run(Arc::clone(&learned), progress.clone(), sender);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let stopped = async { drop(stopped.await) };
            tokio::select! {
                ended = daemon::run(&settings, &warming, of_daemon, shown, requests, stopped) => ended.unwrap(),
                () = follow => panic!("the follower ended"),
            }
        });
        Running { progress, learned, stop, tasks }
    }

    async fn execute(&self, statement: &str) {
        self.client.batch_execute(statement).await.unwrap();
    }
}

impl Running {
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Counts) -> bool) {
        wait_until(what, PATIENCE, async || condition(&self.progress.counts())).await;
    }

    /// Ends it, and keeps what it learned.
    pub(crate) async fn stop(mut self) {
        self.stop.send(()).unwrap();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        follow::save(self.learned).await;
    }
}

pub(crate) fn request(path: &str, query: &str, outcome: Outcome) -> Event {
    Event::Request(Request {
        time: now_ms(),
        method: "GET".into(),
        path: path.into(),
        query: query.into(),
        status: 200,
        outcome,
        last_day: LAST_DAY.parse().ok(),
        ..Request::default()
    })
}

fn day(text: &str) -> Option<Day> {
    text.parse().ok()
}

/// The overview of a store over some days, as it is resolved.
pub(crate) async fn overview(levels: &Levels, store: &str, from: Option<Day>, to: Option<Day>) -> Query {
    let Read::Hit(directory) = levels.read_directory().await else { panic!("a directory") };
    let stores = Some([store.to_owned()].into());
    Ask { stores, from, to, ..Ask::default_for(Document::Overview) }.resolve(&directory).unwrap()
}

pub(crate) async fn is_kept(levels: &Levels, query: &Query) -> bool {
    matches!(levels.read_answer(query).await, Read::Hit(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_kept_across_restarts_and_what_nobody_keeps_is_removed() {
    let place = Place::new(&[]).await;
    let levels = place.levels();
    let running = place.start();
    running.until("a cycle", |counts| counts.cycles > 0).await;
    place.write(&[request("/v1/metrics/overview", "stores=s1", Outcome::L2Compose)]);
    let query = overview(&levels, "s1", None, None).await;
    // Because it was missed, or because the plan, which follows the log too, was sooner.
    wait_until("the miss is warmed", PATIENCE, async || is_kept(&levels, &query).await).await;
    running.stop().await;
    // While no warmer ran: data changed, and somebody left a document that no plan knows.
    place.execute("UPDATE orders SET quantity = quantity + 1 WHERE store_id = 's1'").await;
    let foreign = overview(&levels, "s2", None, None).await;
    let Read::Hit((header, answer)) = levels.read_answer(&query).await else { panic!("kept") };
    let stamp = shared::cache::levels::Stamp { now: 1, as_of: None, version: header.data_version };
    let write = levels.write_answer(&foreign, &answer, &stamp).unwrap();
    levels.cache().transact(vec![write]).await.unwrap();
    let again = place.start();
    again.until("a cycle", |counts| counts.cycles > 0).await;
    wait_until("the foreign document is removed", PATIENCE, async || !is_kept(&levels, &foreign).await).await;
    wait_until("the kept one is of the new data", PATIENCE, async || {
        matches!(levels.read_answer(&query).await, Read::Hit((new, _)) if new.data_version != header.data_version)
    })
    .await;
    // The line was read once, not twice.
    let heat = again.learned.with(|state| state.interest.store_heat(&"s1".to_owned(), now_ms() as u64));
    assert!((0.9..=1.0).contains(&heat), "{heat}");
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tomorrows_form_is_made_when_the_first_line_of_a_new_day_arrives() {
    let place = Place::new(&[]).await;
    let levels = place.levels();
    let running = place.start();
    running.until("a cycle", |counts| counts.cycles > 0).await;
    let asked = format!("stores=s1&from=2026-03-06&to={LAST_DAY}");
    place.write(&[request("/v1/metrics/overview", &asked, Outcome::L2Compose)]);
    let today = overview(&levels, "s1", day("2026-03-06"), day(LAST_DAY)).await;
    wait_until("the miss is warmed", PATIENCE, async || is_kept(&levels, &today).await).await;
    place.execute(
        "INSERT INTO orders (order_id, store_id, ordered_at, product_name, quantity, list_price, paid_price, cost, gross_profit) \
         VALUES ('new', 's3', '2026-03-13 00:00:01', 'p1', 1, 10, 9, 5, 3)",
    ).await;
    let tomorrow = overview(&levels, "s1", day("2026-03-07"), day("2026-03-13")).await;
    wait_until("tomorrow's form is kept", PATIENCE, async || is_kept(&levels, &tomorrow).await).await;
    wait_until("today's form is not kept any more", PATIENCE, async || !is_kept(&levels, &today).await).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_reads_again_and_each_token_has_its_limit() {
    let mut place = Place::new(&[]).await;
    place.settings.heat.refreshes_per_minute = 1;
    let running = place.start();
    running.until("a cycle", |counts| counts.cycles > 0).await;
    let before = running.progress.counts();
    let refresh = |stores: Option<Vec<String>>, from: Option<Day>| {
        Event::Refresh(Refresh { requested_at: now_ms(), stores, from, to: from, ..Refresh::default() })
    };
    let first = refresh(Some(vec!["s2".to_owned(), "nobody".to_owned()]), day("2026-03-05"));
    place.write(&[first, refresh(None, None)]);
    running
        .until("one is seen to, one is too many", |counts| {
            counts.refreshes == 1 && counts.requests_limited == 1
        })
        .await;
    running.until("the day was read", |counts| counts.lines_read > before.lines_read).await;
    let after = running.progress.counts();
    assert_eq!(
        (after.lines_read - before.lines_read, after.store_days_read - before.store_days_read),
        (6, 1)
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hottest_have_ready_responses_until_others_are_hotter() {
    let mut place = Place::new(&[]).await;
    place.settings.warm.hot_answers = 1;
    let levels = place.levels();
    let running = place.start();
    running.until("a cycle", |counts| counts.cycles > 0).await;
    let (a, b) = (overview(&levels, "s1", None, None).await, overview(&levels, "s2", None, None).await);
    let is_ready =
        async |query: &Query| matches!(levels.read_ready(query).await, Read::Hit(Stored::Ready { .. }));
    let ask = |store: &str| request("/v1/metrics/overview", &format!("stores={store}"), Outcome::L2Compose);
    place.write(&[ask("s1"), ask("s1"), ask("s1"), ask("s2")]);
    wait_until("the hottest is ready", PATIENCE, async || is_ready(&a).await && is_kept(&levels, &b).await)
        .await;
    assert!(!is_ready(&b).await);
    place.write(&vec![ask("s2"); 9]);
    wait_until("the other one is", PATIENCE, async || is_ready(&b).await && !is_ready(&a).await).await;
    // When the data change, the ready response does.
    place
        .execute(
            "UPDATE orders SET quantity = quantity + 1 WHERE store_id = 's2' AND ordered_at > '2026-03-12'",
        )
        .await;
    let version = async || match levels.read_ready(&b).await {
        Read::Hit(Stored::Ready { header, .. }) => Some(header.data_version),
        _ => None,
    };
    let before = version().await;
    wait_until("it is of the new data", PATIENCE, async || {
        let now = version().await;
        now.is_some() && now != before
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_lines_are_kept_where_they_are_asked_for_and_the_plan_says_why() {
    let place = Place::new(&[]).await;
    let levels = place.levels();
    let running = place.start();
    running.until("a cycle", |counts| counts.cycles > 0).await;
    place.write(&[request("/v1/stores/s4/orders", "", Outcome::Source)]);
    let has_lines = async |store: &str| {
        let store_days = [(store.to_owned(), day(LAST_DAY).unwrap())];
        matches!(levels.read_orders(&store_days).await.pop(), Some(Read::Hit(_)))
    };
    wait_until("the lines are kept", PATIENCE, async || has_lines("s4").await).await;
    wait_until("the plan says so", PATIENCE, async || {
        let Read::Hit(record) = levels.read_plan::<PlanRecord>().await else { return false };
        let reason = |id: &str| {
            record.stores.iter().find(|store| store.store_id == id).map(|store| store.lines_reason.clone())
        };
        record.from_log && reason("s4") == Some(Reason::Worth) && reason("s1") == Some(Reason::NotAsked)
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn near_the_limit_of_redis_the_plan_shrinks() {
    let place = Place::new(&["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let running = place.start();
    running.until("the plan is below its setting", |counts| counts.memory.shrunk && counts.cycles > 0).await;
    let counts = running.progress.counts();
    assert_eq!(counts.memory.limit, Some(3 << 20));
    assert!(
        counts.plan.budget < place.settings.warm.budget && counts.plan.budget <= 3 << 20,
        "{:?}",
        counts.plan
    );
    drop(place.redis.url());
    running.stop().await;
}
