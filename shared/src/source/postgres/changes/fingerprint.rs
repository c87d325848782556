//! Fingerprints of store-days, which differ when any line does: for databases without triggers, and to check on those with.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::Xxh3;

use crate::model::column::Kind;
use crate::model::{Column, Day, DayRange, Lines, LocalTime};
use crate::source::postgres::catalog::TablePlan;
use crate::source::postgres::decode::RowDecoder;
use crate::source::postgres::directory::{Spellings, note, store_of, texts_of};
use crate::source::postgres::pool::explain;
use crate::source::postgres::{PostgresSource, copy};
use crate::source::{Columns, SourceError};

/// What the lines of a store-day come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint {
    /// Number of lines.
    pub lines: u64,
    /// Sum of 64-bit hashes of the lines, each over all columns that are read. 128 bits do not overflow.
    pub hash: i128,
}

/// Fingerprints of the store-days that have lines.
pub type Fingerprints = BTreeMap<(String, Day), Fingerprint>;

/// The store-days that differ, or have lines in one of the two only; both of the same days and stores.
#[must_use]
pub fn changed(before: &Fingerprints, now: &Fingerprints) -> BTreeSet<(String, Day)> {
    let differ = now.iter().filter(|(store_day, print)| before.get(*store_day) != Some(*print));
    let gone = before.keys().filter(|store_day| !now.contains_key(*store_day));
    differ.map(|(store_day, _)| store_day).chain(gone).cloned().collect()
}

impl PostgresSource {
    /// Fingerprints of the store-days in a range, of these stores or of all, in one statement. Takes no right but SELECT,
    /// and finds whatever changed, by whom and when it ever was: a time of change would miss what a long transaction had
    /// stamped before others committed.
    ///
    /// # Errors
    /// If the database cannot be reached or the table cannot be read.
    pub async fn fingerprints(
        &self,
        range: DayRange,
        stores: Option<&[String]>,
    ) -> Result<Fingerprints, SourceError> {
        let plan = self.plan().await?;
        let mut wanted = plan.within(range).into_iter().collect::<Vec<_>>();
        if let Some(stores) = stores {
            self.look_up_spellings(plan).await?;
            wanted.push(plan.of_stores(&self.spellings(plan, stores)));
        }
        let mut prints = match plan.time() {
            Some(time) if plan.is_typed() => by_database(self, plan, &time, wanted).await?,
            _ => by_reading(self, plan, range, &wanted).await?,
        };
        // A condition on stores and times may let others pass.
        prints.retain(|(store, day), _| {
            range.contains(*day) && stores.is_none_or(|stores| stores.contains(store))
        });
        Ok(prints)
    }
}

async fn by_database(
    source: &PostgresSource,
    plan: &TablePlan,
    time: &str,
    mut wanted: Vec<String>,
) -> Result<Fingerprints, SourceError> {
    let fields = plan.of(Column::StoreId);
    wanted.push(plan.countable(time));
    let keys: Vec<String> =
        fields.iter().enumerate().map(|(at, field)| format!("{} AS s{at}", field.as_text())).collect();
    let names: Vec<String> = (0..fields.len()).map(|at| format!("s{at}")).collect();
    // The hash of a record is linear in those of its columns, so that the sum alone would not see two lines swap a value:
    // hashed once more, it does. OFFSET 0 keeps the hash below the grouping, which then sorts narrow rows.
    let query = format!(
        "SELECT day - date '1970-01-01', count(*)::int8, sum(line)::text, {names} FROM ( \
         SELECT {keys}, ({time})::date AS day, hashint8extended(hash_record_extended(ROW({columns}), 0), 1) AS line \
         FROM {relation} WHERE {wanted} OFFSET 0) AS lines GROUP BY day, {names}",
        names = names.join(", "),
        keys = keys.join(", "),
        columns = plan.select_list(Columns::All),
        relation = plan.relation,
        wanted = wanted.join(" AND "),
    );
    let client = source.shared.pool.get().await?;
    let mut prints = Fingerprints::new();
    let mut spellings = Spellings::new();
    for row in client.query(&query, &[]).await.map_err(explain)? {
        let texts = texts_of(&row, 3, fields);
        let Some((at, store_id)) = store_of(fields, &texts) else { continue };
        if let Some(text) = &texts[at] {
            note(&mut spellings, fields, at, &store_id, text);
        }
        let print = prints.entry((store_id, Day(row.get(0)))).or_default();
        print.lines += u64::try_from(row.get::<_, i64>(1)).unwrap_or(0);
        print.hash += row.get::<_, &str>(2).parse::<i128>().unwrap_or(0);
    }
    source.learn_spellings(spellings);
    Ok(prints)
}

