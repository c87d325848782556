//! What the near cache and single flight did, for metrics: counted by each thread for itself, see `observe.rs`.

use std::sync::atomic::{AtomicU64, Ordering};

use thread_local::ThreadLocal;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts of one thread.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        struct OfThread { $($name: AtomicU64,)* }

        /// Counts since the start.
        #[derive(Debug, Default)]
        pub struct Counters {
            of_threads: ThreadLocal<OfThread>,
        }

        impl Counters {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(&self) -> u64 {
                    self.of_threads.iter().map(|of| of.$name.load(Ordering::Relaxed)).sum()
                }
            )*
        }

        /// Names of the counters.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(non_camel_case_types, reason = "named as the getters")]
        pub(crate) enum Count { $($name,)* }

        impl Counters {
            pub(crate) fn add(&self, count: Count, times: u64) {
                let counts = self.of_threads.get_or_default();
                let counter = match count { $(Count::$name => &counts.$name,)* };
                counter.fetch_add(times, Ordering::Relaxed);
            }
        }
    };
}

counters! {
    /// Responses that were sent from near.
    hits,
    /// Requests for whose response nothing near could be used.
    misses,
    /// Of those, responses that were found and could not be used any more, because something changed.
    outdated,
    /// Of those, responses that were found and are to be looked up again, because they are past their soft expiry.
    expired,
    /// Cells and partials that were taken from near.
    cell_hits,
    /// Cells and partials that were not near.
    cell_misses,
    /// What was kept: responses, cells, partials.
    fills,
    /// Fills that were thrown away because something changed while they were read.
    fills_thrown_away,
    /// Fills that were thrown away because changes were not told, or one alone would take too much room.
    fills_refused,
    /// What went because there was no room for it.
    dropped_for_room,
    /// What went because of its age.
    dropped_for_age,
    /// Times that everything went because the connection that tells of changes was lost.
    dropped_by_disconnection,
    /// Times that everything went because the cache was emptied.
    dropped_by_emptying,
    /// Changes that were told, by key.
    changes,
    /// Times that the directory was read again after a change.
    directory_reads,
    /// Questions that were answered, each for all who asked it meanwhile.
    flights,
    /// Requests that waited for a question that was already being answered.
    flight_waits,
    /// Flights that failed.
    flights_failed,
    /// Requests that were refused because too many questions were being answered.
    flights_refused,
    /// Store-days that were fetched because no cell was ready.
    store_days,
    /// Store-days that were already being fetched for another question.
    store_day_waits,
}
