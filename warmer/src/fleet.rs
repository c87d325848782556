//! The documents over all stores, and the directory.

use std::collections::BTreeSet;
use std::sync::Arc;

use shared::answers::Part;
use shared::cache::levels::Stamp;
use shared::cache::{Read, StoredAnswer, Write};
use shared::entry::EncodeError;
use shared::model::Directory;
use shared::runtime::now_ms;

use crate::answer::document;
use crate::once::{LevelCount, count};
use crate::scope::Scope;
use crate::warming::{WarmError, Warming};

/// Writes the documents of merged parts, which are in the order of `scope.queries`, with the ready responses that are
/// kept of them, and bumps the fleet's version.
///
/// # Errors
/// If an entry cannot be made or the cache not be written.
pub async fn write_documents(
    warming: &Warming,
    scope: &Scope,
    parts: Vec<Part>,
    ready: Arc<BTreeSet<String>>,
) -> Result<Vec<LevelCount>, WarmError> {
    let now = now_ms();
    let (scope, levels) = (scope.clone(), warming.levels.clone());
    let mut writes = warming
        .compute
        .run_waiting(move || -> Result<Vec<Write>, EncodeError> {
            let finish = |(part, query): (Part, &shared::model::Query)| {
                let stamp = Stamp { now, as_of: query.as_of, version: part.version() };
                let answer = StoredAnswer::new(&part.finish(query, &scope.directory))?;
                document(&levels, query, &answer, &stamp, ready.contains(&query.canonical()))
            };
            let documents: Vec<Vec<Write>> = parts
                .into_iter()
                .zip(scope.queries.iter())
                .map(finish)
                .collect::<Result<_, EncodeError>>()?;
            Ok(documents.into_iter().flatten().collect())
        })
        .await??;
    writes.push(Write::Bump { key: warming.levels.keys().fleet_version() });
    let counts = count(&writes);
    warming.levels.cache().transact(writes).await?;
    Ok(counts)
}

/// Writes the whole directory, forgets the stores that it no longer has, and confirms all data.
///
/// # Errors
/// As [`write_documents`].
pub async fn write_directory(warming: &Warming, scope: &Scope) -> Result<Vec<LevelCount>, WarmError> {
    write_whole_directory(warming, scope, true).await
}

/// As [`write_directory`]; the data are confirmed only if all that is made of them was `confirmed`.
///
/// # Errors
/// As [`write_documents`].
pub async fn write_whole_directory(
    warming: &Warming,
    scope: &Scope,
    confirmed: bool,
) -> Result<Vec<LevelCount>, WarmError> {
    let levels = &warming.levels;
    let before = match levels.read_directory().await {
        Read::Hit(before) => before,
        Read::Miss | Read::Unavailable => Directory::default(),
    };
    let now = now_ms();
    let (directory, of_levels) = (Arc::clone(&scope.directory), levels.clone());
    let mut writes = warming
        .compute
        .run_waiting(move || -> Result<Vec<Write>, EncodeError> {
            let gone = before.stores().iter().filter(|store| directory.get(&store.store_id).is_none());
            let mut writes: Vec<Write> =
                gone.flat_map(|store| of_levels.forget_store(&store.store_id)).collect();
            writes.extend(of_levels.write_directory(&directory, now)?);
            Ok(writes)
        })
        .await??;
    writes.extend(confirmed.then(|| levels.write_fresh(None, now)));
    let counts = count(&writes);
    levels.cache().transact(writes).await?;
    Ok(counts)
}
