//! L3: a diagnosis merged from the partials of its stores.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rayon::prelude::*;
use shared::answers::Part;
use shared::cache::Read;
use shared::diagnosis::Partial;
use shared::model::{DataVersion, DayRange};
use shared::runtime::now_ms;

use super::{Fetched, Fill};
use crate::near::ReadIn;
use crate::problem::Problem;

/// Partials that one thread takes; see `cells`.
const AT_ONCE: usize = 16;

impl Fill {
    /// Merges the partials that are ready; gives the stores that lack one.
    pub(super) async fn merge_partials(
        &self,
        range: DayRange,
        stores: Vec<String>,
        fetched: &mut Fetched,
    ) -> Result<Vec<String>, Problem> {
        let (near, now) = (self.app.near().clone(), now_ms());
        let mut kept: Vec<(DataVersion, Arc<Partial>)> = Vec::new();
        let mut to_read = Vec::new();
        for store in stores {
            match near.partial(&store, range, now) {
                Some(found) => kept.push(found),
                None => to_read.push(store),
            }
        }
        let start = Instant::now();
        let reads = match to_read.as_slice() {
            [] => Vec::new(),
            to_read => self.app.levels().read_partials(to_read, range).await,
        };
        fetched.timing.cache += start.elapsed();
        let start = Instant::now();
        let (levels, query) = (self.app.levels().clone(), Arc::clone(&self.query));
        let read_in = ReadIn { epoch: self.epoch, source_at: None };
        let merge = move || {
            let decode = |(store, read): (String, Read<Bytes>)| {
                let decoded = read.hit().and_then(|bytes| levels.decode_partial(&store, range, &bytes));
                let Some((header, partial)) = decoded else { return Err(store) };
                let partial = Arc::new(partial);
                near.keep_partial((&store, range), header.data_version, &partial, read_in);
                Ok((header.data_version, partial))
            };
            let decoded: Vec<_> =
                to_read.into_par_iter().with_min_len(AT_ONCE).zip(reads).map(decode).collect();
            let (mut merged, mut missing) = (Part::empty(), Vec::new());
            for found in kept.into_iter().map(Ok).chain(decoded) {
                match found {
                    Ok((version, partial)) => {
                        merged.merge(Part::of_partial(Arc::unwrap_or_clone(partial), version), &query);
                    }
                    Err(store) => missing.push(store),
                }
            }
            (merged, missing)
        };
        let (part, missing) = self.app.compute().run(merge).await?;
        fetched.part.merge(part, &self.query);
        fetched.timing.compute += start.elapsed();
        Ok(missing)
    }
}
