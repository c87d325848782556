//! From a key back to what lies there: for those who look at a cache from outside. The inverse of [`Keys`].

use percent_encoding::percent_decode_str;

use super::Keys;
use crate::model::{Day, DayRange};

/// What lies at a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// L1: the order lines of a store and day.
    Orders {
        /// Store.
        store_id: String,
        /// Day.
        day: Day,
    },
    /// L2 (a): the hash of a store's day cells.
    DayCells(String),
    /// L2 (b): the hash of a store's product cells.
    ProductCells(String),
    /// L3 (a): a store's partial of a diagnosis.
    Partial {
        /// Store.
        store_id: String,
        /// Range of the diagnosis.
        range: DayRange,
    },
    /// L3 (b): a whole document.
    Answer,
    /// L4: a ready response.
    Hot,
    /// The hash of the stores.
    Directory,
    /// Counts the changes of a store's data.
    StoreVersion(String),
    /// Counts the batches of changes.
    FleetVersion,
    /// Counts how often documents of some questions were made again.
    AnswerVersion,
    /// When a store's data were last confirmed.
    StoreFresh(String),
    /// When all stores' data were last confirmed.
    FleetFresh,
    /// Who may write, for a time.
    Lease,
    /// Whose writes count.
    Fence,
    /// Set while warming is paused.
    Paused,
    /// Requests of operators.
    Requests,
    /// The state that a warmer publishes, by instance.
    Status(String),
    /// The warmers that tell of themselves.
    Warmers,
    /// The plan that the warmer follows.
    Plan,
    /// Written only to see whether it can be read.
    Proof,
}

impl Place {
    /// The store whose data lie there; `None` for what belongs to all stores, or to none.
    #[must_use]
    pub fn store_id(&self) -> Option<&str> {
        match self {
            Self::Orders { store_id, .. }
            | Self::DayCells(store_id)
            | Self::ProductCells(store_id)
            | Self::Partial { store_id, .. }
            | Self::StoreVersion(store_id)
            | Self::StoreFresh(store_id) => Some(store_id),
            _ => None,
        }
    }

    /// For people.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Orders { .. } => "L1 orders: the order lines of a store and day",
            Self::DayCells(_) => "L2 day cells of a store, by day",
            Self::ProductCells(_) => "L2 product cells of a store, by day",
            Self::Partial { .. } => "L3 partial: one store's part of a diagnosis",
            Self::Answer => "L3 answer: a whole document",
            Self::Hot => "L4 hot: a ready response",
            Self::Directory => "directory: the stores, their names and days",
            Self::StoreVersion(_) => "version: counts the changes of a store's data",
            Self::FleetVersion => "version: counts the batches of changes",
            Self::AnswerVersion => "version: counts how often some questions' documents were made again",
            Self::StoreFresh(_) => "fresh: when a store's data were last confirmed",
            Self::FleetFresh => "fresh: when all stores' data were last confirmed",
            Self::Lease => "lease: who writes, until it expires",
            Self::Fence => "fence: whose writes count",
            Self::Paused => "paused: set while warming is paused",
            Self::Requests => "requests: what operators asked and no warmer has taken yet",
            Self::Status(_) => "status: what a warmer says of itself",
            Self::Warmers => "status: the warmers that tell of themselves, and when each told last",
            Self::Plan => "plan: what the warmer keeps and why; see warmer plan and warmer explain",
            Self::Proof => "proof: written to see whether it can be read, for some seconds",
        }
    }
}

