//! `warmer once` as the one writer, of some stores and levels, stopped and replaced.

use std::process::Stdio;
use std::time::Duration;

use shared::cache::{CacheErrorKind, Read, Write};
use testkit::wait_until;

use super::{PATIENCE, Place, stderr};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_writes_only_with_the_lease_and_gives_it_back() {
    let place = Place::new().await;
    let (lease, fence) = place.keys().lease();
    let other = place.other_writer(Duration::from_secs(600)).await;
    let refused = place.refused(&["once"], 1).await;
    assert!(
        refused.contains("elsewhere/7/x has the writer's lease") && refused.contains("--force"),
        "{refused}"
    );
    assert!(matches!(place.levels.read_directory().await, Read::Miss), "nothing was written");
    assert_eq!(place.get(&lease).await.as_deref(), Some("elsewhere/7/x"));

    place.done(&["once", "--force"]).await;
    assert!(matches!(place.levels.read_directory().await, Read::Hit(_)));
    assert_eq!(place.get(&lease).await, None, "given back");
    assert_ne!(place.get(&fence).await.as_deref(), Some("elsewhere/7/x"));
    let write = Write::Bump { key: place.keys().fleet_version() };
    let late = place.cache.fenced(other).transact(vec![write]).await.unwrap_err();
    assert_eq!(late.kind(), CacheErrorKind::LeaseLost);
    place.done(&["once"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_gives_the_lease_back_too() {
    let place = Place::new().await;
    let refused = place.refused(&["once", "--stores", "s9", "--stores", "nowhere"], 1).await;
    assert!(
        refused.contains("no store \"s9\" (near: s1, s2)") && refused.contains("no store \"nowhere\";"),
        "{refused}"
    );
    assert_eq!(place.get(&place.keys().lease().0).await, None);
    assert_eq!(place.count("cells:").await, 0);
    let refused = place.refused(&["once", "--level", "hot"], 64).await;
    assert!(refused.contains("possible values: cells, answers, orders"), "{refused}");
    place.execute("ALTER TABLE orders RENAME TO other").await;
    place.refused(&["once"], 1).await;
    assert_eq!(place.get(&place.keys().lease().0).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_stores_and_levels_asked_for_are_written() {
    let place = Place::new().await;
    place.done(&["once"]).await;
    let report = place.json(&["once", "--stores", "a,b", "--level", "cells"]).await;
    assert_eq!((&report["stores"], &report["failed"]), (&1.into(), &0.into()));
    assert_eq!(report["notes"].as_array().unwrap().len(), 2, "{report}");
    let mut levels: Vec<&str> =
        report["levels"].as_array().unwrap().iter().map(|level| level["name"].as_str().unwrap()).collect();
    levels.sort_unstable();
    assert_eq!(levels, ["L2 day cells", "L2 product cells"]);
    assert_eq!(
        (place.version(Some("a,b")).await, place.version(Some("s1")).await, place.version(None).await),
        (2, 1, 2)
    );

    // The data are called confirmed only by a run of all levels.
    let confirmed = async |store: &str| place.get(&place.keys().store_fresh(store).key).await;
    let (before, other) = (confirmed("a,b").await, confirmed("s1").await);
    place.done(&["once", "--stores", "a,b", "--level", "answers", "--level", "orders"]).await;
    assert_eq!(confirmed("a,b").await, before);
    place.done(&["once", "--stores", "a,b"]).await;
    assert_ne!(confirmed("a,b").await, before);
    assert_eq!(confirmed("s1").await, other);

    // A store that comes is known to the directory only when all are read: half a directory would be a miss.
    place.execute("INSERT INTO orders SELECT * FROM orders WHERE store_id = 's1' LIMIT 1").await;
    place.execute("UPDATE orders SET store_id = 's3' WHERE ctid = (SELECT max(ctid) FROM orders)").await;
    place.done(&["once", "--stores", "s3"]).await;
    let Read::Hit(directory) = place.levels.read_directory().await else { panic!("no directory") };
    assert_eq!(directory.stores().len(), 3);
    place.done(&["once"]).await;
    let Read::Hit(directory) = place.levels.read_directory().await else { panic!("no directory") };
    assert_eq!(directory.stores().len(), 4);
}

/// Runs `once` against a locked table, so that it is at work until something is done about it.
async fn stuck(place: &Place, act: impl AsyncFnOnce(u32)) -> String {
    place.execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await;
    let child = place.command(&["once"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lease = place.keys().lease().0;
    wait_until("the lease", PATIENCE, async || place.get(&lease).await.is_some()).await;
    act(child.id()).await;
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    place.execute("ROLLBACK").await;
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    stderr(&output)
}

/// Waits until the lease lasts longer than it did.
async fn renewed(place: &Place) {
    let lease = place.keys().lease().0;
    let left =
        async || place.redis.key_facts(&lease).await.unwrap().and_then(|facts| facts.ttl).unwrap_or_default();
    let mut before = left().await;
    wait_until("a renewal", PATIENCE, async || {
        let now = left().await;
        std::mem::replace(&mut before, now) < now
    })
    .await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_it_and_gives_the_lease_back() {
    let place = Place::new().await;
    for signal in ["TERM", "INT"] {
        let said = stuck(&place, async |id| {
            renewed(&place).await;
            let kill =
                std::process::Command::new("kill").arg(format!("-{signal}")).arg(id.to_string()).status();
            assert!(kill.unwrap().success());
        })
        .await;
        assert!(said.contains(&format!("stopped by SIG{signal}")), "{said}");
        assert_eq!(place.get(&place.keys().lease().0).await, None);
    }
    place.done(&["once"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_when_another_writer_takes_over() {
    let place = Place::new().await;
    let said = stuck(&place, async |_| {
        place.other_writer(Duration::from_secs(600)).await;
    })
    .await;
    assert!(said.contains("elsewhere/7/x took the writer's lease over"), "{said}");
    assert_eq!(place.get(&place.keys().lease().0).await.as_deref(), Some("elsewhere/7/x"), "not given back");
}
