//! The warmer as a service, on real servers and mostly as a process: what its manager, the admin listener and Redis hear
//! of it, and that it goes on with other settings after SIGHUP.

mod place;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use shared::config::AdminSettings;
use shared::runtime::admin::AdminListener;
use testkit::wait_until;
use tokio::sync::mpsc;
use warmer::admin::Pages;
use warmer::daemon::{self, Progress};
use warmer::learned::Learned;
use warmer::publish::Reporter;

use place::{PATIENCE, Place, get};

const REFERENCE: &str = include_str!("../../../docs/warmer-service.md");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_manager_hears_of_readiness_watchdog_reload_and_stop() {
    let place = Place::new().await;
    let manager = place.manager();
    let (port, other_port) = (place::free_port(), place::free_port());
    place.settings(port, "");
    let mut warmer = place.start("a", Some(&manager));
    manager.hears("READY=1").await;
    manager.hears("STATUS=active, cycle idle: 4 of 4 stores ready").await;
    for _ in 0..3 {
        manager.hears("WATCHDOG=1").await;
    }
    let lines = place::metric(port, "lines_read_total").await;
    assert!(lines > 0.0);

    place.settings(other_port, "[log]\nfilter = \"debug\"\n[warm]\nlease = \"1ms\"");
    warmer.signal("HUP");
    let reloading = manager.hears("RELOADING=1").await;
    let clock = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    assert!(clock.parse::<u64>().unwrap() > 0);
    manager.hears("READY=1").await;
    let log = warmer.log();
    assert!(log.contains("warm.lease: \"1ms\" is outside 1s to 1m") && !log.contains(" DEBUG "), "{log}");
    assert!(get(port, "/livez").await.is_some(), "the old settings stay");

    place.settings(other_port, "[log]\nfilter = \"info,warmer=debug\"\n[warm]\nlease = \"2s\"");
    warmer.signal("HUP");
    manager.hears("RELOADING=1").await;
    manager.hears("READY=1").await;
    manager.hears("STATUS=active, cycle idle: 4 of 4 stores ready").await;
    let log = warmer.log();
    let admin = format!("admin.listen: \"127.0.0.1:{port}\" → \"127.0.0.1:{other_port}\"");
    for change in ["warm.lease: 10s → 2s", "log.filter: \"info\" → \"info,warmer=debug\"", &admin] {
        assert!(log.contains(change), "{change}: {log}");
    }
    assert!(get(port, "/livez").await.is_none(), "the old address is given up");
    assert!(place::metric(other_port, "lines_read_total").await >= lines, "counts go on");

    warmer.signal("HUP");
    manager.hears("RELOADING=1").await;
    manager.hears("READY=1").await;
    assert!(warmer.log().contains("nothing changed"), "{}", warmer.log());

    warmer.signal("TERM");
    manager.hears("STOPPING=1").await;
    assert_eq!(warmer.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_it_is_alive_and_not_ready() {
    let mut place = Place::new().await;
    let manager = place.manager();
    let port = place::free_port();
    place.settings(port, "");
    place.redis.stop();
    let warmer = place.start("a", Some(&manager));
    let before = manager.hears_until("STATUS=not ready: redis: ").await;
    assert!(!before.iter().any(|message| message.contains("READY=1")), "{before:?}");
    let (status, body) = get(port, "/readyz").await.unwrap();
    assert!(status == 503 && body.contains("redis"), "{status} {body}");
    assert_eq!(get(port, "/livez").await, Some((200, "alive\n".to_owned())));

    place.redis.start_again().await;
    manager.hears("READY=1").await;
    assert_eq!(get(port, "/readyz").await, Some((200, "ready: this warmer writes\n".to_owned())));

    // From here on the manager does not read; that must stop nothing.
    place.redis.stop();
    wait_until("the outage to be told", PATIENCE, async || get(port, "/readyz").await.unwrap().0 == 503)
        .await;
    assert_eq!(get(port, "/livez").await.unwrap().0, 200);
    assert_eq!(place::metric(port, "ready").await, 0.0);
    place.redis.start_again().await;
    wait_until("readiness", PATIENCE, async || get(port, "/readyz").await.unwrap().0 == 200).await;
    drop(warmer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_ready_and_status_tells_of_both() {
    let place = Place::new().await;
    let manager = place.manager();
    let (port, standby_port) = (place::free_port(), place::free_port());
    place.settings(port, "");
    let (code, nobody) = place.status().await;
    assert!(code == 1 && nobody["active"] == false, "{nobody}");
    let first = place.start("a", None);
    wait_until("the first one", PATIENCE, async || place.status().await.1["active"] == true).await;

    // It has the port of the first one first, which costs it nothing but that.
    let mut second = place.start("b", Some(&manager));
    manager.hears("READY=1").await;
    manager.hears("STATUS=standing by: ").await;
    assert!(second.log().contains("the admin listener has no address"), "{}", second.log());
    place.settings(standby_port, "");
    second.signal("HUP");
    wait_until("its own address", PATIENCE, async || get(standby_port, "/readyz").await.is_some()).await;
    wait_until("the standby to be ready", PATIENCE, async || {
        let (status, body) = get(standby_port, "/readyz").await.unwrap();
        status == 200 && body.starts_with("ready: standing by, ")
    })
    .await;
    let shown = async || {
        let (_, shown) = place.status().await;
        let of =
            |warmer: &Value| (warmer["role"].as_str().unwrap().to_owned(), warmer["pid"].as_u64().unwrap());
        shown["warmers"].as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    let both = [("active".to_owned(), first.id()), ("standby".to_owned(), second.id())];
    wait_until("both to be shown", PATIENCE, async || shown().await == both).await;

    drop(first);
    manager.hears("STATUS=active, ").await;
    let alone = [("active".to_owned(), second.id())];
    wait_until("the dead one to be forgotten", PATIENCE, async || shown().await == alone).await;
    assert_eq!(place.status().await.0, 0);
    second.signal("TERM");
    assert_eq!(second.ended().await, Some(0));
    let (code, nobody) = place.status().await;
    assert!(code == 1 && nobody["warmers"].as_array().unwrap().is_empty(), "{nobody}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_can_be_read_and_says_what_was_done() {
    let place = Place::new().await;
    let port = place::free_port();
    place.settings(port, "");
    let _warmer = place.start("a", None);
    let counted = async || {
        let text = place::metrics(port).await;
        text.contains("hotshelf_warmer_stores 4\n") && text.contains("last_cycle_end")
    };
    wait_until("a cycle and its counts", PATIENCE, counted).await;
    let text = place::metrics(port).await;
    let lines: Vec<&str> = text.lines().collect();
    let scrape = prometheus_parse::Scrape::parse(lines.iter().map(|line| Ok((*line).to_owned()))).unwrap();
    let samples = lines.iter().filter(|line| !line.starts_with('#')).count();
    assert!(scrape.samples.len() == samples && samples >= 30, "{text}");
    for sample in &scrape.samples {
        assert!(sample.metric.starts_with("hotshelf_warmer_"), "{sample:?}");
        assert!(scrape.docs.contains_key(&sample.metric), "{sample:?} has no help");
        let short = sample.metric.trim_start_matches("hotshelf_warmer_");
        assert!(
            REFERENCE.contains(&format!("| `{short}` |")),
            "{short} is missing in docs/warmer-service.md"
        );
        let counter = matches!(sample.value, prometheus_parse::Value::Counter(_));
        assert_eq!(counter, sample.metric.ends_with("_total"), "{sample:?}");
        assert!(sample.labels.len() <= 1, "{sample:?}");
    }
    // 4 stores, 12 days, 6 orders a day.
    for (name, value) in
        [("stores", 4.0), ("stores_ready", 4.0), ("lines_read_total", 288.0), ("cycles_total", 1.0)]
    {
        assert_eq!(place::metric(port, name).await, value, "{name}");
    }
    let (status, body) = get(port, "/status").await.unwrap();
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &shown["counts"]["lines_read"], &shown["role"]),
        (200, &288.into(), &"active".into())
    );
    assert_eq!(get(port, "/").await.unwrap().0, 404);
}

/// The loop is held by a future that blocks its thread, as a wrong lock would; timers and sockets of the same runtime may
/// stand still with it.
#[test]
fn a_loop_that_hangs_is_found() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let place = runtime.block_on(Place::new());
    let (hangs, (release, held)) = (Arc::new(AtomicBool::new(false)), std::sync::mpsc::sync_channel::<()>(0));
    let progress = Progress::default();
    let limit = Duration::from_secs(2);
    let reporter = Arc::new(Reporter::new(progress.clone(), 0));
    let port = place::free_port();
    let settings = AdminSettings {
        listen: Some(format!("127.0.0.1:{port}")),
        max_connections: 4,
        header_timeout: Duration::from_secs(10),
    };
    let _listener = AdminListener::start(
        &settings,
        Arc::new(Pages::new(Arc::clone(&reporter), limit, runtime.handle().clone())),
    )
    .unwrap();
    let daemon = {
        let (settings, warming, hangs) =
            (place.in_process(), runtime.block_on(place.warming()), hangs.clone());
        async move {
            let (_requests, requests) = mpsc::channel(1);
            let stop = std::future::poll_fn(move |_| {
                if hangs.swap(false, Ordering::SeqCst) {
                    // The end of the test releases it too.
                    let _ = held.recv();
                }
                std::task::Poll::Pending
            });
            let learned = Arc::new(Learned::open(&settings));
            daemon::run(&settings, &warming, learned, progress, requests, stop).await.unwrap();
        }
    };
    runtime.spawn(daemon);
    let state = || reporter.service_state(limit);
    runtime.block_on(wait_until("a cycle", PATIENCE, async || reporter.progress().counts().cycles > 0));
    assert!(state().alive && state().ready);
    assert!(place::get_blocking(port, "/livez").starts_with("HTTP/1.1 200"));

    hangs.store(true, Ordering::SeqCst);
    place::wait_blocking("the loop to be found hanging", || !state().alive);
    let answer = place::get_blocking(port, "/livez");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("has not come round"), "{answer}");
    release.send(()).unwrap();
    place::wait_blocking("life", || place::get_blocking(port, "/livez").starts_with("HTTP/1.1 200"));
    runtime.shutdown_background();
}
