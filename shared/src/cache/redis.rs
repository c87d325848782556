//! The cache in Redis: shared multiplexed connections for reads, a pool of exclusive ones for bulk writes. The only
//! owner of Redis commands.

mod address;
mod administer;
mod health;
mod inspect;
mod lease;
mod monitor;
mod reader;
mod rights;
mod server;
mod tracking;
mod whose;
mod writers;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bb8::Pool;
use bytes::Bytes;
use redis::aio::ConnectionManagerConfig;
use redis::{Client, Cmd, Pipeline, RedisResult};
use thread_local::ThreadLocal;
use tokio::sync::Semaphore;

use super::{CacheError, Patience, Read, Write};
use crate::keys::Slot;
pub use administer::{Administrator, ForeignKeys};
pub use health::CacheHealth;
use health::{Counts, Watched};
pub use inspect::{KeyFacts, KeyType};
pub use lease::{Fence, Holder};
use monitor::Monitored;
pub use monitor::{Monitor, MonitorState, MonitorStatus, Warning, WarningKind};
use reader::Reader;
pub use rights::{AclRole, AclUser, ServerVersion, acl_rules, acl_user_words, password_hash};
pub use server::ServerFacts;
pub use whose::Right;
use writers::Writers;

/// How to reach Redis. Every wait is bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSettings {
    /// `redis://[user:password@]host:port/db`, `rediss://…` for TLS, or `redis+unix:///path`.
    pub url: String,
    /// File that holds the password, instead of the address.
    pub password_file: Option<PathBuf>,
    /// Authorities in PEM by which the server's certificate is checked; without them, those of the system.
    pub ca: Option<PathBuf>,
    /// Certificate of this client in PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM.
    pub key: Option<PathBuf>,
    /// For making a connection.
    pub connect_timeout: Duration,
    /// For one small read.
    pub command_timeout: Duration,
    /// For a bulk read or write, to which 1 ms per slot is added.
    pub bulk_timeout: Duration,
    /// Connections for bulk writes.
    pub write_connections: u32,
    /// Broken connections and PINGs that fail in a row before reads are turned away, by programs that have a breaker.
    pub breaker_failures: u32,
    /// Time between two PINGs of such a program, and for how long Redis may be back before it is noticed.
    pub probe_interval: Duration,
    /// From one look of the monitor to the next.
    pub check_interval: Duration,
    /// Further tries at once after a look that failed.
    pub check_reconnects: u32,
    /// A PING that takes longer is a warning.
    pub slow_ping: Duration,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            connect_timeout: Duration::from_secs(2),
            command_timeout: Duration::from_millis(50),
            bulk_timeout: Duration::from_secs(5),
            write_connections: 3,
            breaker_failures: 3,
            probe_interval: Duration::from_millis(500),
            check_interval: Duration::from_secs(30),
            check_reconnects: 3,
            slow_ping: Duration::from_millis(100),
            password_file: None,
            ca: None,
            certificate: None,
            key: None,
        }
    }
}

/// Slots per round trip of a bulk read: about a megabyte of cells.
const SLOTS_PER_ROUND_TRIP: usize = 256;

/// Small reads that are on their way at the same time. More wait before their time limit begins: a burst of requests is no
/// sign that Redis is slow. Whoever asks bounds how many wait.
const SMALL_READS: usize = 256;

/// A Redis server.
#[derive(Clone)]
pub struct RedisCache {
    /// One per thread that reads, made with its first read: answers wake nobody on another core.
    small: Arc<ThreadLocal<Reader>>,
    small_config: ConnectionManagerConfig,
    small_places: Arc<Semaphore>,
    bulk: Reader,
    writers: Pool<Writers>,
    client: Client,
    fence: Option<Arc<Fence>>,
    settings: RedisSettings,
    counts: Arc<ThreadLocal<Counts>>,
    watched: Option<Arc<Watched>>,
    monitored: Option<Arc<Monitored>>,
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache").finish_non_exhaustive()
    }
}

