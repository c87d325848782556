//! Which stores the table has, their names, days and numbers of lines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use super::catalog::TablePlan;
use super::decode::RowDecoder;
use super::pool::explain;
use super::{PostgresSource, copy, read};
use crate::model::{Column, Day, DayRange, Directory, Lines, LocalTime, StoreInfo};
use crate::source::{Columns, ReadRequest, SourceError};

/// For each store whose id has other spellings in the table (blanks around): all of them.
pub(super) type Spellings = BTreeMap<String, BTreeSet<String>>;

/// The latest text of a column among the lines that have one; ties: the smallest.
#[derive(Default)]
struct Latest {
    at: i64,
    text: String,
}

impl Latest {
    fn see(&mut self, at: i64, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if self.text.is_empty() || at > self.at || (at == self.at && text < self.text.as_str()) {
            (self.at, self.text) = (at, text.to_owned());
        }
    }
}

#[derive(Default)]
struct Found {
    lines: u64,
    days: BTreeSet<Day>,
    name: Latest,
    city: Latest,
}

impl PostgresSource {
    /// The texts in the table that stand for these stores.
    pub(super) fn spellings(&self, stores: &[String]) -> Vec<String> {
        let known = self.shared.spellings.read().unwrap_or_else(PoisonError::into_inner);
        let of_store = |store: &String| {
            known.get(store).map_or_else(|| vec![store.clone()], |texts| texts.iter().cloned().collect())
        };
        stores.iter().flat_map(of_store).collect()
    }
}

pub(super) async fn directory(source: &PostgresSource) -> Result<Directory, SourceError> {
    let plan = source.plan().await?;
    let mut stores: BTreeMap<String, Found> = BTreeMap::new();
    let mut spellings = Spellings::new();
    match plan.time() {
        Some(time) => aggregate(source, plan, time, &mut stores, &mut spellings).await?,
        None => scan(source, plan, &mut stores).await?,
    }
    *source.shared.spellings.write().unwrap_or_else(PoisonError::into_inner) = spellings;
    let info = |(store_id, found): (String, Found)| StoreInfo {
        name: if found.name.text.is_empty() { store_id.clone() } else { found.name.text },
        city: Some(found.city.text).filter(|city| !city.is_empty()),
        lines: found.lines,
        days: found.days.into_iter().collect(),
        store_id,
    };
    Ok(Directory::new(stores.into_iter().map(info).collect()))
}

/// Counts in the database; then the names at the latest times that have one.
async fn aggregate(
    source: &PostgresSource,
    plan: &TablePlan,
    time: &str,
    stores: &mut BTreeMap<String, Found>,
    spellings: &mut Spellings,
) -> Result<(), SourceError> {
    let (store, relation) = (plan.store(), &plan.relation);
    let texts = [Column::StoreName, Column::City].map(|column| plan.display(column));
    let latest = texts.clone().map(|text| {
        text.map_or_else(
            || "NULL::timestamp".to_owned(),
            |text| format!("max({time}) FILTER (WHERE {text} ~ '\\S')::timestamp"),
        )
    });
    let query = format!(
        "SELECT {store}, ({time}::date - date '1970-01-01')::int4, count(*)::int8, \
         (extract(epoch from {}) * 1000000)::int8, (extract(epoch from {}) * 1000000)::int8 \
         FROM {relation} WHERE {store} IS NOT NULL AND {time} IS NOT NULL GROUP BY 1, 2",
        latest[0], latest[1],
    );
    let client = source.shared.pool.get().await?;
    let mut newest: [BTreeMap<String, i64>; 2] = Default::default();
    for row in client.query(&query, &[]).await.map_err(explain)? {
        let spelled: String = row.get(0);
        let store_id = spelled.trim();
        if store_id.is_empty() {
            continue;
        }
        let found = stores.entry(store_id.to_owned()).or_default();
        found.lines += u64::try_from(row.get::<_, i64>(2)).unwrap_or(0);
        found.days.insert(Day(row.get(1)));
        for (which, newest) in newest.iter_mut().enumerate() {
            if let Some(at) = row.get::<_, Option<i64>>(3 + which) {
                let latest = newest.entry(spelled.clone()).or_insert(at);
                *latest = at.max(*latest);
            }
        }
        let different = spellings.contains_key(store_id) || spelled != store_id;
        if different {
            let texts =
                spellings.entry(store_id.to_owned()).or_insert_with(|| BTreeSet::from([store_id.to_owned()]));
            texts.insert(spelled);
        }
    }
    for (which, newest) in newest.into_iter().enumerate() {
        let Some(text) = &texts[which] else { continue };
        let (ids, times): (Vec<String>, Vec<i64>) = newest.into_iter().unzip();
        if ids.is_empty() {
            continue;
        }
        // One index probe per store. The names are none that a table of one's own has: its columns would come first.
        let query = format!(
            "SELECT hotshelf_store, hotshelf_time, (SELECT min(btrim({text}) COLLATE \"C\") FROM {relation} \
             WHERE {store} = hotshelf_store AND {text} ~ '\\S' \
             AND {time} = (timestamp '1970-01-01' + hotshelf_time * interval '1 microsecond')) \
             FROM unnest($1::text[], $2::int8[]) AS hotshelf_latest(hotshelf_store, hotshelf_time)"
        );
        for row in client.query(&query, &[&ids, &times]).await.map_err(explain)? {
            let spelled: String = row.get(0);
            if let (Some(found), Some(text)) =
                (stores.get_mut(spelled.trim()), row.get::<_, Option<String>>(2))
            {
                let latest = if which == 0 { &mut found.name } else { &mut found.city };
                latest.see(row.get(1), &text);
            }
        }
    }
    Ok(())
}

/// For tables whose times PostgreSQL cannot compare: reads every row.
async fn scan(
    source: &PostgresSource,
    plan: &TablePlan,
    stores: &mut BTreeMap<String, Found>,
) -> Result<(), SourceError> {
    let fields: Vec<&str> = plan
        .selected(Columns::All)
        .flat_map(|(_, fields)| fields.iter().map(|field| field.expression.as_str()))
        .collect();
    let query = format!("SELECT {} FROM {}", fields.join(", "), plan.relation);
    let mut decoder = RowDecoder::new(plan, Columns::All);
    let everything = DayRange { from: Day::MIN, to: Day::MAX };
    let request = ReadRequest { stores: Vec::new(), range: everything, columns: Columns::All };
    let client = source.shared.pool.get().await?;
    let mut lines = Lines::default();
    let mut rejected = 0;
    copy::rows(&client, &query, |row| {
        if let Err(bad) = decoder.push(&mut lines, row, everything) {
            rejected += 1;
            read::log_rejected(source, &request, &bad, rejected);
            return Ok(());
        }
        if lines.len() >= 4096 {
            add(stores, &lines);
            lines = Lines::default();
        }
        Ok(())
    })
    .await?;
    add(stores, &lines);
    Ok(())
}

fn add(stores: &mut BTreeMap<String, Found>, lines: &Lines) {
    for row in 0..lines.len() {
        let found = stores.entry(lines.text(Column::StoreId, row).to_owned()).or_default();
        let at = lines.ordered_at[row];
        found.lines += 1;
        found.days.insert(LocalTime(at).day());
        found.name.see(at, lines.text(Column::StoreName, row));
        found.city.see(at, lines.text(Column::City, row));
    }
}
