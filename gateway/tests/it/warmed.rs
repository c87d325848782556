//! The circle closed: what one gateway missed, the real warmer reads in its access log and makes ready, and every other
//! gateway hits, without the database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway::AccessLog;
use http::Method;
use shared::config::{ChangeMode, Settings};
use shared::source::Source;
use testkit::{PostgresServer, RedisServer, wait_until};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use warmer::daemon::{self, Progress};
use warmer::follow::Follower;
use warmer::learned::Learned;
use warmer::warming::Warming;

use crate::client::{self, encoded};
use crate::fixture::{self, Gateway, LAST_DAY, STORES};

const LIMIT: Duration = Duration::from_secs(60);

/// The real warmer, following an access log.
struct Warmer {
    progress: Progress,
    stop: oneshot::Sender<()>,
    tasks: JoinSet<()>,
}

impl Warmer {
    fn start(settings: &Settings, source: &Source, redis: &str) -> Self {
        let levels = fixture::levels(fixture::redis(redis));
        let warming = Warming::new(settings, source.clone(), levels, fixture::compute());
        let learned = Arc::new(Learned::open(settings));
        let progress = Progress::default();
        let (sender, requests) = mpsc::channel(100);
        let (stop, stopped) = oneshot::channel::<()>();
        let follower = Follower::open(&settings.heat, &learned).unwrap();
        let mut tasks = JoinSet::new();
        let follow = follower.run(Arc::clone(&learned), progress.clone(), sender);
        let (settings, shown) = (settings.clone(), progress.clone());
        tasks.spawn(async move {
            let stopped = async { drop(stopped.await) };
            let run = daemon::run(&settings, &warming, learned, shown, requests, stopped);
            tokio::select! {
                ended = run => ended.unwrap(),
                () = follow => panic!("the follower ended"),
            }
        });
        Self { progress, stop, tasks }
    }

    async fn is_idle(&self) {
        let cycles = || self.progress.counts().cycles;
        wait_until("the first cycle", LIMIT, async || cycles() > 0).await;
    }