impl RedisCache {
    /// Prepares connections; none is made before it is needed, so a server that is down fails reads, not the start.
    ///
    /// # Errors
    /// If the address or a file that belongs to it cannot be read.
    pub fn connect(settings: &RedisSettings) -> Result<Self, CacheError> {
        let client = address::client(settings)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(3)
            .set_max_delay(Duration::from_secs(1))
            .set_connection_timeout(Some(settings.connect_timeout))
            // Waits are bounded here, by the size of each read.
            .set_response_timeout(None);
        let bulk = Reader::new(&client, &config)?;
        let writers = Pool::builder()
            .max_size(settings.write_connections)
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(settings.connect_timeout + settings.bulk_timeout)
            .build_unchecked(Writers::new(client.clone(), settings.connect_timeout));
        Ok(Self {
            small: Arc::default(),
            small_config: config,
            small_places: Arc::new(Semaphore::new(SMALL_READS)),
            bulk,
            writers,
            client,
            fence: None,
            settings: settings.clone(),
            counts: Arc::default(),
            watched: None,
            monitored: None,
        })
    }

    /// The same server, written only while the fence names this writer.
    #[must_use]
    pub fn fenced(&self, fence: Fence) -> Self {
        Self { fence: Some(Arc::new(fence)), ..self.clone() }
    }

    /// This thread's connection for small reads.
    fn small(&self) -> RedisResult<Reader> {
        self.small.get_or_try(|| Reader::new(&self.client, &self.small_config)).cloned()
    }

    fn bulk_limit(&self, slots: usize) -> Duration {
        self.settings.bulk_timeout + Duration::from_millis(slots as u64)
    }

