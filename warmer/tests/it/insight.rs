//! What `hot`, `plan` and `explain` tell, as programs, beside a running daemon.

use std::process::{Command, Output};

use serde_json::Value;
use shared::access_log::{Event, Outcome};
use testkit::wait_until;

use crate::learning::{PATIENCE, Place, is_kept, overview, request};

/// Runs the program with the place's settings.
fn warmer(place: &Place, args: &[&str]) -> Output {
    let settings = &place.settings;
    let file = place.folder.path().join("settings.toml");
    let state = settings.warm.state.as_ref().unwrap().display();
    let text = format!("[heat]\nlogs = [{:?}]\n[warm]\nstate = \"{state}\"\n", settings.heat.logs[0]);
    std::fs::write(&file, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_warmer"))
        .args(args)
        .arg("--config")
        .arg(&file)
        .env("HOTSHELF_REDIS_URL", &settings.redis.url)
        .env("HOTSHELF_POSTGRES_URL", &settings.postgres.url)
        .output()
        .unwrap()
}

fn json(place: &Place, args: &[&str]) -> Value {
    let output = warmer(place, &[args, &["--output", "json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn words(place: &Place, what: &str) -> String {
    let output = warmer(place, &["explain", what]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn asked() -> Vec<Event> {
    let ask = |store: &str| request("/v1/metrics/overview", &format!("stores={store}"), Outcome::L2Compose);
    let mut events = vec![ask("s3"); 5];
    events.extend([ask("s2"), ask("s2"), ask("s1"), request("/v1/stores/s2/orders", "", Outcome::Source)]);
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn hot_counts_what_the_log_holds_and_explain_gives_the_true_reasons() {
    let place = Place::new(&[]).await;
    let running = place.start();
    running.until("a cycle", |counts| counts.cycles > 0).await;
    place.write(&asked());
    running.until("the plan follows", |counts| counts.plan.answers == 3).await;
    let levels = place.levels();
    for store in ["s1", "s2", "s3"] {
        let query = overview(&levels, store, None, None).await;
        wait_until("what was asked is kept", PATIENCE, async || is_kept(&levels, &query).await).await;
    }
    wait_until("the plan is published", PATIENCE, async || {
        let plan = json(&place, &["plan"]);
        plan["decisions"].as_array().is_some_and(|decisions| decisions.len() == 3)
            && words(&place, "s3").contains("from the plan that the warmer made")
    })
    .await;

    let hot = json(&place, &["hot", "--since", "1h"]);
    let stores: Vec<(&str, u64)> = hot["stores"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["name"].as_str().unwrap(), row["requests"].as_u64().unwrap()))
        .collect();
    assert_eq!(stores, [("s3", 5), ("s2", 3), ("s1", 1)]);
    assert_eq!(hot["lines"][0]["name"], "s2");
    assert_eq!(json(&place, &["hot"])["questions"][0]["name"], "overview?&store=s3");

    let plan = json(&place, &["plan"]);
    assert_eq!((plan["from_log"].as_bool(), plan["decisions"].as_array().unwrap().len()), (Some(true), 3));

    let told = words(&place, "s3");
    assert!(told.contains("rank 1 of 4 by heat") && told.contains("hot, so it is warmed first"), "{told}");
    assert!(told.contains("from the plan that the warmer made"), "{told}");
    let told = words(&place, "s4");
    assert!(told.contains("rank 4 of 4") && told.contains("cold") && told.contains("nobody asked"), "{told}");
    let told = words(&place, "/v1/metrics/overview?stores=s3");
    assert!(told.contains("is in Redis") && told.contains("kept: "), "{told}");
    let told = words(&place, "http://anywhere/v1/metrics/overview?stores=s4");
    assert!(told.contains("composed when it is asked for") && told.contains("nobody asked for it"), "{told}");
    assert!(words(&place, "/v1/diagnosis").contains("one of the documents over all stores"));
    for (what, remedy) in [
        ("s9", "there is no store \"s9\" among 4"),
        ("/v1/nothing", "leads to no document"),
        ("/v1/metrics/trend?granularity=hour", "granularity"),
        ("/v1/stores/s2/orders", "warmer explain s2"),
    ] {
        let output = warmer(&place, &["explain", what]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && told.contains(remedy), "{what}: {told}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_daemon_plan_and_explain_say_what_one_would_do() {
    let place = Place::new(&[]).await;
    place.write(&asked());
    let plan = json(&place, &["plan"]);
    assert_eq!(plan["stores"][0]["store_id"], "s3");
    let told = words(&place, "s3");
    assert!(
        told.contains("cold: 0 of 120 days") && told.contains("no warmer has published a plan"),
        "{told}"
    );
}
