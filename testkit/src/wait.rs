//! Waiting for a condition instead of a time.

use std::time::{Duration, Instant};

/// Waits until `condition` holds, asking every few milliseconds.
///
/// # Panics
/// When it does not hold after `limit`; the message names `what` was waited for.
pub async fn wait_until(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    assert!(holds_within(limit, &mut condition).await, "{what}: not within {limit:?}");
}

/// Whether `condition` comes to hold within `limit`: the one place where this crate polls.
pub(crate) async fn holds_within(limit: Duration, condition: &mut impl AsyncFnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition().await {
        if start.elapsed() >= limit {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    true
}
