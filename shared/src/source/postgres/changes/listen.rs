//! Being told of changes at once: a connection of its own that LISTENs.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use postgres_protocol::escape::escape_identifier;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_postgres::{AsyncMessage, Client, Connection, Socket};

use crate::source::postgres::PostgresSource;
use crate::source::postgres::pool::{TlsStream, explain};
use crate::source::{SourceError, SourceErrorKind};

/// Tells that something was noted. Any number of notifications before [`ChangeListener::changed`] count as one, so that
/// nothing grows however late it is called. Dropped, it closes its connection.
#[derive(Debug)]
pub struct ChangeListener {
    noted: Arc<Notify>,
    /// One task, which ends when the connection is lost.
    task: JoinSet<SourceError>,
}

impl PostgresSource {
    /// Listens for notes of changes, on one connection besides those of the pool. Every `keepalive` the server is asked for
    /// a sign of life; without one in the same time, the connection counts as lost. A change that was noted before this
    /// returns may not be told: read [`PostgresSource::dirty`] afterwards.
    ///
    /// # Errors
    /// If the table is not watched, or the database cannot be reached.
    pub async fn listen(&self, keepalive: Duration) -> Result<ChangeListener, SourceError> {
        let statement = format!("LISTEN {}", escape_identifier(&self.watch().await?.channel));
        let (client, connection) = self.shared.pool.connect_alone(keepalive).await?;
        let noted = Arc::new(Notify::new());
        let (ready, listening) = tokio::sync::oneshot::channel();
        let mut task = JoinSet::new();
        task.spawn({
            let noted = Arc::clone(&noted);
            async move {
                let lost = tokio::select! {
                    lost = forward(connection, &noted) => lost,
                    lost = keep_alive(&client, &statement, ready, keepalive) => lost,
                };
                tracing::warn!(error = %lost, "no longer told of changes at once");
                lost
            }
        });
        let mut listener = ChangeListener { noted, task };
        match listening.await {
            Ok(()) => Ok(listener),
            Err(_) => Err(listener.lost().await),
        }
    }
}

impl ChangeListener {
    /// Waits until something was noted since the last call. May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// Once the connection is lost; then listen anew, and read what was noted meanwhile.
    pub async fn changed(&mut self) -> Result<(), SourceError> {
        let noted = Arc::clone(&self.noted);
        tokio::select! {
            () = noted.notified() => Ok(()),
            lost = self.lost() => Err(lost),
        }
    }

    async fn lost(&mut self) -> SourceError {
        match self.task.join_next().await {
            Some(Ok(lost)) => lost,
            _ => SourceError::new(
                SourceErrorKind::Unreachable,
                "postgres: the connection that listens for changes is lost",
                "listen anew",
            ),
        }
    }
}

/// Drives the connection until it ends.
async fn forward(mut connection: Connection<Socket, TlsStream>, noted: &Notify) -> SourceError {
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notification(_))) => noted.notify_one(),
            Some(Ok(_)) => {}
            Some(Err(error)) => return explain(error),
            None => {
                return SourceError::new(
                    SourceErrorKind::Unreachable,
                    "postgres: the server closed the connection that listens for changes",
                    "check that the server runs",
                );
            }
        }
    }
}

/// Starts listening, then asks for a sign of life again and again. Keepalives of TCP alone would take a proxy's word for
/// the server's.
async fn keep_alive(
    client: &Client,
    listen: &str,
    ready: tokio::sync::oneshot::Sender<()>,
    keepalive: Duration,
) -> SourceError {
    let mut statement = listen;
    let mut ready = Some(ready);
    let mut ticks = interval(keepalive);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match timeout(keepalive, client.batch_execute(statement)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return explain(error),
            Err(_) => {
                return SourceError::new(
                    SourceErrorKind::Timeout,
                    format!(
                        "postgres: the connection that listens for changes has been silent for {}",
                        humantime::format_duration(keepalive)
                    ),
                    "check the network, or raise changes.keepalive",
                );
            }
        }
        statement = "SELECT 1";
        if let Some(ready) = ready.take() {
            // Nobody waits for it any more if the caller gave up.
            let _ = ready.send(());
        }
    }
}
