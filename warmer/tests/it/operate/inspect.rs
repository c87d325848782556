//! `warmer inspect`: every kind of key, damaged ones, and those that are not there.

use bytes::Bytes;
use shared::cache::{Patience, Read, Write};

use super::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_of_a_full_cache_is_known_and_sound() {
    let place = Place::new().await;
    place.done(&["once"]).await;
    place.done(&["pause", "--reason", "a test"]).await;
    place.done(&["refresh"]).await;
    let (mut entries, mut fields) = (0, 0);
    for key in place.cache.scan(place.keys().prefix(), 10_000).await.unwrap() {
        let seen = place.json(&["inspect", &key]).await;
        assert!(seen["what"].is_string(), "{seen}");
        if seen["entry"].is_object() {
            entries += 1;
            assert!(seen["entry"]["damage"].is_null() && !seen["entry"]["content"].is_null(), "{seen}");
        }
        for field in seen["fields"].as_array().into_iter().flatten() {
            fields += 1;
            assert!(field["damage"].is_null() && field["rules_of_settings"] == true, "{field}");
        }
    }
    // 3 stores × 120 days × both kinds, and the directory; 14 documents, 3 partials, 12 days of one store's lines.
    assert_eq!((fields, entries), (3 * 120 * 2 + 4, 14 + 3 + 12));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_shown_decoded() {
    let place = Place::new().await;
    place.done(&["once"]).await;
    let cells = place.keys().day_cells("a,b");
    let table = place.done(&["inspect", &cells]).await;
    let day = table.lines().find(|line| line.contains("2026-03-12")).unwrap();
    assert!(day.contains("sound") && day.ends_with("6 lines"), "{day}");
    let whole = place.json(&["inspect", &cells, "--field", "2026-03-12"]).await;
    let entry = &whole["entry"];
    assert_eq!((&entry["question"], &entry["as_of"]), (&"cells 2026-03-12 a,b".into(), &"2026-03-12".into()));
    // 6 orders: 2, 3, 1, 2, 3, 1 units at 9, 8, 9, 8, 9, 8.
    let channel = &entry["content"]["channels"][0];
    assert_eq!((&channel["units"], channel["sales"].to_string().as_str()), (&12.into(), "102"));
    let text = place.done(&["inspect", &cells, "--field", "2026-03-12", "--head", "3"]).await;
    assert!(text.contains("lines more") && !text.contains("\"units\""), "{text}");
    let text = place.done(&["inspect", &cells, "--field", "2026-03-12", "--full"]).await;
    assert!(
        text.contains("\"units\": 12")
            && text.contains("those of these settings")
            && text.contains(": fresh")
    );
    let directory = place.done(&["inspect", &place.keys().directory()]).await;
    assert!(directory.contains("Store a,b, 72 lines until 2026-03-12"), "{directory}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_readers_refuse_is_told() {
    let place = Place::new().await;
    place.done(&["once"]).await;
    let partial = place.cache.scan(&format!("{}partial:", place.keys().prefix()), 1).await.unwrap().remove(0);
    let slot = shared::keys::Slot { key: partial.clone(), field: None };
    let Read::Hit(whole) = place.cache.read(&[slot], Patience::Bulk).await.pop().unwrap() else {
        panic!("no partial")
    };
    let ttl = std::time::Duration::from_secs(600);
    let mut flipped = whole.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    for (bytes, damage) in [
        (flipped, "checksum differs"),
        (whole[..whole.len() - 1].to_vec(), "truncated"),
        (b"somebody else's bytes".to_vec(), "foreign bytes"),
    ] {
        let value = Bytes::from(bytes);
        place.cache.transact(vec![Write::Set { key: partial.clone(), value, ttl }]).await.unwrap();
        let text = place.done(&["inspect", &partial]).await;
        assert!(text.contains(&format!("a miss: {damage}")), "{text}");
    }
    // Moved by hand to another store's place.
    let moved = partial.replace("a%2Cb", "s2");
    assert_ne!(moved, partial);
    place.cache.transact(vec![Write::Set { key: moved.clone(), value: whole.clone(), ttl }]).await.unwrap();
    assert_eq!(place.json(&["inspect", &moved]).await["entry"]["damage"], "other_question");

    let rules = place.folder.path().join("rules.toml");
    std::fs::write(&rules, "[rules]\nhigh_delivery = \"9\"\n").unwrap();
    let answer = place.cache.scan(&place.keys().answers(), 1).await.unwrap().remove(0);
    let seen = place.json(&["inspect", &answer, "--config", rules.to_str().unwrap()]).await;
    assert_eq!(
        (&seen["entry"]["damage"], &seen["entry"]["rules_of_settings"]),
        (&"other_rules".into(), &false.into())
    );
    assert!(seen["entry"]["content"].is_object(), "decoded all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_not_there_names_near_ones() {
    let place = Place::new().await;
    place.done(&["once"]).await;
    for (args, said) in [
        (&["inspect", "op:1:cells:{s9}"][..], "near it: op:1:cells:{s1}, op:1:cells:{s2}"),
        (&["inspect", "cells:{s1}"], "does not begin with \"op:1:\""),
        (&["inspect", "cells:{s1}"], "near it: op:1:cells:{s1}"),
        (&["inspect", "op:1:cells:{s1}", "--field", "2026-03-32"], "near it: 2026-03-02"),
        (&["inspect", "op:1:version:fleet", "--field", "x"], "no fields; leave out --field"),
    ] {
        let refused = place.refused(args, 1).await;
        assert!(refused.contains(said), "{args:?}: {refused}");
    }
    let value = Bytes::from_static(b"\x00 what is this");
    place.cache.transact(vec![Write::Keep { key: "op:1:other".to_owned(), value }]).await.unwrap();
    let text = place.done(&["inspect", "op:1:other"]).await;
    assert!(text.contains("none of Hotshelf's keys") && text.contains("14 bytes"), "{text}");
}
