//! The directory of stores as this gateway knows it: from the cache, else from the source. While changes are told, it is
//! read again when something changed; else every so often.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use shared::cache::{Levels, Read};
use shared::model::Directory;
use shared::source::Source;
use tokio::sync::Mutex;

use crate::near::Near;
use crate::problem::Problem;

/// How long a directory read from the cache is used while changes are not told: one read for a burst of requests.
const CACHED_TTL: Duration = Duration::from_millis(200);
/// After it was read again, this many times as long as that took nothing is read: while many stores change, reading the
/// directory takes at most a tenth of the time.
const REST: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(1);

/// The directory that is known, and how to know it anew.
#[derive(Debug)]
pub(crate) struct Directories {
    levels: Levels,
    source: Source,
    source_ttl: Duration,
    near: Near,
    known: ArcSwapOption<Known>,
    /// One reads for all that wait.
    reading: Mutex<()>,
}

#[derive(Debug)]
struct Known {
    directory: Arc<Directory>,
    good: Good,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Good {
    Until(Instant),
    /// For as long as this connection tells of changes.
    WhileTold(u64),
}

impl Known {
    /// Whether it was read for a time that has not passed: the source is not asked again before that.
    fn is_of_late(&self) -> bool {
        matches!(self.good, Good::Until(time) if time > Instant::now())
    }
}

impl Directories {
    pub(crate) fn new(levels: Levels, source: Source, source_ttl: Duration, near: Near) -> Self {
        Self { levels, source, source_ttl, near, known: ArcSwapOption::empty(), reading: Mutex::default() }
    }

    /// All stores.
    ///
    /// # Errors
    /// If neither cache nor source answers and no directory is known.
    pub(crate) async fn get(&self) -> Result<Arc<Directory>, Problem> {
        if let Some(directory) = self.good() {
            return Ok(directory);
        }
        let _one = self.reading.lock().await;
        match self.good() {
            Some(directory) => Ok(directory),
            None => self.read().await,
        }
    }

    /// The directory, if it is known to be good.
    pub(crate) fn good(&self) -> Option<Arc<Directory>> {
        let known = self.known.load();
        let known = known.as_ref()?;
        let good = match known.good {
            Good::Until(time) => time > Instant::now(),
            Good::WhileTold(session) => self.near.session() == Some(session),
        };
        good.then(|| Arc::clone(&known.directory))
    }

    /// Reads it. The caller holds `reading`.
    async fn read(&self) -> Result<Arc<Directory>, Problem> {
        // Before reading: what changes meanwhile is told, and read again.
        let session = self.near.session();
        let before = self.known.load_full();
        let (directory, good) = match self.levels.read_directory().await {
            Read::Hit(directory) => {
                let for_now = Good::Until(Instant::now() + CACHED_TTL);
                (directory, session.map_or(for_now, Good::WhileTold))
            }
            Read::Miss | Read::Unavailable => {
                if let Some(known) = before.as_ref().filter(|known| known.is_of_late()) {
                    return Ok(Arc::clone(&known.directory));
                }
                match self.source.directory().await {
                    Ok(directory) => (directory, Good::Until(Instant::now() + self.source_ttl)),
                    Err(error) => {
                        // An old directory is better than none: what it leads to may still be cached.
                        let problem = || Problem::source(&error);
                        return before.map(|known| Arc::clone(&known.directory)).ok_or_else(problem);
                    }
                }
            }
        };
        let same = before.as_ref().filter(|before| *before.directory == directory);
        let directory = same.map_or_else(|| Arc::new(directory), |before| Arc::clone(&before.directory));
        let differs = before.filter(|before| !Arc::ptr_eq(&before.directory, &directory));
        self.known.store(Some(Arc::new(Known { directory: Arc::clone(&directory), good })));
        // After it is known: who asks from now on gets the newer one.
        if let Some(before) = differs {
            self.near.directory_changed(&before.directory, &directory);
        }
        Ok(directory)
    }

    /// Reads the directory again whenever something changed, for ever.
    pub(crate) async fn follow(self: Arc<Self>) -> std::convert::Infallible {
        loop {
            self.near.directory_may_have_changed().await;
            let start = Instant::now();
            {
                let _one = self.reading.lock().await;
                if let Err(problem) = self.read().await {
                    tracing::debug!(detail = problem.detail, "the directory could not be read again");
                }
            }
            tokio::time::sleep((start.elapsed() * REST).min(LONGEST_REST)).await;
        }
    }
}