impl Keys {
    /// What lies at a key; `None` if it is none of ours.
    #[must_use]
    pub fn place(&self, key: &str) -> Option<Place> {
        let rest = key.strip_prefix(self.prefix())?;
        let (lease, fence) = self.lease();
        let whole = [
            (self.directory(), Place::Directory),
            (self.fleet_version(), Place::FleetVersion),
            (self.fleet_fresh().key, Place::FleetFresh),
            (lease, Place::Lease),
            (fence, Place::Fence),
            (self.paused().key, Place::Paused),
            (self.requests(), Place::Requests),
            (self.plan().key, Place::Plan),
            (self.warmers(), Place::Warmers),
        ];
        if let Some((_, place)) = whole.into_iter().find(|(known, _)| known == key) {
            return Some(place);
        }
        if key.starts_with(&self.answer_versions()) {
            return Some(Place::AnswerVersion);
        }
        if key.starts_with(&self.proofs()) {
            return Some(Place::Proof);
        }
        if key.starts_with(&self.answers()) {
            return Some(Place::Answer);
        }
        if key.starts_with(&self.hots()) {
            return Some(Place::Hot);
        }
        if let Some(instance) = key.strip_prefix(&self.warmer_statuses()) {
            return Some(Place::Status(percent_decode_str(instance).decode_utf8().ok()?.into_owned()));
        }
        let (level, rest) = rest.split_once(':')?;
        let (escaped, rest) = rest.strip_prefix('{')?.split_once('}')?;
        let store_id = percent_decode_str(escaped).decode_utf8().ok()?.into_owned();
        // Escaped in another way it would be a key that nobody looks at.
        if !key.starts_with(&self.of_store(level, &store_id)) {
            return None;
        }
        match (level, rest) {
            ("cells", "") => Some(Place::DayCells(store_id)),
            ("products", "") => Some(Place::ProductCells(store_id)),
            ("version", "") => Some(Place::StoreVersion(store_id)),
            ("fresh", "") => Some(Place::StoreFresh(store_id)),
            ("orders", rest) => Some(Place::Orders { day: rest.strip_prefix(':')?.parse().ok()?, store_id }),
            ("partial", rest) => {
                let (from, to) = rest.strip_prefix(':')?.split_once(':')?;
                let range = DayRange { from: from.parse().ok()?, to: to.parse().ok()? };
                Some(Place::Partial { store_id, range })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Ask, Directory, Document};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_key_leads_back(store in "\\PC{0,8}", prefix in "[a-z]{1,3}:([0-9]:)?", from in 0i32..9, to in 9i32..99) {
            let keys = Keys::new(&prefix);
            let (range, day) = (DayRange { from: Day(from), to: Day(to) }, Day(to));
            for (key, place) in [
                (keys.orders(&store, day).key, Place::Orders { store_id: store.clone(), day }),
                (keys.day_cells(&store), Place::DayCells(store.clone())),
                (keys.product_cells(&store), Place::ProductCells(store.clone())),
                (keys.partial(&store, range).key, Place::Partial { store_id: store.clone(), range }),
                (keys.store_version(&store), Place::StoreVersion(store.clone())),
                (keys.store_fresh(&store).key, Place::StoreFresh(store.clone())),
                (keys.warmer_status(&store).key, Place::Status(store.clone())),
            ] {
                prop_assert_eq!(keys.place(&key), Some(place), "{}", key);
            }
        }

        #[test]
        fn other_keys_lead_nowhere(rest in "(orders|cells|partial|version|x)?[:{}%a0-9-]{0,20}") {
            let keys = Keys::default();
            let key = format!("{}{rest}", keys.prefix());
            // Whatever is recognised is a key that is made.
            let made = match keys.place(&key) {
                Some(Place::Orders { store_id, day }) => keys.orders(&store_id, day).key,
                Some(Place::DayCells(store_id)) => keys.day_cells(&store_id),
                Some(Place::Partial { store_id, range }) => keys.partial(&store_id, range).key,
                Some(Place::StoreVersion(store_id)) => keys.store_version(&store_id),
                _ => key.clone(),
            };
            prop_assert_eq!(made, key);
        }
    }

    #[test]
    fn what_belongs_to_no_store_leads_back() {
        let keys = Keys::default();
        let (lease, fence) = keys.lease();
        let directory = Directory::default();
        let answer =
            Ask::default_for(Document::Overview).resolve(&directory).map(|query| keys.answer(&query).key);
        for (key, place) in [
            (keys.directory(), Place::Directory),
            (keys.fleet_version(), Place::FleetVersion),
            (keys.answer_version("overview?"), Place::AnswerVersion),
            (keys.fleet_fresh().key, Place::FleetFresh),
            (lease, Place::Lease),
            (fence, Place::Fence),
            (keys.paused().key, Place::Paused),
            (keys.requests(), Place::Requests),
            (keys.warmers(), Place::Warmers),
            (keys.proof("host/1"), Place::Proof),
            (answer.unwrap_or_else(|_| format!("{}overview:-:0", keys.answers())), Place::Answer),
        ] {
            assert_eq!(keys.place(&key), Some(place));
        }
        for key in ["other:cells:{a}", "hs:1:cells:{%e9}", "hs:1:nothing", "hs:1:orders:{a}:today", ""] {
            assert_eq!(keys.place(key), None, "{key}");
        }
    }
}
