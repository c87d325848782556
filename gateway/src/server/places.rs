//! How many connections there may be, in all and of one address, and what a client hears for whom there is no place.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::Problem;
use crate::refusal;

/// Time for telling a client that there is no place.
const TELL: Duration = Duration::from_secs(1);
/// Bytes of its request that are read meanwhile: closing before would take the answer back.
const READ_BYTES: u64 = 64 << 10;

/// Places for connections.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// 0 = no limit.
    per_address: usize,
    /// Addresses that have connections, with their number; at most as many as there are places.
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    counted: Option<(Arc<Places>, IpAddr)>,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// This address has as many as one may have.
    Address,
}

impl Places {
    pub(super) fn new(all: usize, per_address: usize) -> Arc<Self> {
        let all = Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { all, per_address, taken: Mutex::default() })
    }

    /// A place for a connection of an address; Unix sockets have none.
    pub(super) fn take(self: &Arc<Self>, address: Option<IpAddr>) -> Result<Place, Full> {
        let permit = Arc::clone(&self.all).try_acquire_owned().map_err(|_| Full::All)?;
        let address = address.filter(|_| self.per_address > 0).map(network);
        if let Some(address) = address {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let count = taken.entry(address).or_default();
            if *count >= self.per_address {
                return Err(Full::Address);
            }
            *count += 1;
        }
        Ok(Place { _permit: permit, counted: address.map(|address| (Arc::clone(self), address)) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((places, address)) = &self.counted else { return };
        let mut taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(address);
            }
        }
    }
}

/// What counts as one address: with IPv6 one client has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Tells a client in HTTP/1.1 that there is no place for it, and closes.
pub(super) async fn tell<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, full: Full) {
    let problem = match full {
        Full::All => Problem::no_place("as many connections are open as this gateway takes"),
        Full::Address => Problem::no_place("this address has as many connections as one may have"),
    };
    // Who comes by TLS is told nothing.
    let answer = refusal::answer(&problem, false);
    let told = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(READ_BYTES), &mut tokio::io::sink()).await
    };
    let _ = tokio::time::timeout(TELL, told).await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let places = Places::new(3, 2);
        let address = |text: &str| Some(text.parse().unwrap());
        let a = places.take(address("10.0.0.1")).unwrap();
        let b = places.take(address("::ffff:10.0.0.1")).unwrap();
        assert_eq!(places.take(address("10.0.0.1")).unwrap_err(), Full::Address);
        let c = places.take(None).unwrap();
        assert_eq!(places.take(address("10.0.0.2")).unwrap_err(), Full::All);
        drop((b, c));
        let _d = places.take(address("2001:db8::1")).unwrap();
        let _e = places.take(address("2001:db8::1:0:0:1")).unwrap();
        drop(a);
        assert_eq!(places.take(address("2001:db8::2")).unwrap_err(), Full::Address, "one /64");
        assert_eq!(places.taken.lock().unwrap().len(), 1);
    }
}
