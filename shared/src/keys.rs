//! Cache keys: the one place that makes them. `{}` is a Redis Cluster hash tag, so that all keys of one store lie in
//! one slot. Pure.

mod place;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use xxhash_rust::xxh3::xxh3_128;

use crate::model::{Day, DayRange, Document, Query};
pub use place::Place;

/// Prefix of all keys unless set otherwise; `1` is the version of the layout.
pub const DEFAULT_PREFIX: &str = "hs:1:";

/// Everything but letters, digits and these is escaped, so no store name can leave its place in a key.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Counters of documents that were made again.
const ANSWER_VERSIONS: u128 = 1 << 10;

/// Where an entry is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The key.
    pub key: String,
    /// The field, if the key is a hash.
    pub field: Option<String>,
}

/// Makes keys under one prefix.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self::new(DEFAULT_PREFIX)
    }
}

impl Keys {
    /// Keys under `prefix`, which ends with a colon.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The prefix.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    fn of_store(&self, level: &str, store_id: &str) -> String {
        format!("{}{level}:{{{}}}", self.prefix, utf8_percent_encode(store_id, ESCAPED))
    }

    /// L1: the order lines of a store and day.
    #[must_use]
    pub fn orders(&self, store_id: &str, day: Day) -> Slot {
        Slot { key: format!("{}:{day}", self.of_store("orders", store_id)), field: None }
    }

    /// L2 (a): the hash of a store's day cells.
    #[must_use]
    pub fn day_cells(&self, store_id: &str) -> String {
        self.of_store("cells", store_id)
    }

    /// L2 (b): the hash of a store's product cells.
    #[must_use]
    pub fn product_cells(&self, store_id: &str) -> String {
        self.of_store("products", store_id)
    }

    /// L2 (a): one day cell.
    #[must_use]
    pub fn day_cell(&self, store_id: &str, day: Day) -> Slot {
        Slot { key: self.day_cells(store_id), field: Some(day.to_string()) }
    }

    /// L2 (b): one product cell.
    #[must_use]
    pub fn product_cell(&self, store_id: &str, day: Day) -> Slot {
        Slot { key: self.product_cells(store_id), field: Some(day.to_string()) }
    }

    /// L3 (a): a store's partial of the diagnosis of a range that ends on y.
    #[must_use]
    pub fn partial(&self, store_id: &str, range: DayRange) -> Slot {
        Slot {
            key: format!("{}:{}:{}", self.of_store("partial", store_id), range.from, range.to),
            field: None,
        }
    }

    /// L3 (b): a whole document. Long questions are hashed; the entry holds the full question, checked on read.
    #[must_use]
    pub fn answer(&self, query: &Query) -> Slot {
        self.answer_of(query, &query.canonical())
    }

    /// As [`Keys::answer`], where the question's canonical text is known.
    pub(crate) fn answer_of(&self, query: &Query, canonical: &str) -> Slot {
        let hash = xxh3_128(canonical.as_bytes());
        let range = query.range.map_or(String::from("-"), |range| format!("{}:{}", range.from, range.to));
        Slot {
            key: format!("{}answer:{}:{range}:{hash:032x}", self.prefix, query.document.name()),
            field: None,
        }
    }

    /// L4: a ready response.
    #[must_use]
    pub fn hot(&self, query: &Query) -> Slot {
        self.hot_of(query.document, &query.canonical())
    }

    /// As [`Keys::hot`], where the question's canonical text is known.
    pub(crate) fn hot_of(&self, document: Document, canonical: &str) -> Slot {
        let hash = xxh3_128(canonical.as_bytes());
        Slot { key: format!("{}{}:{hash:032x}", self.hots(), document.name()), field: None }
    }

    /// What the keys of all ready responses begin with.
    #[must_use]
    pub fn hots(&self) -> String {
        format!("{}hot:", self.prefix)
    }

    /// The plan that the warmer follows.
    #[must_use]
    pub fn plan(&self) -> Slot {
        Slot { key: format!("{}status:plan", self.prefix), field: None }
    }

    /// Whether a key of a whole document or ready response is that of a question's canonical text.
    #[must_use]
    pub fn is_of_question(&self, key: &str, canonical: &str) -> bool {
        let hash = format!(":{:032x}", xxh3_128(canonical.as_bytes()));
        (key.starts_with(&self.answers()) || key.starts_with(&self.hots())) && key.ends_with(&hash)
    }

    /// Counts the changes of a store's data.
    #[must_use]
    pub fn store_version(&self, store_id: &str) -> String {
        self.of_store("version", store_id)
    }

    /// Counts the batches of changes.
    #[must_use]
    pub fn fleet_version(&self) -> String {
        format!("{}version:fleet", self.prefix)
    }

    /// What the keys of all versions begin with: what gateways watch.
    #[must_use]
    pub fn versions(&self) -> String {
        format!("{}version:", self.prefix)
    }

    /// Counts how often documents of questions were made again. Many questions share one of these counters, so that
    /// their number is bounded; whoever watches one may look a document up again that did not change.
    #[must_use]
    pub fn answer_version(&self, canonical: &str) -> String {
        format!("{}{:03x}", self.answer_versions(), xxh3_128(canonical.as_bytes()) % ANSWER_VERSIONS)
    }

    /// What the keys of all counters of documents begin with.
    #[must_use]
    pub fn answer_versions(&self) -> String {
        format!("{}version:answers:", self.prefix)
    }

    /// When a store's data were last confirmed.
    #[must_use]
    pub fn store_fresh(&self, store_id: &str) -> Slot {
        Slot { key: self.of_store("fresh", store_id), field: None }
    }

    /// When all stores' data were last confirmed.
    #[must_use]
    pub fn fleet_fresh(&self) -> Slot {
        Slot { key: format!("{}fresh:fleet", self.prefix), field: None }
    }

    /// Who may write: the lease, which expires, and the fence, which stays.
    #[must_use]
    pub fn lease(&self) -> (String, String) {
        (format!("{}{{warmer}}:lease", self.prefix), format!("{}{{warmer}}:fence", self.prefix))
    }

    /// Set while warming is paused.
    #[must_use]
    pub fn paused(&self) -> Slot {
        Slot { key: format!("{}paused", self.prefix), field: None }
    }

    /// The list of requests that operators make of the warmer.
    #[must_use]
    pub fn requests(&self) -> String {
        format!("{}requests", self.prefix)
    }

    /// The state that a warmer publishes.
    #[must_use]
    pub fn warmer_status(&self, instance: &str) -> Slot {
        let instance = utf8_percent_encode(instance, ESCAPED);
        Slot { key: format!("{}{instance}", self.warmer_statuses()), field: None }
    }

    /// What the keys of all warmers' states begin with.
    #[must_use]
    pub fn warmer_statuses(&self) -> String {
        format!("{}status:warmer:", self.prefix)
    }

    /// The hash of the warmers that tell of themselves: field = instance, value = when it told last.
    #[must_use]
    pub fn warmers(&self) -> String {
        format!("{}status:warmers", self.prefix)
    }

    /// What is written only to see whether it can be read; `by` tells its writers apart.
    #[must_use]
    pub fn proof(&self, by: &str) -> String {
        format!("{}{}", self.proofs(), utf8_percent_encode(by, ESCAPED))
    }

    fn proofs(&self) -> String {
        format!("{}proof:", self.prefix)
    }

    /// What the keys of all whole documents begin with.
    #[must_use]
    pub fn answers(&self) -> String {
        format!("{}answer:", self.prefix)
    }

    /// What all keys of order lines of a store begin with.
    #[must_use]
    pub fn orders_of(&self, store_id: &str) -> String {
        format!("{}:", self.of_store("orders", store_id))
    }

    /// The hash of the stores: field = store id, and [`DIRECTORY_SUMMARY`].
    #[must_use]
    pub fn directory(&self) -> String {
        format!("{}directory", self.prefix)
    }
}