    pub(super) async fn read(&self, slots: &[Slot], patience: Patience) -> Vec<Read<Bytes>> {
        let (connection, limit, places) = match patience {
            Patience::Small => (self.small(), self.settings.command_timeout, Some(&self.small_places)),
            Patience::Bulk => (Ok(self.bulk.clone()), self.bulk_limit(slots.len()), None),
        };
        let _place = match places {
            // It is never closed.
            Some(places) => places.acquire().await.ok(),
            None => None,
        };
        // Pinned here: handed on by value, it would be in the future of each function that it goes through.
        let read = std::pin::pin!(read_all(connection, slots));
        let read = self.within(patience, limit, read).await;
        let reads = match read {
            Some(values) => values.into_iter().map(|value| value.map_or(Read::Miss, Read::Hit)).collect(),
            None => vec![Read::Unavailable; slots.len()],
        };
        self.counts.get_or_default().count(&reads);
        reads
    }

    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub(super) async fn read_hash(&self, key: &str) -> Read<Vec<(String, Bytes)>> {
        let mut connection = self.bulk.clone();
        let command = redis::cmd("HGETALL").arg(key).to_owned();
        let query = command.query_async::<Vec<(String, Bytes)>>(&mut connection);
        match self.within(Patience::Bulk, self.settings.bulk_timeout, query).await {
            Some(fields) if fields.is_empty() => Read::Miss,
            Some(fields) => Read::Hit(fields),
            None => Read::Unavailable,
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub(super) async fn transact(&self, writes: Vec<Write>) -> Result<(), CacheError> {
        let limit = self.bulk_limit(writes.len());
        let whole = async {
            let mut writer = self.writers.get().await.map_err(|_| {
                CacheError::timeout("redis: no connection to write with within the time limit".to_owned())
            })?;
            let mut pipeline = redis::pipe();
            pipeline.atomic();
            for write in writes {
                push(&mut pipeline, write);
            }
            writer.run(&pipeline, self.fence.as_deref()).await
        };
        tokio::time::timeout(limit + self.settings.connect_timeout, whole)
            .await
            .map_err(|_| CacheError::timeout(format!("redis: a write took over {} s", limit.as_secs())))?
    }

    pub(super) async fn ping(&self) -> Result<Duration, CacheError> {
        let start = Instant::now();
        self.ping_within(self.settings.connect_timeout + self.settings.command_timeout).await?;
        Ok(start.elapsed())
    }
}

/// Reads slots with one MGET per run of keys and one HMGET per run of fields of one hash, some hundred slots a round trip.
#[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
async fn read_all(connection: RedisResult<Reader>, slots: &[Slot]) -> RedisResult<Vec<Option<Bytes>>> {
    let mut connection = connection?;
    let alike = |a: &Slot, b: &Slot| match (&a.field, &b.field) {
        (None, None) => true,
        (Some(_), Some(_)) => a.key == b.key,
        _ => false,
    };
    let mut values = Vec::with_capacity(slots.len());
    for chunk in slots.chunks(SLOTS_PER_ROUND_TRIP) {
        let mut commands = chunk.chunk_by(alike).map(read_run);
        let (first, second) = (commands.next(), commands.next());
        match (first, second) {
            // Most small reads: a pipeline would only wrap it.
            (Some(one), None) => {
                values.extend(one.query_async::<Vec<Option<Bytes>>>(&mut connection).await?);
            }
            (first, second) => {
                let mut pipeline = redis::pipe();
                for command in first.into_iter().chain(second).chain(commands) {
                    pipeline.add_command(command);
                }
                let replies: Vec<Vec<Option<Bytes>>> = pipeline.query_async(&mut connection).await?;
                values.extend(replies.into_iter().flatten());
            }
        }
    }
    Ok(values)
}

/// Reads keys, or fields of one hash. One key, too, is read as a list, so that all replies have one shape.
fn read_run(run: &[Slot]) -> Cmd {
    let fields: Vec<&String> = run.iter().filter_map(|slot| slot.field.as_ref()).collect();
    let bytes = run.iter().map(|slot| slot.field.as_ref().unwrap_or(&slot.key).len()).sum::<usize>();
    let mut command = Cmd::with_capacity(run.len() + 2, bytes + run[0].key.len() + "HMGET".len());
    if fields.is_empty() {
        command.arg("MGET");
        for slot in run {
            command.arg(&slot.key);
        }
    } else {
        command.arg("HMGET").arg(&run[0].key).arg(fields);
    }
    command
}

fn push(pipeline: &mut Pipeline, write: Write) {
    let milliseconds = |ttl: Duration| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
    match write {
        Write::Set { key, value, ttl } => {
            pipeline.cmd("SET").arg(key).arg(&value[..]).arg("PX").arg(milliseconds(ttl));
        }
        Write::Keep { key, value } => {
            pipeline.cmd("SET").arg(key).arg(&value[..]);
        }
        Write::SetFields { key, fields } => {
            if fields.is_empty() {
                return;
            }
            let command = pipeline.cmd("HSET").arg(key);
            for (field, value) in fields {
                command.arg(field).arg(&value[..]);
            }
        }
        Write::DeleteFields { key, fields } => {
            if fields.is_empty() {
                return;
            }
            pipeline.cmd("HDEL").arg(key).arg(fields);
        }
        Write::Delete { key } => {
            pipeline.cmd("UNLINK").arg(key);
        }
        Write::Expire { key, ttl } => {
            pipeline.cmd("PEXPIRE").arg(key).arg(milliseconds(ttl));
        }
        Write::Push { key, value, limit } => {
            pipeline.cmd("RPUSH").arg(&key).arg(&value[..]).ignore();
            // The newest stay.
            pipeline.cmd("LTRIM").arg(key).arg(-i64::try_from(limit).unwrap_or(i64::MAX)).arg(-1);
        }
        Write::Bump { key } => {
            pipeline.cmd("INCR").arg(key);
        }
    }
    pipeline.ignore();
}
