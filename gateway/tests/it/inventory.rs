//! What is warm: entries and days, page by page.

use serde_json::Value;
use shared::cache::Write;
use testkit::RedisServer;

use crate::fixture::{self, Gateway, LAST_DAY, STORES};

fn list<'a>(answer: &'a Value, name: &str) -> &'a Vec<Value> {
    answer["data"][name].as_array().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_are_those_that_lie_in_the_cache() {
    let redis = RedisServer::start().await;
    let (source, levels) = (fixture::files().await, fixture::levels(fixture::redis(&redis.url())));
    fixture::warm(&source, &levels).await;
    let gateway = Gateway::start(source, levels.clone()).await;
    let all = gateway.ok("/v1/inventory").await.json();
    assert!(all["data"]["next"].is_null());
    let entries = list(&all, "entries");
    for level in ["l1", "l2", "l3"] {
        let of_level: Vec<&Value> = entries.iter().filter(|entry| entry["level"] == level).collect();
        let alone = gateway.ok(&format!("/v1/inventory?level={level}")).await.json();
        assert!(!of_level.is_empty() && list(&alone, "entries").len() == of_level.len(), "{level}");
        for entry in of_level {
            assert!(entry["bytes"].as_u64().unwrap() > 0 && entry["computed_at"].is_i64(), "{entry}");
            assert!(entry["stale_in"].as_i64().unwrap() > 0, "{entry}");
            assert!(!entry["why"].as_str().unwrap().is_empty(), "{entry}");
            let key = entry["key"].as_str().unwrap();
            let field = entry["field"].as_str().map(str::to_owned);
            let slot = shared::keys::Slot { key: key.to_owned(), field };
            let stored = levels.cache().read(&[slot], shared::cache::Patience::Small).await.pop().unwrap();
            assert_eq!(stored.hit().unwrap().len() as u64, entry["bytes"].as_u64().unwrap(), "{key}");
        }
    }
    let cell = |day: &str| {
        entries
            .iter()
            .find(|entry| entry["kind"] == "cells" && entry["store_id"] == STORES[1] && entry["field"] == day)
    };
    assert_eq!(cell(LAST_DAY).unwrap()["as_of"], LAST_DAY);
    // What goes is not told any more.
    let key = levels.keys().day_cells(STORES[1]);
    levels
        .cache()
        .transact(vec![Write::DeleteFields { key, fields: vec![LAST_DAY.to_owned()] }])
        .await
        .unwrap();
    let after = gateway.ok("/v1/inventory?level=l2&stores=a_b").await.json();
    let gone =
        list(&after, "entries").iter().any(|entry| entry["kind"] == "cells" && entry["field"] == LAST_DAY);
    assert!(!gone);
    let days = gateway.ok("/v1/inventory/days?days=4").await.json();
    let states: Vec<(&Value, &Value)> =
        list(&days, "stores").iter().map(|store| (&store["store_id"], &store["state"])).collect();
    assert_eq!(states.iter().filter(|(_, state)| **state == "warm").count(), STORES.len() - 1, "{states:?}");
    let cut = list(&days, "stores").iter().find(|store| store["store_id"] == STORES[1]).unwrap();
    assert_eq!((&cut["state"], &cut["days"]), (&"partly".into(), &"wwwc".into()));
    assert_eq!(cut["why"]["code"], "no_warmer");
    assert_eq!(days["data"]["counts"], serde_json::json!({ "warm": 5, "partly": 1, "stale": 0, "cold": 0 }));
    // The first store has no orders on the last two days: its cells are there, and empty.
    let first = list(&days, "stores").iter().find(|store| store["store_id"] == STORES[0]).unwrap();
    assert_eq!(first["days"], "wwee");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_lead_to_the_end_and_bad_parameters_are_told() {
    let gateway = Gateway::without_servers().await;
    for path in ["/v1/inventory", "/v1/inventory/days"] {
        let whole = gateway.ok(path).await.json();
        let name = if path.ends_with("days") { "stores" } else { "entries" };
        let (mut found, mut after, mut pages) = (0, String::new(), 0);
        loop {
            let page = gateway.ok(&format!("{path}?limit=4{after}")).await.json();
            found += list(&page, name).len();
            pages += 1;
            let Some(next) = page["data"]["next"].as_str() else { break };
            after = format!("&after={}", crate::client::encoded(next));
        }
        assert_eq!((found, pages), (list(&whole, name).len(), 2), "{path}");
        let problem = gateway.get(&format!("{path}?limit=0&levels=l1&stores=")).await.problem(400);
        assert_eq!(problem["errors"].as_array().unwrap().len(), 3, "{problem}");
        gateway.get(&format!("{path}?stores=nobody")).await.problem(404);
        gateway.get(&format!("{path}?after=nobody")).await.problem(404);
        gateway.get_with(path, &[("accept", "text/csv")]).await.problem(406);
    }
    let problem = gateway.get("/v1/inventory?level=l5").await.problem(400);
    assert!(problem["errors"][0]["reason"].as_str().unwrap().contains("l4"), "{problem}");
    gateway.get("/v1/status?now=1").await.problem(400);
}