    async fn stop(mut self) {
        self.stop.send(()).unwrap();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

fn settings(log: &Path) -> Settings {
    let mut settings = fixture::settings();
    settings.changes.mode = ChangeMode::Poll;
    settings.changes.poll_interval = Duration::from_secs(3600);
    settings.warm.interval = Duration::from_secs(3600);
    settings.heat.logs = vec![log.display().to_string()];
    settings.heat.poll_interval = Duration::from_millis(20);
    settings
}

fn gateway_log(path: &Path) -> AccessLog {
    let settings =
        shared::config::AccessLogSettings { path: Some(path.to_owned()), ..fixture::settings().access_log };
    AccessLog::start(&settings, "127.0.0.1:1").unwrap()
}

/// Every kind of document with every parameter and every value of those that are enumerations.
fn urls() -> Vec<String> {
    let one = encoded(STORES[3]);
    let three = format!("{},{}&stores={}", encoded(STORES[1]), encoded(STORES[2]), encoded(STORES[1]));
    let mut urls = vec!["/v1/stores".to_owned()];
    let mut add = |url: String| urls.push(url);
    for stores in [String::new(), format!("stores={one}"), format!("stores={three}")] {
        for range in ["", "&from=2026-03-01&to=2026-03-05", "&from=2026-03-03", "&to=2026-03-04"] {
            for path in
                ["metrics/overview", "metrics/trend", "metrics/channels", "metrics/products", "diagnosis"]
            {
                add(format!("/v1/{path}?{stores}{range}"));
            }
        }
        for own in ["granularity=day", "granularity=week", "granularity=month"] {
            add(format!("/v1/metrics/trend?{stores}&{own}"));
        }
        for sort in ["units", "sales", "profit", "loss"] {
            add(format!("/v1/metrics/products?{stores}&sort={sort}&limit=7"));
        }
        for channel in [
            format!("channel={}", encoded("自营")),
            "channel=".to_owned(),
            format!("channel=&channel={}", encoded("美团闪购")),
        ] {
            for path in ["overview", "trend", "products"] {
                add(format!("/v1/metrics/{path}?{stores}&{channel}"));
            }
        }
    }
    for sort in ["sales", "profit", "profit_rate", "orders"] {
        for order in ["desc", "asc"] {
            add(format!("/v1/metrics/stores?sort={sort}&order={order}"));
        }
    }
    add(format!("/v1/metrics/stores?channel={}&from=2026-03-01&to={LAST_DAY}", encoded("饿了么")));
    for store in [STORES[0], STORES[3]] {
        for own in ["", "limit=3", "from=2026-03-02&to=2026-03-05", &format!("channel={}", encoded("自营"))]
        {
            add(format!("/v1/stores/{}/orders?{own}", encoded(store)));
        }
    }
    urls
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_asked_is_a_hit_on_every_gateway_without_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let settings = settings(&log);
    let redis = RedisServer::start().await;
    let mut postgres = PostgresServer::start().await;
    let url = postgres.fresh_database().await;
    let source = fixture::postgres(&url).await;
    let warmer = Warmer::start(&settings, &source, &redis.url());
    warmer.is_idle().await;
    let levels = || fixture::levels(fixture::redis(&redis.url()));
    let first = Gateway::start_with(source.clone(), levels(), gateway_log(&log)).await;
    let mut bodies = Vec::new();
    for url in urls() {
        let answer = first.ok(&url).await;
        bodies.push((url, answer.body, answer.headers["etag"].clone()));
    }
    let second = Gateway::start(source.clone(), levels()).await;
    for (url, ..) in &bodies {
        let place = format!("{url} is warmed");
        wait_until(&place, LIMIT, async || is_hit(url, second.get(url).await.header("x-cache"))).await;
    }
    postgres.stop();
    let third = Gateway::start(source, levels()).await;
    for (url, body, tag) in bodies {
        let answer = third.ok(&url).await;
        let outcome = answer.header("x-cache");
        assert!(is_hit(&url, outcome), "{url}: {outcome}");
        assert!(answer.body == body && answer.headers["etag"] == tag, "{url}");
    }
    warmer.stop().await;
}

/// A question of all stores by somebody who may see some is one about those: it is warmed as such, for him, and for
/// whoever names them.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_with_a_list_asks_for_is_a_hit_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let mut settings = settings(&log);
    // The first ends before the other stores do: the days that he is shown are his, and the log counts from theirs.
    settings.access.tokens =
        vec![fixture::reader("first", &STORES[..1]), fixture::reader("board", &[STORES[2], STORES[3]])];
    let redis = RedisServer::start().await;
    let postgres = PostgresServer::start().await;
    let source = fixture::postgres(&postgres.fresh_database().await).await;
    let warmer = Warmer::start(&settings, &source, &redis.url());
    warmer.is_idle().await;
    let levels = || fixture::levels(fixture::redis(&redis.url()));
    let gateway = Gateway::start_as(source.clone(), levels(), gateway_log(&log), settings.clone()).await;
    let other = Gateway::start_as(source.clone(), levels(), AccessLog::off(), settings.clone()).await;
    let urls: Vec<String> =
        urls().into_iter().filter(|url| !url.contains("stores=") && !url.contains("/orders")).collect();
    assert!(urls.len() > 30, "{urls:?}");
    let mut bodies = Vec::new();
    for token in ["first", "board"] {
        for url in &urls {
            let answer = gateway.get_as(token, url).await;
            assert_eq!(answer.status.as_u16(), 200, "{}", answer.text());
            bodies.push((token, url, answer.body));
        }
    }
    for (token, url, body) in bodies {
        let place = format!("{url} is warmed for {token}");
        let mut answer = None;
        wait_until(&place, LIMIT, async || {
            let asked = other.get_as(token, url).await;
            let hit = is_hit(url, asked.header("x-cache"));
            answer = Some(asked);
            hit
        })
        .await;
        assert_eq!(answer.map(|answer| answer.body), Some(body), "{place}");
    }
    warmer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_reaches_the_warmer() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    let settings = settings(&log);
    let redis = RedisServer::start().await;
    let source = fixture::postgres(&PostgresServer::shared().await.fresh_database().await).await;
    let warmer = Warmer::start(&settings, &source, &redis.url());
    warmer.is_idle().await;
    let levels = fixture::levels(fixture::redis(&redis.url()));
    let gateway = Gateway::start_with(source, levels, gateway_log(&log)).await;
    let before = warmer.progress.counts().refreshes;
    let headers = [("content-type", "application/json")];
    let body = r#"{"stores":["all"],"from":"2026-03-01"}"#;
    let answer = client::send_body(Method::POST, &gateway.address, "/v1/refresh", &headers, body).await;
    assert_eq!(answer.status.as_u16(), 202, "{}", answer.text());
    wait_until("the refresh", LIMIT, async || warmer.progress.counts().refreshes == before + 1).await;
    warmer.stop().await;
}

/// Whether nothing had to be composed or read.
fn is_hit(url: &str, outcome: &str) -> bool {
    if url.contains("/orders?") { outcome == "l1" } else { outcome == "l3" || outcome == "l4" }
}
