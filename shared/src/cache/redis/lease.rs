//! The lease of the one writer, and the fence that keeps others from writing. The lease expires by itself; the fence
//! stays and names the last owner, so that a writer that slept through the end of its lease finds another name there.
//! (Kleppmann, "How to do distributed locking", 2016: a lease alone does not keep a paused writer from writing.)

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Value};

use super::RedisCache;
use crate::cache::{CacheError, CacheErrorKind};

/// Whose writes count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Key of the lease.
    pub lease_key: String,
    /// Key of the fence.
    pub fence_key: String,
    /// This writer: a text that no other one ever has.
    pub owner: String,
}

/// Who has the lease after it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its owner.
    pub owner: String,
    /// Whether a fence stood before. It never expires: where there was one, and there is none, the cache was emptied.
    pub fence_stood: bool,
}

/// Takes the lease if nobody has it, and puts up the fence in the same step. Gives the owner after it, and whether a fence
/// stood before.
const ACQUIRE: &str = "local owner, fence = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]) \
    local stood = fence and 1 or 0 \
    if owner and owner ~= ARGV[1] then return {owner, stood} end \
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
    if fence ~= ARGV[1] then redis.call('SET', KEYS[2], ARGV[1]) end \
    return {ARGV[1], stood}";
/// Takes the lease and puts up the fence, whoever has them. Gives the owner before it.
const SEIZE: &str = "local owner = redis.call('GET', KEYS[1]) \
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) \
    redis.call('SET', KEYS[2], ARGV[1]) \
    return owner";
/// Gives the lease back, if it is still this writer's.
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

impl RedisCache {
    /// Takes or renews the lease for `milliseconds`; gives who has it afterwards.
    pub(in crate::cache) async fn acquire(
        &self,
        fence: &Fence,
        milliseconds: u64,
    ) -> Result<Holder, CacheError> {
        let (owner, stood): (String, u8) = self.command(take(ACQUIRE, fence, milliseconds)).await?;
        Ok(Holder { owner, fence_stood: stood == 1 })
    }

    /// Takes the lease over for `milliseconds`; gives its owner before.
    pub(in crate::cache) async fn seize(
        &self,
        fence: &Fence,
        milliseconds: u64,
    ) -> Result<Option<String>, CacheError> {
        self.command(take(SEIZE, fence, milliseconds)).await
    }

    /// Gives the lease back.
    #[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
    pub(in crate::cache) async fn release(&self, fence: &Fence) -> Result<(), CacheError> {
        let command =
            redis::cmd("EVAL").arg(RELEASE).arg(1).arg(&fence.lease_key).arg(&fence.owner).to_owned();
        self.command::<i64>(command).await.map(|_| ())
    }
}

#[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
fn take(script: &str, fence: &Fence, milliseconds: u64) -> redis::Cmd {
    redis::cmd("EVAL")
        .arg(script)
        .arg(2)
        .arg(&fence.lease_key)
        .arg(&fence.fence_key)
        .arg(&fence.owner)
        .arg(milliseconds.max(1))
        .to_owned()
}

/// Runs a transaction that takes effect only while the fence names its owner: the fence is watched, so a change of it
/// between the look and EXEC undoes everything.
#[allow(clippy::disallowed_methods, reason = "the owner of Redis")]
pub(super) async fn run_fenced(
    connection: &mut MultiplexedConnection,
    fence: &Fence,
    pipeline: &Pipeline,
) -> RedisResult<Result<(), CacheError>> {
    let mut look = redis::pipe();
    look.cmd("WATCH").arg(&fence.fence_key).ignore().cmd("GET").arg(&fence.fence_key);
    let (owner,): (Option<String>,) = look.query_async(connection).await?;
    if owner.as_deref() == Some(fence.owner.as_str()) {
        let done: Value = pipeline.query_async(connection).await?;
        // EXEC answers nil when a watched key changed.
        return Ok(if done == Value::Nil { Err(lost(None)) } else { Ok(()) });
    }
    redis::cmd("UNWATCH").query_async::<()>(connection).await?;
    Ok(Err(lost(owner.as_deref())))
}

fn lost(owner: Option<&str>) -> CacheError {
    let now = owner.map_or_else(|| "nobody".to_owned(), |owner| format!("{owner:?}"));
    CacheError::new(
        CacheErrorKind::LeaseLost,
        format!("redis: this warmer may not write any more, the fence names {now}"),
        "nothing to do where another warmer took over; else it takes the lease again",
    )
}
