//! A connection for reads that is made again after whatever ended it. The crate's manager does so for connections that
//! break; a connection that Redis refused (a user or password it does not know yet, no place for one more client) it
//! keeps, refused, for ever.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult, ServerErrorKind, Value};

/// A shared connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reader {
    client: Client,
    config: ConnectionManagerConfig,
    made: Arc<Mutex<Made>>,
}

/// A manager, and how many its reader had before it.
#[derive(Clone)]
struct Made {
    manager: ConnectionManager,
    number: u64,
}

impl Reader {
    /// Prepares a connection, which is made with the first read.
    pub(super) fn new(client: &Client, config: &ConnectionManagerConfig) -> RedisResult<Self> {
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), config.clone())?;
        let made = Arc::new(Mutex::new(Made { manager, number: 0 }));
        Ok(Self { client: client.clone(), config: config.clone(), made })
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a new manager in the place of one that was refused; of those who were refused together the first does.
    fn heal(&self, refused: u64, error: &RedisError) {
        if !may_be_of_connecting(error) {
            return;
        }
        let mut made = self.made();
        if made.number != refused {
            return;
        }
        match ConnectionManager::new_lazy_with_config(self.client.clone(), self.config.clone()) {
            Ok(manager) => *made = Made { manager, number: refused + 1 },
            Err(error) => tracing::error!(error = %error, "a connection to redis could not be prepared"),
        }
    }
}

/// Whether the error may be that of making the connection, and be kept by its manager. Errors of input and output it heals
/// itself.
fn may_be_of_connecting(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed
            | ErrorKind::Client
            | ErrorKind::InvalidClientConfig
            | ErrorKind::Parse
            | ErrorKind::RESP3NotSupported
            // A refused SELECT. Replies to reads have kinds of their own.
            | ErrorKind::Server(ServerErrorKind::ResponseError)
    )
}

impl ConnectionLike for Reader {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let Made { mut manager, number } = self.made().clone();
            manager.send_packed_command(command).await.inspect_err(|error| self.heal(number, error))
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let Made { mut manager, number } = self.made().clone();
            let replies = manager.send_packed_commands(pipeline, offset, count).await;
            replies.inspect_err(|error| self.heal(number, error))
        })
    }

    fn get_db(&self) -> i64 {
        self.made().manager.get_db()
    }
}
