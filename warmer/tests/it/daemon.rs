//! Who writes: one daemon at a time, into a cache that may be emptied, of a table that may be.

use shared::cache::Read;
use shared::config::ChangeMode;
use testkit::wait_until;

use crate::place::{PATIENCE, Place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_is_filled_again_and_a_second_warmer_takes_over() {
    let place = Place::new(ChangeMode::Trigger).await;
    let first = place.start_warm().await;
    let second = place.start();
    place.redis.flush_all().await;
    place.becomes_fresh("the emptied cache to be full").await;
    first.stop().await;
    place.execute("UPDATE orders SET paid_price = 1 WHERE store_id = 's1'").await;
    place.becomes_fresh("the second warmer's work").await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_redis_is_noticed_while_nothing_is_written() {
    let place = Place::new(ChangeMode::Trigger).await;
    let running = place.start_warm().await;
    place.redis.flush_all().await;
    place.becomes_fresh("the emptied cache to be full").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_was_refused_while_redis_did_not_say_why_is_made_good() {
    let place = Place::new(ChangeMode::Trigger).await;
    let running = place.start_warm().await;
    // The fence names somebody else, and the lease can be neither renewed nor asked for.
    place.redis.says(&["ACL SETUSER default -eval", "SET live:{warmer}:fence another"]).await;
    place.execute("UPDATE orders SET paid_price = 1 WHERE store_id = 's1'").await;
    wait_until("a refused write", PATIENCE, async || running.counts().failures > 0).await;
    place.redis.says(&["ACL SETUSER default +eval"]).await;
    // What is ready may be another writer's, so all is looked at again, an hour before the next cycle.
    running.settled("another cycle", |counts| counts.cycles > 1).await;
    place.becomes_fresh("the change").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_table_leaves_an_empty_directory_and_no_table_yet_leaves_none() {
    let place = Place::new(ChangeMode::Trigger).await;
    place.execute("TRUNCATE orders").await;
    let running = place.start();
    running.settled("a cycle over nothing", |counts| counts.cycles > 0).await;
    // An empty fleet would be taken for an answer, while lines may be on their way.
    assert!(matches!(place.live().read_directory().await, Read::Miss));
    place
        .execute(
            "INSERT INTO orders (order_id, store_id, ordered_at, product_name, quantity, list_price, paid_price, cost, \
             gross_profit) VALUES ('o', 's1', '2026-03-01', 'p', 1, 10, 9, 5, 3)",
        )
        .await;
    place.becomes_fresh("the first line").await;
    place.execute("TRUNCATE orders").await;
    wait_until("an empty directory", PATIENCE, async || {
        matches!(place.live().read_directory().await, Read::Hit(directory) if directory.stores().is_empty())
    })
    .await;
    running.stop().await;
}
