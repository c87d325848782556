//! Reading the lines of stores and days.

use std::sync::atomic::Ordering;

use super::catalog::TablePlan;
use super::decode::{BadRow, RowDecoder};
use super::{PostgresSource, copy};
use crate::model::{Column, Lines};
use crate::source::{ReadRequest, SourceError};

/// Bad rows of one read that are logged one by one; the others are only counted.
const LOGGED_ROWS: u64 = 5;

pub(super) async fn read(source: &PostgresSource, request: &ReadRequest) -> Result<Lines, SourceError> {
    let plan = source.plan().await?;
    source.look_up_spellings(plan).await?;
    let query = query(source, plan, request);
    let mut decoder = RowDecoder::new(plan, request.columns);
    let client = source.shared.pool.get().await?;
    let mut lines = Lines::default();
    let mut rejected = 0;
    copy::rows(client, &query, |fields| {
        if let Err(bad) = decoder.push(&mut lines, fields, request.range) {
            rejected += 1;
            log_rejected(source, request, &bad, rejected);
        }
    })
    .await?;
    if !plan.is_canonical {
        // The store's spelling was matched in the database; which store a row belongs to is decided by its text.
        retain_stores(&mut lines, &request.stores);
    }
    Ok(lines)
}

pub(super) fn log_rejected(source: &PostgresSource, request: &ReadRequest, bad: &BadRow, count: u64) {
    source.shared.rejected.fetch_add(1, Ordering::Relaxed);
    if count <= LOGGED_ROWS {
        tracing::warn!(
            table = source.shared.settings.table,
            stores = %request.stores.join(","),
            column = bad.column.map(Column::name),
            value = bad.what,
            "a row cannot be read and is left out; correct it in the table"
        );
    }
}

pub(super) fn query(source: &PostgresSource, plan: &TablePlan, request: &ReadRequest) -> String {
    let stores = plan.of_stores(&source.spellings(plan, &request.stores));
    let within = plan.within(request.range).map(|within| format!(" AND {within}")).unwrap_or_default();
    format!("SELECT {} FROM {} WHERE {stores}{within}", plan.select_list(request.columns), plan.relation)
}

fn retain_stores(lines: &mut Lines, stores: &[String]) {
    let mut kept = Vec::with_capacity(lines.len());
    for (row, number) in (0..lines.len()).zip(0u32..) {
        if stores.iter().any(|store| store == lines.text(Column::StoreId, row)) {
            kept.push(number);
        }
    }
    if kept.len() < lines.len() {
        *lines = lines.take(&kept);
    }
}
