//! Missing store-days that are being fetched: whoever misses one that is under way waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use shared::access_log::Outcome;
use shared::cells::{DayCell, ProductCell};
use shared::model::{DataVersion, Day};
use tokio::sync::watch;

use crate::near::{Count, Counters, Epoch};
use crate::problem::Problem;

/// The cells of a store-day with lines.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    pub(crate) version: DataVersion,
    pub(crate) day: Arc<DayCell>,
    pub(crate) products: Arc<ProductCell>,
    /// Where the lines came from.
    pub(crate) outcome: Outcome,
}

/// What a fetch came to; no cells if there are no lines.
type Fetched = Result<Option<Cells>, Problem>;

/// A store-day, and when its store last changed: whoever asks after a change does not get what was read before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StoreDay {
    pub(crate) store_id: String,
    pub(crate) day: Day,
    pub(crate) changed: Epoch,
}

/// The store-days that are being fetched. Bounded by the questions that are being answered, each of which fetches some
/// at a time.
#[derive(Debug)]
pub(crate) struct Fetching {
    under_way: Mutex<HashMap<StoreDay, watch::Receiver<Option<Fetched>>>>,
    counters: Arc<Counters>,
}

/// Store-days that this question fetches. What is not published when this is dropped counts as failed.
pub(crate) struct Claims {
    fetching: Arc<Fetching>,
    claimed: HashMap<StoreDay, watch::Sender<Option<Fetched>>>,
}

/// Store-days that others fetch.
pub(crate) type Others = Vec<(StoreDay, watch::Receiver<Option<Fetched>>)>;

impl Fetching {
    pub(crate) fn new(counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self { under_way: Mutex::default(), counters })
    }

    /// Divides store-days into those that the caller is to fetch and publish, and those that others fetch. Publish before
    /// waiting for others: then nobody waits in a circle.
    pub(crate) fn claim(self: &Arc<Self>, wanted: Vec<StoreDay>) -> (Claims, Others) {
        let mut claims = Claims { fetching: Arc::clone(self), claimed: HashMap::new() };
        let mut others = Others::new();
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        for store_day in wanted {
            if let Some(fetched) = under_way.get(&store_day) {
                others.push((store_day, fetched.clone()));
            } else {
                let (publish, fetched) = watch::channel(None);
                under_way.insert(store_day.clone(), fetched);
                claims.claimed.insert(store_day, publish);
            }
        }
        drop(under_way);
        self.counters.add(Count::store_days, claims.claimed.len() as u64);
        self.counters.add(Count::store_day_waits, others.len() as u64);
        (claims, others)
    }
}

impl Claims {
    /// The store-days that are claimed and not published yet, in order.
    pub(crate) fn open(&self) -> Vec<StoreDay> {
        let mut open: Vec<StoreDay> = self.claimed.keys().cloned().collect();
        open.sort_by(|a, b| (&a.store_id, a.day).cmp(&(&b.store_id, b.day)));
        open
    }

    /// Gives one to all that wait for it.
    pub(crate) fn publish(&mut self, store_day: &StoreDay, fetched: Fetched) {
        if let Some(publish) = self.claimed.remove(store_day) {
            self.fetching.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(store_day);
            publish.send_replace(Some(fetched));
        }
    }

    /// Tells all that wait for what is not published that it failed.
    pub(crate) fn fail(&mut self, problem: &Problem) {
        for store_day in self.open() {
            self.publish(&store_day, Err(problem.clone()));
        }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        if !self.claimed.is_empty() {
            self.fail(&Problem::internal());
        }
    }
}

/// Waits for what others fetch.
///
/// # Errors
/// If any of them failed.
pub(crate) async fn wait_for(others: Others) -> Result<Vec<(StoreDay, Option<Cells>)>, Problem> {
    let mut all = Vec::with_capacity(others.len());
    for (store_day, mut fetched) in others {
        let cells = match fetched.wait_for(Option::is_some).await {
            Ok(fetched) => fetched.clone().unwrap_or_else(|| Err(Problem::internal()))?,
            Err(_) => return Err(Problem::internal()),
        };
        all.push((store_day, cells));
    }
    Ok(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn store_day(day: i32) -> StoreDay {
        StoreDay { store_id: "a".to_owned(), day: Day(day), changed: Epoch::default() }
    }

    fn cells(version: &[u8]) -> Cells {
        let (version, outcome) = (DataVersion::of(version), Outcome::Source);
        Cells { version, day: Arc::default(), products: Arc::default(), outcome }
    }

    #[tokio::test]
    async fn each_is_fetched_by_one_and_given_to_all() {
        let fetching = Fetching::new(Arc::default());
        let (mut mine, others) = fetching.claim(vec![store_day(1), store_day(2)]);
        assert!(others.is_empty());
        let (theirs, others) = fetching.claim(vec![store_day(2), store_day(3)]);
        assert_eq!((mine.open(), theirs.open()), (vec![store_day(1), store_day(2)], vec![store_day(3)]));
        mine.publish(&store_day(1), Ok(None));
        mine.publish(&store_day(2), Ok(Some(cells(b"2"))));
        let waited = wait_for(others).await.unwrap();
        assert_eq!(waited.len(), 1);
        assert_eq!(waited[0].1.as_ref().unwrap().version, DataVersion::of(b"2"));
        // Nothing is left behind.
        drop(theirs);
        assert!(fetching.under_way.lock().unwrap().is_empty());
        assert_eq!((fetching.counters.store_days(), fetching.counters.store_day_waits()), (3, 1));
    }

    #[tokio::test]
    async fn a_failure_fails_those_who_wait_and_nobody_after() {
        let fetching = Fetching::new(Arc::default());
        let (mut mine, _) = fetching.claim(vec![store_day(1)]);
        let (_, others) = fetching.claim(vec![store_day(1)]);
        mine.fail(&Problem::starting());
        assert_eq!(wait_for(others).await.map(|_| ()), Err(Problem::starting()));
        let (mine, others) = fetching.claim(vec![store_day(1)]);
        assert!(others.is_empty());
        // A fetch that is given up fails, too.
        let (_, others) = fetching.claim(vec![store_day(1)]);
        drop(mine);
        assert_eq!(wait_for(others).await.map(|_| ()), Err(Problem::internal()));
    }
}
