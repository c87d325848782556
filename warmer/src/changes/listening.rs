//! Being told of changes at once, as long as that works.

use std::time::Duration;

use shared::source::SourceError;
use shared::source::postgres::{ChangeListener, PostgresSource};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The connection that is told of changes: there, being made, or to be tried again later. What is under way outlives a call
/// that is dropped.
#[derive(Debug, Default)]
pub struct Listening {
    listener: Option<ChangeListener>,
    attempt: JoinSet<Result<ChangeListener, SourceError>>,
    not_before: Option<Instant>,
}

impl Listening {
    /// Completes when a change may have been noted: told so, or after a time in which nothing could be told. Never more
    /// than one attempt to connect in the time of `keepalive`.
    pub(super) async fn told(&mut self, source: &PostgresSource, keepalive: Duration) {
        loop {
            if let Some(listener) = &mut self.listener {
                if listener.changed().await.is_err() {
                    self.listener = None;
                }
                // What was noted while the connection was silent, nobody will tell.
                return;
            }
            if self.attempt.is_empty() {
                if let Some(time) = self.not_before {
                    sleep_until(time).await;
                }
                let source = source.clone();
                self.attempt.spawn(async move { source.listen(keepalive).await });
                self.not_before = Some(Instant::now() + keepalive);
            }
            match self.attempt.join_next().await {
                Some(Ok(Ok(listener))) => {
                    self.listener = Some(listener);
                    // What was noted before, nobody will tell.
                    return;
                }
                Some(Ok(Err(error))) => {
                    tracing::debug!(error = %error, "not told of changes at once; they are looked for");
                }
                Some(Err(error)) => {
                    tracing::error!(error = %error, "an attempt to be told of changes was lost");
                }
                None => {}
            }
        }
    }
}