/// For tables of which PostgreSQL cannot tell the day of a row: reads them.
async fn by_reading(
    source: &PostgresSource,
    plan: &TablePlan,
    range: DayRange,
    wanted: &[String],
) -> Result<Fingerprints, SourceError> {
    let wanted = if wanted.is_empty() { "true".to_owned() } else { wanted.join(" AND ") };
    let query = format!("SELECT {} FROM {} WHERE {wanted}", plan.select_list(Columns::All), plan.relation);
    let mut decoder = RowDecoder::new(plan, Columns::All);
    let mut prints = Fingerprints::new();
    let mut lines = Lines::default();
    let client = source.shared.pool.get().await?;
    copy::rows(client, &query, |row| {
        // Rows that are no lines are told by whoever reads them for their lines.
        if decoder.push(&mut lines, row, range).is_ok() && lines.len() >= 4096 {
            add(&mut prints, &std::mem::take(&mut lines));
        }
    })
    .await?;
    add(&mut prints, &lines);
    Ok(prints)
}

fn add(prints: &mut Fingerprints, lines: &Lines) {
    for row in 0..lines.len() {
        let store_id = lines.text(Column::StoreId, row).to_owned();
        let print = prints.entry((store_id, LocalTime(lines.ordered_at[row]).day())).or_default();
        print.lines += 1;
        print.hash += i128::from(line_hash(lines, row));
    }
}

fn line_hash(lines: &Lines, row: usize) -> u64 {
    let mut hasher = Xxh3::new();
    for column in Column::ALL {
        match column.kind() {
            Kind::Text => {
                let text = lines.text(column, row);
                hasher.update(&text.len().to_le_bytes());
                hasher.update(text.as_bytes());
            }
            Kind::Time => hasher.update(&lines.ordered_at[row].to_le_bytes()),
            Kind::Integer if column == Column::Quantity => hasher.update(&lines.quantity[row].to_le_bytes()),
            Kind::Integer => hasher.update(&lines.stock[row].to_le_bytes()),
            Kind::Decimal => hasher.update(&lines.decimals[column.slot()][row].to_le_bytes()),
        }
    }
    hasher.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prints() -> impl Strategy<Value = Fingerprints> {
        let store_day = ("[ab]", 0i32..4).prop_map(|(store, day)| (store, Day(day)));
        let print = (0u64..3, -1i128..2).prop_map(|(lines, hash)| Fingerprint { lines, hash });
        proptest::collection::btree_map(store_day, print, 0..8)
    }

    proptest! {
        #[test]
        fn exactly_what_differs_is_changed(before in prints(), now in prints()) {
            let found = changed(&before, &now);
            for store_day in before.keys().chain(now.keys()) {
                prop_assert_eq!(found.contains(store_day), before.get(store_day) != now.get(store_day));
            }
            prop_assert!(found.iter().all(|store_day| before.contains_key(store_day) || now.contains_key(store_day)));
            prop_assert_eq!(&found, &changed(&now, &before));
            prop_assert!(changed(&now, &now).is_empty());
        }
    }
}
