//! Questions as they were understood when the very same request came before: parameters read and resolved, texts and keys
//! made. Nothing of an answer is kept, so it needs no word of changes: it is right for as long as the directory is the one
//! that it was resolved by.

use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};
use shared::access_log::request_line::WrittenQuestion;
use shared::cache::Levels;
use shared::cache::levels::{Confirmed, StoredAt};
use shared::model::{Directory, Document, Query};

use crate::near::{Near, Watched};
use crate::represent::{Shape, Variant};

/// Stores whose confirmation is read in the round trip of the documents; that of more is read when it is needed.
const FEW_STORES: usize = 16;
/// Bytes of a question, about.
const USUAL_BYTES: u64 = 1 << 10;
/// What a question takes beside its texts: places in lists, counts, the query.
const OVERHEAD: usize = 600;

/// A question, and in which form its answer is wanted.
#[derive(Debug)]
pub(crate) struct Understood {
    pub(crate) shape: Shape,
    pub(crate) variant: Variant,
    pub(crate) query: Arc<Query>,
    /// Canonical text.
    pub(crate) text: String,
    /// What tells the answer in this form from every other response.
    pub(crate) identity: Arc<[u8]>,
    /// As the access log has it.
    pub(crate) logged: Option<WrittenQuestion>,
    /// Where its whole document may lie.
    pub(crate) at: StoredAt,
    /// What it is made of.
    pub(crate) watched: Watched,
}

impl Understood {
    /// A question as resolved by what its caller may see, in one form.
    pub(crate) fn new(
        levels: &Levels,
        near: &Near,
        (shape, variant): (Shape, Variant),
        query: Query,
        text: String,
        directory: &Directory,
        logged: Option<WrittenQuestion>,
    ) -> Self {
        let of_all = query.stores.len() == directory.stores().len();
        let confirmed = match (of_all, query.stores.len() <= FEW_STORES) {
            (true, _) => Confirmed::Fleet,
            (false, true) => Confirmed::Stores(&query.stores),
            (false, false) => Confirmed::Stores(&[]),
        };
        Self {
            at: levels.stored_at(&query, &text, confirmed),
            watched: near.watched(&query.stores, of_all, &text),
            identity: variant.identity(&text),
            logged,
            query: Arc::new(query),
            shape,
            variant,
            text,
        }
    }

    /// Whether a whole document of it may be stored.
    pub(crate) fn may_be_stored(&self) -> bool {
        self.query.document != Document::Stores
    }

    fn size(&self) -> usize {
        let stores = self.query.stores.iter().map(|store| store.len() + size_of::<String>());
        let texts = self.text.len()
            + self.identity.len()
            + self.logged.as_ref().map_or(0, WrittenQuestion::size)
            + self.at.size();
        size_of::<Self>() + stores.sum::<usize>() + texts
    }
}

/// A request that was understood, and by which directory.
#[derive(Clone, Debug)]
struct Known {
    /// Not kept alive by this.
    directory: Weak<Directory>,
    understood: Arc<Understood>,
    size: u64,
}

/// All of a request that decides what is asked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Text(Box<[u8]>);

impl Equivalent<Text> for [u8] {
    fn equivalent(&self, text: &Text) -> bool {
        *self == *text.0
    }
}

#[derive(Clone, Debug)]
struct Weigher;

impl Weighter<Text, Known> for Weigher {
    fn weight(&self, _: &Text, known: &Known) -> u64 {
        known.size
    }
}

type Kept = Cache<Text, Known, Weigher, RandomState, DefaultLifecycle<Text, Known>>;

/// Questions that were understood.
#[derive(Debug)]
pub(crate) struct KnownQuestions {
    cache: Kept,
}

impl KnownQuestions {
    /// At most so many bytes of them.
    pub(crate) fn new(max_bytes: u64) -> Self {
        let usual = usize::try_from(max_bytes / USUAL_BYTES).unwrap_or(usize::MAX).max(1);
        let (hasher, lifecycle) = (RandomState::default(), DefaultLifecycle::default());
        Self { cache: Cache::with(usual, max_bytes, Weigher, hasher, lifecycle) }
    }

    /// What a request asks; `None` if it did not come before, or by another directory.
    pub(crate) fn get(&self, request: &[u8], directory: &Arc<Directory>) -> Option<Arc<Understood>> {
        let known = self.cache.get(request)?;
        std::ptr::eq(known.directory.as_ptr(), Arc::as_ptr(directory)).then_some(known.understood)
    }

    /// Keeps what a request asks.
    pub(crate) fn keep(&self, request: &[u8], directory: &Arc<Directory>, understood: &Arc<Understood>) {
        let size = (OVERHEAD + request.len() + understood.size()) as u64;
        let (directory, understood) = (Arc::downgrade(directory), Arc::clone(understood));
        self.cache.insert(Text(request.into()), Known { directory, understood, size });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests {
    use super::*;
    use crate::negotiate::Format;
    use crate::represent::shape;
    use shared::cache::{Cache, MemoryCache};
    use shared::config::Settings;
    use shared::keys::Keys;
    use shared::model::Ask;

    /// Levels over nothing, and a near cache that nobody tells of changes.
    pub(crate) fn parts() -> (Levels, Near) {
        let settings = Settings::load(&[], &|_| None).unwrap();
        let cache = Cache::Memory(MemoryCache::new(1 << 20));
        let levels = Levels::new(cache, Keys::default(), 1, settings.ttl, settings.max_inflated);
        (levels, Near::new(&settings.near, Keys::default()))
    }

    fn understood(directory: &Directory) -> Arc<Understood> {
        let query = Ask::default_for(Document::Overview).resolve(directory).unwrap();
        let (levels, near) = parts();
        let form = (shape(Document::Overview), Variant { format: Format::Json, gzip: true });
        let text = query.canonical();
        Arc::new(Understood::new(&levels, &near, form, query, text, directory, None))
    }

    #[test]
    fn a_question_is_known_by_its_text_and_directory() {
        let (first, second) = (Arc::new(Directory::default()), Arc::new(Directory::default()));
        let (known, question) = (KnownQuestions::new(1 << 20), understood(&first));
        assert!(known.get(b"a", &first).is_none());
        known.keep(b"a", &first, &question);
        assert!(Arc::ptr_eq(&known.get(b"a", &first).unwrap(), &question));
        assert!(known.get(b"b", &first).is_none());
        assert!(known.get(b"a", &second).is_none(), "equal, but another");
        known.keep(b"a", &second, &question);
        assert!(known.get(b"a", &first).is_none() && known.get(b"a", &second).is_some());
    }

    #[test]
    fn they_are_bounded_in_bytes() {
        let directory = Arc::new(Directory::default());
        let (known, question) = (KnownQuestions::new(64 << 10), understood(&directory));
        for number in 0..1000 {
            known.keep(format!("{number}").as_bytes(), &directory, &question);
        }
        let cache = &known.cache;
        assert!(cache.weight() <= 64 << 10 && (10..100).contains(&cache.len()), "{}", cache.len());
    }
}
