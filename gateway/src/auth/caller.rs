//! What somebody may see. Stores of others are refused from the token's list alone, before anything is looked up: whether
//! they exist can be told from neither status, body nor time.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use moka::sync::Cache;
use shared::config::{Role, StoreScope};
use shared::model::Directory;

use super::Access;
use super::token::Token;
use crate::problem::Problem;

/// Most stores of all the directories that are kept for tokens with lists, together: about 20 MB.
const KEPT_STORES: u64 = 100_000;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    access: &'a Access,
    /// `None` where no tokens are set: everybody may see everything.
    token: Option<&'a Token>,
}

impl<'a> Caller<'a> {
    pub(super) fn new(access: &'a Access, token: Option<&'a Token>) -> Self {
        Self { access, token }
    }

    /// His token; `None` where there are no tokens.
    #[must_use]
    pub fn token(&self) -> Option<&'a Token> {
        self.token
    }

    /// Whether he may see how the service is.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.token.is_none_or(|token| token.role() == Role::Operator)
    }

    /// The stores that he may see; `None` = all.
    #[must_use]
    pub fn list(&self) -> Option<&'a BTreeSet<String>> {
        match self.token?.stores() {
            StoreScope::All => None,
            StoreScope::Listed(stores) => Some(stores),
        }
    }

    /// A number that only callers who may see the same have in common: what is kept by the text of a request must be kept
    /// by this, too, since "all stores" are others for each list.
    #[must_use]
    pub fn scope(&self) -> u64 {
        let list = self.list().and(self.token);
        let first = self.access.inner.past_scopes.saturating_add(1);
        list.map_or(0, |token| first.saturating_add(u64::try_from(token.place()).unwrap_or(u64::MAX)))
    }

    /// Checks that all these stores are his.
    ///
    /// # Errors
    /// 403 with those that are not, whether they exist or not.
    pub fn check<'s>(&self, stores: impl IntoIterator<Item = &'s String>) -> Result<(), Problem> {
        let Some(list) = self.list() else { return Ok(()) };
        let others: Vec<&String> = stores.into_iter().filter(|store| !list.contains(*store)).collect();
        if others.is_empty() {
            return Ok(());
        }
        self.access.inner.counts.forbidden.fetch_add(1, Ordering::Relaxed);
        Err(Problem::others_stores(&others))
    }

    /// The directory as it is for him. The very same one if he may see all that there is: then his questions are those
    /// that everybody asks.
    #[must_use]
    pub fn directory(&self, all: &Arc<Directory>) -> Arc<Directory> {
        match (self.token, self.list()) {
            (Some(token), Some(list)) => self.access.inner.views.view(token.place(), list, all),
            _ => Arc::clone(all),
        }
    }
}

/// Directories as they are for tokens with lists. They are made again for each directory that is read.
#[derive(Debug)]
pub(super) struct Views {
    views: Cache<usize, View>,
}

#[derive(Clone, Debug)]
struct View {
    /// What it was made of; not kept alive by this.
    of: Weak<Directory>,
    directory: Arc<Directory>,
}

impl Default for Views {
    fn default() -> Self {
        Self::of_at_most(KEPT_STORES)
    }
}

impl Views {
    fn of_at_most(stores: u64) -> Self {
        let weigh =
            |_: &usize, view: &View| u32::try_from(view.directory.stores().len()).unwrap_or(u32::MAX).max(1);
        Self { views: Cache::builder().max_capacity(stores).weigher(weigh).build() }
    }

    fn view(&self, place: usize, list: &BTreeSet<String>, all: &Arc<Directory>) -> Arc<Directory> {
        if let Some(view) = self.views.get(&place)
            && std::ptr::eq(view.of.as_ptr(), Arc::as_ptr(all))
        {
            return view.directory;
        }
        let only = all.only(list);
        let directory =
            if only.stores().len() == all.stores().len() { Arc::clone(all) } else { Arc::new(only) };
        self.views.insert(place, View { of: Arc::downgrade(all), directory: Arc::clone(&directory) });
        directory
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::model::{Day, StoreInfo};

    fn directory(ids: &[&str]) -> Arc<Directory> {
        let info = |id: &&str| StoreInfo {
            store_id: (*id).to_owned(),
            name: (*id).to_owned(),
            city: None,
            lines: 1,
            days: [Day(1)].into_iter().collect(),
        };
        Arc::new(Directory::new(ids.iter().map(info).collect()))
    }

    fn list(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn views_are_kept_until_the_directory_changes() {
        let views = Views::default();
        let (first, second) = (directory(&["a", "b"]), directory(&["a", "b", "c"]));
        let own = list(&["a", "c", "x"]);
        let view = views.view(0, &own, &first);
        assert_eq!(*view, *directory(&["a"]));
        assert!(Arc::ptr_eq(&view, &views.view(0, &own, &first)));
        assert_eq!(*views.view(0, &own, &second), *directory(&["a", "c"]));
        assert_eq!(*views.view(1, &list(&["b"]), &second), *directory(&["b"]));
        // Whoever may see all that there is gets the very same.
        assert!(Arc::ptr_eq(&first, &views.view(2, &list(&["a", "b", "z"]), &first)));
    }

    #[test]
    fn views_are_bounded() {
        let (views, all) = (Views::of_at_most(10), directory(&["a", "b", "c"]));
        for place in 0..100 {
            assert_eq!(views.view(place, &list(&["a", "b"]), &all).stores().len(), 2);
        }
        views.views.run_pending_tasks();
        assert!(views.views.weighted_size() <= 10);
    }
}
