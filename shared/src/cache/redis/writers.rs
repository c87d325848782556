//! The exclusive connections of bulk writes. The pool gives out places; the connection of a place is made and checked
//! by who writes, so that a refusal is told with its reason, and that writing goes on as soon as a restarted server
//! answers.

use std::convert::Infallible;
use std::time::Duration;

use bb8::ManageConnection;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline, RedisResult};

use super::lease::{Fence, run_fenced};
use crate::cache::CacheError;

/// Makes the places.
pub(super) struct Writers {
    client: Client,
    connect_timeout: Duration,
}

/// A place, with a connection once it was needed.
pub(super) struct Writer {
    client: Client,
    connect_timeout: Duration,
    connection: Option<MultiplexedConnection>,
}

impl Writers {
    pub(super) fn new(client: Client, connect_timeout: Duration) -> Self {
        Self { client, connect_timeout }
    }
}

impl Writer {
    /// Runs a transaction on a connection that answers, if a fence is given only while it names this writer. A
    /// connection on which a write failed or was given up is not used again.
    pub(super) async fn run(&mut self, pipeline: &Pipeline, fence: Option<&Fence>) -> Result<(), CacheError> {
        let kept = match self.connection.take() {
            Some(mut kept) => ping(&mut kept).await.is_ok().then_some(kept),
            None => None,
        };
        let mut connection = match kept {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        let done = match fence {
            Some(fence) => run_fenced(&mut connection, fence, pipeline).await?,
            None => {
                pipeline.query_async::<()>(&mut connection).await?;
                Ok(())
            }
        };
        self.connection = Some(connection);
        done
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            // Waits are bounded by the size of each write, not by the crate's half a second.
            .set_response_timeout(None);
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        // A server that wants a password says so here and not in the middle of a transaction.
        ping(&mut connection).await?;
        Ok(connection)
    }
}

#[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    redis::cmd("PING").query_async(connection).await
}

impl ManageConnection for Writers {
    type Connection = Writer;
    type Error = Infallible;

    async fn connect(&self) -> Result<Writer, Infallible> {
        Ok(Writer { client: self.client.clone(), connect_timeout: self.connect_timeout, connection: None })
    }

    async fn is_valid(&self, _: &mut Writer) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Writer) -> bool {
        false
    }
}
