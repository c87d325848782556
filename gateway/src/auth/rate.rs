//! Limits of requests: so many per second, and so many at once.
//!
//! A bucket is one number, the theoretical arrival time of the generic cell rate algorithm (ITU-T I.371, annex A): exact,
//! without a timer, and taken by one atomic exchange.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use shared::config::AccessSettings;

/// Longest time that one request stands for: with the largest burst it still fits into 64 bits of nanoseconds.
const MAX_INTERVAL_NS: f64 = 1e12;

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time that one request stands for.
    interval_ns: u64,
    /// Time that may be ahead.
    ahead_ns: u64,
}

impl Rate {
    /// `per_second` in the long run, `burst` at once; `None` without a limit (0 per second).
    #[must_use]
    pub fn new(per_second: f64, burst: u32) -> Option<Self> {
        if per_second <= 0.0 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within limits")]
        let interval_ns = (1e9 / per_second).clamp(1.0, MAX_INTERVAL_NS) as u64;
        Some(Self { interval_ns, ahead_ns: interval_ns.saturating_mul(u64::from(burst.max(1))) })
    }
}

/// What is left of a limit. A new one is full.
#[derive(Debug, Default)]
pub struct Bucket {
    /// When it will be full again.
    full_at_ns: AtomicU64,
}

impl Bucket {
    /// Takes one request, at a time that does not go back by much. A request that is refused costs nothing.
    ///
    /// # Errors
    /// The time after which one request fits.
    pub fn take(&self, rate: Rate, now_ns: u64) -> Result<(), Duration> {
        let after = |full_at: u64| full_at.max(now_ns).saturating_add(rate.interval_ns);
        let limit = now_ns.saturating_add(rate.ahead_ns);
        let taken = self.full_at_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            Some(after(full_at)).filter(|after| *after <= limit)
        });
        taken.map(drop).map_err(|full_at| Duration::from_nanos(after(full_at).saturating_sub(limit)))
    }
}

/// Whole seconds for `Retry-After`: never too early.
#[must_use]
pub fn seconds(wait: Duration) -> u32 {
    let up = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    u32::try_from(up).unwrap_or(u32::MAX).max(1)
}

/// The buckets of all tokens, and of the addresses that asked last.
#[derive(Debug)]
pub(super) struct Limiter {
    start: Instant,
    tokens: Vec<Option<(Rate, Bucket)>>,
    addresses: Option<(Rate, Cache<IpAddr, Arc<Bucket>>)>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { start: Instant::now(), tokens: Vec::new(), addresses: None }
    }
}

impl Limiter {
    pub(super) fn new(settings: &AccessSettings) -> Self {
        let of_token = |token: &shared::config::TokenSettings| {
            Rate::new(token.rate, token.burst).map(|rate| (rate, Bucket::default()))
        };
        let addresses = Rate::new(settings.address_rate, settings.address_burst).map(|rate| {
            // Least recently used: a crowd of new addresses must not be kept out by old ones, and so uncounted.
            let policy = EvictionPolicy::lru();
            let most = u64::try_from(settings.addresses).unwrap_or(u64::MAX);
            (rate, Cache::builder().max_capacity(most).eviction_policy(policy).build())
        });
        let tokens = settings.tokens.iter().map(of_token).collect();
        Self { start: Instant::now(), tokens, addresses }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes a request of the token at this place of the settings.
    pub(super) fn token(&self, place: usize) -> Result<(), Duration> {
        match self.tokens.get(place) {
            Some(Some((rate, bucket))) => bucket.take(*rate, self.now_ns()),
            _ => Ok(()),
        }
    }

    /// Takes a request of an address; peers without one share a bucket.
    pub(super) fn address(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        let Some((rate, buckets)) = &self.addresses else { return Ok(()) };
        let key = address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), counted_as);
        buckets.get_with(key, Arc::default).take(*rate, self.now_ns())
    }
}

/// Whoever has one address of an IPv6 network has all of its /64.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_then_the_rate() {
        let (rate, bucket) = (Rate::new(2.0, 3).unwrap(), Bucket::default());
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, SECOND), Ok(()));
        }
        let wait = bucket.take(rate, SECOND).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        // Refusals cost nothing, and after the time it fits: not before.
        assert_eq!(bucket.take(rate, SECOND), Err(wait));
        assert_eq!(bucket.take(rate, SECOND + SECOND / 2 - 1), Err(Duration::from_nanos(1)));
        assert_eq!(bucket.take(rate, SECOND + SECOND / 2), Ok(()));
        assert!(bucket.take(rate, SECOND + SECOND / 2).is_err());
        // However long it rests, no more than the burst.
        let later = 1000 * SECOND;
        assert_eq!((0..10).filter(|_| bucket.take(rate, later).is_ok()).count(), 3);
    }

    #[test]
    fn waits_are_whole_seconds_and_never_too_short() {
        let shown = |ms| seconds(Duration::from_millis(ms));
        assert_eq!([0, 1, 1000, 1001, 59_999].map(shown), [1, 1, 1, 2, 60]);
        assert_eq!(Rate::new(0.0, 5), None);
        // The slowest rate with the largest burst still counts.
        let (rate, bucket) = (Rate::new(1e-9, 1_000_000).unwrap(), Bucket::default());
        assert_eq!((0..1_000_001).filter(|_| bucket.take(rate, 0).is_ok()).count(), 1_000_000);
    }

    #[test]
    fn addresses_have_buckets_of_their_own_and_are_bounded() {
        let mut settings = shared::config::Settings::load(&[], &|_| None).unwrap().access;
        let limiter = Limiter::new(&settings);
        assert!((0..1000).all(|_| limiter.address(None).is_ok()), "no limit is the default");
        (settings.address_rate, settings.address_burst, settings.addresses) = (0.001, 1, 2);
        let limiter = Limiter::new(&settings);
        let take = |address: &str| limiter.address(Some(address.parse().unwrap())).is_ok();
        assert!(take("10.0.0.1") && take("2001:db8::1"));
        // The same network, and the same address in its other form.
        assert!(!take("2001:db8::2") && !take("::ffff:10.0.0.1") && !take("10.0.0.1"));
        assert!((0..100).all(|number| take(&format!("10.0.1.{number}"))));
        let (_, buckets) = limiter.addresses.as_ref().unwrap();
        buckets.run_pending_tasks();
        assert!(buckets.entry_count() <= 2);
    }

    proptest! {
        /// In no window more than the burst and what the rate gives meanwhile.
        #[test]
        fn never_more_than_promised(
            per_second in 1u32..1000, burst in 1u32..50, steps in proptest::collection::vec(0u64..SECOND / 10, 1..200),
        ) {
            let (rate, bucket) = (Rate::new(f64::from(per_second), burst).unwrap(), Bucket::default());
            let (mut now, mut taken) = (0, 0u64);
            for step in steps {
                now += step;
                match bucket.take(rate, now) {
                    Ok(()) => taken += 1,
                    Err(wait) => {
                        let wait = u64::try_from(wait.as_nanos()).unwrap();
                        prop_assert!(wait > 0 && wait <= rate.interval_ns);
                    }
                }
                prop_assert!(taken <= u64::from(burst) + now / rate.interval_ns);
            }
        }
    }
}