/// The field of the directory that says how many stores it has: no store has the empty id.
pub const DIRECTORY_SUMMARY: &str = "";

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_layout_is_pinned() {
        let (keys, day) = (Keys::default(), "2026-03-07".parse().unwrap());
        let range = DayRange { from: "2026-02-06".parse().unwrap(), to: day };
        assert_eq!(keys.orders("1001", day).key, "hs:1:orders:{1001}:2026-03-07");
        assert_eq!(
            keys.day_cell("1001", day),
            Slot { key: "hs:1:cells:{1001}".into(), field: Some("2026-03-07".into()) }
        );
        assert_eq!(keys.product_cells("a_b"), "hs:1:products:{a_b}");
        assert_eq!(keys.partial("{x}", range).key, "hs:1:partial:{%7Bx%7D}:2026-02-06:2026-03-07");
        assert_eq!(keys.store_version("门店:1"), "hs:1:version:{%E9%97%A8%E5%BA%97%3A1}");
        assert_ne!(keys.store_version("fleet"), keys.fleet_version());
        assert_eq!(keys.store_fresh("a/\"b").key, "hs:1:fresh:{a%2F%22b}");
    }

    proptest! {
        #[test]
        fn keys_are_injective(a in "\\PC{1,6}", b in "\\PC{1,6}", x in 0i32..3, y in 0i32..3) {
            let keys = Keys::default();
            prop_assert_eq!(keys.orders(&a, Day(x)) == keys.orders(&b, Day(y)), (&a, x) == (&b, y));
            prop_assert_eq!(keys.day_cell(&a, Day(x)) == keys.day_cell(&b, Day(y)), (&a, x) == (&b, y));
            prop_assert_ne!(keys.day_cells(&a), keys.product_cells(&b));
            let partial = |store: &str, from| keys.partial(store, DayRange { from: Day(from), to: Day(5) });
            prop_assert_eq!(partial(&a, x) == partial(&b, y), (&a, x) == (&b, y));
        }
    }
}
