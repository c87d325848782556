//! What operators tell a warmer that runs, and the pages about all of it.

use std::process::Command;

use shared::cache::levels::Paused;
use testkit::wait_until;

use super::{PATIENCE, Place};

/// Units that the day cell of 2026-03-12 of the store `a,b` holds.
async fn units(place: &Place) -> u64 {
    let cells = place.keys().day_cells("a,b");
    let seen = place.json(&["inspect", &cells, "--field", "2026-03-12"]).await;
    seen["entry"]["content"]["channels"][0]["units"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refreshed_store_is_read_again() {
    let place = Place::new().await;
    let _running = place.daemon().await;
    assert_eq!(units(&place).await, 12);
    // The number of lines stays, so that only a whole read finds it.
    place.execute("UPDATE orders SET quantity = quantity + 1 WHERE store_id = 'a,b'").await;
    let asked = place.json(&["refresh", "--store", "a,b"]).await;
    assert_eq!((&asked["stores"], asked["writer"]["owner"].is_string()), (&1.into(), true), "{asked}");
    wait_until("a new cell", PATIENCE, async || units(&place).await == 18).await;
    place.execute("UPDATE orders SET quantity = quantity + 1").await;
    assert_eq!(place.json(&["refresh", "--all"]).await["stores"], 3);
    wait_until("a new cell", PATIENCE, async || units(&place).await == 24).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_is_checked_and_waits_for_a_warmer() {
    let place = Place::new().await;
    let refused = place.refused(&["refresh", "--store", "s1"], 1).await;
    assert!(refused.contains("no directory of stores"), "{refused}");
    place.done(&["once"]).await;
    let refused = place.refused(&["refresh", "--store", "s1", "--store", "s11"], 1).await;
    assert!(refused.contains("no store \"s11\" (near: s1"), "{refused}");
    assert_eq!(place.count("requests").await, 0, "nothing was asked");
    place.refused(&["refresh", "--all", "--store", "s1"], 64).await;
    let said = place.done(&["refresh"]).await;
    assert!(said.contains("asked for a cycle now") && said.contains("no warmer runs"), "{said}");
    place.done(&["refresh", "--store", "a,b"]).await;
    let shown = place.json(&["inspect", &place.keys().requests()]).await;
    assert_eq!(shown["requests"]["waiting"], 2);
    assert_eq!(shown["requests"]["first"][1]["stores"][0], "a,b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_explained_kept_and_ended() {
    let place = Place::new().await;
    let said = place.done(&["pause", "--reason", "index"]).await;
    assert!(said.contains("paused by tester@") && said.contains(": index"), "{said}");
    assert!(said.contains("no warmer runs"), "{said}");
    let Some(Paused::Yes(first)) = place.levels.read_paused().await else { panic!("not paused") };
    let again = place.json(&["pause"]).await;
    assert_eq!(again["pause"], again["before"]);
    assert_eq!(place.levels.read_paused().await, Some(Paused::Yes(first.clone())), "as it was");
    place.done(&["pause", "--for", "2h"]).await;
    let Some(Paused::Yes(second)) = place.levels.read_paused().await else { panic!("not paused") };
    assert_eq!(second.until, Some(second.since + 2 * 3600 * 1000));
    let ttl = place.json(&["inspect", &place.keys().paused().key]).await["ttl_ms"].as_u64().unwrap();
    assert!((3600 * 1000..=2 * 3600 * 1000).contains(&ttl), "{ttl}");
    let resumed = place.done(&["resume"]).await;
    assert!(resumed.contains("warming resumes"), "{resumed}");
    assert_eq!(place.levels.read_paused().await, Some(Paused::No));
    let resumed = place.done(&["resume"]).await;
    assert!(resumed.contains("was not paused"), "{resumed}");
    let refused = place.refused(&["pause", "--for", "soon"], 64).await;
    assert!(refused.contains("30m or 2h"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_warmer_keeps_what_is_asked_of_it() {
    let place = Place::new().await;
    let _running = place.daemon().await;
    place.done(&["pause"]).await;
    wait_until("the pause", PATIENCE, async || place.daemon_log().contains("warming was paused")).await;
    place.execute("UPDATE orders SET quantity = quantity + 1 WHERE store_id = 'a,b'").await;
    let said = place.done(&["refresh", "--store", "a,b"]).await;
    assert!(said.contains("warming is paused"), "{said}");
    assert_eq!((units(&place).await, place.count("requests").await), (12, 1));
    let said = place.done(&["resume"]).await;
    assert!(said.contains("begins a cycle"), "{said}");
    wait_until("what was asked meanwhile", PATIENCE, async || units(&place).await == 18).await;
    wait_until("a second cycle", PATIENCE, async || place.daemon_log().matches("cycle ended").count() == 2)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_every_command_fails_at_once() {
    for command in
        [&["inspect", "op:1:x"][..], &["flush", "--yes"], &["pause"], &["resume"], &["refresh"], &["once"]]
    {
        let mut process = Command::new(env!("CARGO_BIN_EXE_warmer"));
        let output = process.args(command).args(["--redis", "redis://127.0.0.1:1"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert!(super::stderr(&output).contains("check that redis-server runs"), "{command:?}");
    }
}

#[test]
fn completions_and_manuals_name_every_command() {
    let warmer = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_warmer")).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    warmer(&["man", "--dir", folder.path().to_str().unwrap()]);
    let (page, completions) = (warmer(&["man"]), warmer(&["completions", "bash"]));
    for command in [
        "import",
        "once",
        "run",
        "inspect",
        "flush",
        "pause",
        "resume",
        "refresh",
        "simulate",
        "completions",
        "man",
    ] {
        let own = std::fs::read_to_string(folder.path().join(format!("warmer-{command}.1"))).unwrap();
        assert!(own.contains("Examples:"), "{command}");
        assert!(page.contains(&format!("warmer\\-{command}(1)")), "{command}");
        assert!(completions.contains(&format!("warmer__subcmd__{command}")), "{command}");
        assert!(warmer(&[command, "--help"]).contains("Examples:"), "{command}");
    }
    assert!(folder.path().join("warmer.1").exists());
    for (command, redis, postgres) in
        [("simulate", false, false), ("import", false, true), ("inspect", true, false), ("once", true, true)]
    {
        let help = warmer(&[command, "--help"]);
        assert_eq!((help.contains("--redis"), help.contains("--postgres")), (redis, postgres), "{command}");
    }
}
