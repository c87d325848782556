//! Waiting for a condition instead of a time.

use std::time::{Duration, Instant};

/// Waits until `condition` holds, asking every few milliseconds.
///
/// # Panics
/// When it does not hold after `limit`; the message names `what` was waited for.
pub async fn wait_until(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
