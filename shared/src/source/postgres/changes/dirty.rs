//! What the triggers noted: reading it, and deleting what was dealt with.

use std::collections::{BTreeMap, BTreeSet};

use super::watch::refused;
use crate::model::{Column, Day};
use crate::source::SourceError;
use crate::source::postgres::PostgresSource;
use crate::source::postgres::directory::{Spellings, note, store_of, texts_of};

/// Noted changes that were read together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirtyBatch {
    /// The rows, for [`PostgresSource::clear`] after the store-days were rewritten.
    pub ids: Vec<i64>,
    /// What to rewrite.
    pub store_days: BTreeSet<(String, Day)>,
    /// The store-day of each row that names one.
    pub of: BTreeMap<i64, (String, Day)>,
    /// Any store-day may have changed: the table is newly watched, a partition was dropped, or too much was truncated to list.
    pub everything: bool,
    /// When the oldest change was noted, by the database's clock: milliseconds since 1970.
    pub oldest_ms: Option<i64>,
    /// There may be more rows.
    pub is_full: bool,
}

impl PostgresSource {
    /// The oldest noted changes, at most `limit` rows, without those of these numbers: what is known and waits shall not
    /// keep newer ones from being read. Several rows may name the same store-day.
    ///
    /// # Errors
    /// If the table is not watched, or the database cannot be reached.
    pub async fn dirty(&self, limit: u32, without: &[i64]) -> Result<DirtyBatch, SourceError> {
        let watch = self.watch().await?;
        let fields = self.plan().await?.of(Column::StoreId);
        let query = format!(
            "SELECT id, day - date '1970-01-01', (extract(epoch from at) * 1000)::int8, {} FROM {} WHERE id <> ALL($2) \
             ORDER BY id LIMIT $1",
            (1..=fields.len()).map(|at| format!("store[{at}]")).collect::<Vec<_>>().join(", "),
            watch.dirty
        );
        let client = self.shared.pool.get().await?;
        let rows = client
            .query(&query, &[&i64::from(limit), &without])
            .await
            .map_err(|error| refused(self, error))?;
        let mut batch = DirtyBatch::default();
        let mut spellings = Spellings::new();
        for row in &rows {
            let id = row.get(0);
            batch.ids.push(id);
            let noted: i64 = row.get(2);
            batch.oldest_ms = Some(batch.oldest_ms.map_or(noted, |oldest| oldest.min(noted)));
            let Some(day) = row.get::<_, Option<i32>>(1) else {
                batch.everything = true;
                continue;
            };
            let texts = texts_of(row, 3, fields);
            // Rows without a store are no lines.
            let Some((at, store_id)) = store_of(fields, &texts) else { continue };
            if let Some(text) = &texts[at] {
                note(&mut spellings, fields, at, &store_id, text);
            }
            batch.of.insert(id, (store_id.clone(), Day(day)));
            batch.store_days.insert((store_id, Day(day)));
        }
        batch.is_full = rows.len() >= limit as usize;
        self.learn_spellings(spellings);
        Ok(batch)
    }

    /// Deletes exactly these rows, and returns how many were still there. Never "all up to the last one": a transaction that
    /// began before and commits later adds rows with smaller numbers.
    ///
    /// # Errors
    /// If the table is not watched, or the database cannot be reached; the rows are then read again.
    pub async fn clear(&self, ids: &[i64]) -> Result<u64, SourceError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let query = format!("DELETE FROM {} WHERE id = ANY($1)", self.watch().await?.dirty);
        let client = self.shared.pool.get().await?;
        client.execute(&query, &[&ids]).await.map_err(|error| refused(self, error))
    }
}
