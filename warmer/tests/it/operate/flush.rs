//! `warmer flush`: what goes, what stays, and who hears of it.

use bytes::Bytes;
use shared::cache::{Read, Write};
use testkit::wait_until;

use super::{PATIENCE, Place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_without_a_yes() {
    let place = Place::new().await;
    place.done(&["once"]).await;
    let before = place.count("").await;
    let refused = place.refused(&["flush"], 1).await;
    assert!(refused.contains("nothing was removed; give --yes"), "{refused}");
    assert_eq!((place.count("").await, place.version(Some("s1")).await), (before, 1));
    let refused = place.refused(&["flush", "--level", "versions", "--yes"], 64).await;
    assert!(refused.contains("possible values: orders, cells, answers, hot, all"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_level_or_a_store_goes_and_its_versions_change() {
    let place = Place::new().await;
    place.done(&["once"]).await;
    let planned = place.json(&["flush", "--level", "orders", "--yes"]).await;
    assert_eq!((&planned["removed"], &planned["keys"]), (&true.into(), &12.into()), "{planned}");
    assert!(planned["planned"]["orders"]["bytes"].as_u64().unwrap() > 1_000, "{planned}");
    assert_eq!((place.count("orders:").await, place.count("cells:").await), (0, 3));
    // Only the store whose lines were kept.
    let versions = async || {
        (
            place.version(Some("a,b")).await,
            place.version(Some("s1")).await,
            place.version(Some("s2")).await,
            place.version(None).await,
        )
    };
    // The fleet's: documents over all stores and the directory, by `once`, and this.
    assert_eq!(versions().await, (2, 1, 1, 3));

    // Documents of all stores are documents of this one, too.
    place.done(&["flush", "--store", "s1", "--yes"]).await;
    assert_eq!((place.count("cells:").await, place.count("products:").await), (2, 2));
    assert_eq!((place.count("partial:").await, place.count("answer:").await), (2, 0));
    assert_eq!(place.count("fresh:{s1}").await, 0);
    assert_eq!(versions().await, (2, 2, 1, 4));
    assert!(matches!(place.levels.read_directory().await, Read::Hit(_)), "it is of all stores");

    let nothing = place.json(&["flush", "--level", "answers", "--store", "s9", "--yes"]).await;
    assert_eq!(nothing["removed"], false);
    assert_eq!(versions().await, (2, 2, 1, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_other_stores_stay() {
    let place = Place::new().await;
    place.done(&["once", "--stores", "s1"]).await;
    let key = place.cache.scan(&format!("{}partial:", place.keys().prefix()), 1).await.unwrap();
    assert_eq!(key.len(), 1);
    place.done(&["once"]).await;
    assert_eq!(place.count("answer:").await, 14);
    place.done(&["flush", "--level", "answers", "--store", "nobody", "--yes"]).await;
    assert_eq!(place.count("answer:").await, 14);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_but_what_coordinates() {
    let place = Place::new().await;
    place.done(&["once"]).await;
    place.done(&["pause", "--reason", "stays"]).await;
    place.done(&["refresh"]).await;
    let status = place.keys().warmer_status("x").key;
    let other = "other:1:cells:{s1}".to_owned();
    let keep = |key: String| Write::Keep { key, value: Bytes::from_static(b"{}") };
    place.cache.transact(vec![keep(status.clone()), keep(other.clone())]).await.unwrap();
    place.done(&["flush", "--yes"]).await;
    let mut left = place.cache.scan(place.keys().prefix(), 1_000).await.unwrap();
    left.retain(|key| !key.contains(":version:"));
    let (_, fence) = place.keys().lease();
    let mut expected = vec![place.keys().paused().key, place.keys().requests(), status, fence];
    expected.sort_unstable();
    assert_eq!(left, expected);
    assert!(place.get(&other).await.is_some(), "not of this prefix");
    assert_eq!(place.version(Some("s1")).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warmer_that_runs_makes_it_again() {
    let place = Place::new().await;
    // So that the warmer begins with the stores there are.
    place.done(&["once"]).await;
    let _running = place.daemon().await;
    for level in ["answers", "cells", "orders", "all"] {
        let begin = if level == "all" { "directory" } else { level };
        let begin = begin.replace("answers", "answer:");
        let before = place.count(&begin).await;
        assert!(before > 0, "{level}");
        let said = place.done(&["flush", "--level", level, "--yes"]).await;
        assert!(said.contains("makes it again"), "{said}");
        wait_until(level, PATIENCE, async || place.count(&begin).await == before).await;
    }
    wait_until("all of it", PATIENCE, async || {
        place.count("answer:").await > 0
            && place.count("cells:").await == 3
            && place.count("orders:").await == 12
    })
    .await;
}
