//! Which stores the table has, their names, days and numbers of lines.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use super::catalog::{Field, PgType, TablePlan};
use super::decode::RowDecoder;
use super::pool::explain;
use super::{PostgresSource, copy, read};
use crate::model::{Column, Day, DayRange, Directory, Lines, LocalTime, StoreInfo};
use crate::source::{Columns, ReadRequest, SourceError};

/// For each store whose id stands in the table in other ways than its own text (with blanks around, or as a number
/// with zeros behind): all of them, by the field that they stand in.
pub(super) type Spellings = BTreeMap<String, Vec<BTreeSet<String>>>;

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
    /// Whether the directory was read before.
    fn knows_spellings(&self) -> bool {
        self.shared.spellings.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Has the spellings read if stores may have several. Texts in other people's tables may have blanks around, which
    /// only the directory knows.
    pub(super) async fn look_up_spellings(&self, plan: &TablePlan) -> Result<(), SourceError> {
        let may_be_padded = plan.of(Column::StoreId).iter().any(|field| field.kind == PgType::Text);
        if !plan.is_canonical && may_be_padded && !self.knows_spellings() {
            directory(self).await?;
        }
        Ok(())
    }

    /// Adds spellings that were seen since the directory was read.
    pub(super) fn learn_spellings(&self, seen: Spellings) {
        if seen.is_empty() {
            return;
        }
        let mut known = self.shared.spellings.write().unwrap_or_else(PoisonError::into_inner);
        // Before the directory was read, nothing is known, and a few would pass for all.
        let Some(known) = known.as_mut() else { return };
        for (store, texts) in seen {
            let fields = known.entry(store).or_insert_with(|| vec![BTreeSet::new(); texts.len()]);
            fields.iter_mut().zip(texts).for_each(|(known, texts)| known.extend(texts));
        }
    }

    /// The texts that stand for these stores, for each field of the store.
    pub(super) fn spellings(&self, plan: &TablePlan, stores: &[String]) -> Vec<Vec<String>> {
        let known = self.shared.spellings.read().unwrap_or_else(PoisonError::into_inner);
        let fields = plan.of(Column::StoreId).iter().enumerate();
        let of_field = |(at, field): (usize, &Field)| {
            stores
                .iter()
                .flat_map(|store| match known.as_ref().and_then(|known| known.get(store)) {
                    Some(texts) => texts[at].iter().cloned().collect(),
                    None => field.spelling(store).into_iter().collect::<Vec<String>>(),
                })
                .collect()
        };
        fields.map(of_field).collect()
    }
}

pub(super) async fn directory(source: &PostgresSource) -> Result<Directory, SourceError> {
    let plan = source.plan().await?;
    let mut stores: BTreeMap<String, Found> = BTreeMap::new();
    let spellings = match plan.time() {
        Some(time) if plan.is_typed() => aggregate(source, plan, &time, "true", &mut stores).await?,
        _ => {
            scan(source, plan, "true", &mut stores).await?;
            spelled(source, plan).await?
        }
    };
    *source.shared.spellings.write().unwrap_or_else(PoisonError::into_inner) = Some(spellings);
    Ok(finish(stores))
}

pub(super) async fn directory_of(
    source: &PostgresSource,
    wanted: &[String],
) -> Result<Directory, SourceError> {
    let plan = source.plan().await?;
    source.look_up_spellings(plan).await?;
    let condition = plan.of_stores(&source.spellings(plan, wanted));
    let mut stores: BTreeMap<String, Found> = BTreeMap::new();
    match plan.time() {
        Some(time) if plan.is_typed() => {
            let spellings = aggregate(source, plan, &time, &condition, &mut stores).await?;
            source.learn_spellings(spellings);
        }
        _ => scan(source, plan, &condition, &mut stores).await?,
    }
    // Another store may stand in the table in a way that could be one of these.
    stores.retain(|store_id, _| wanted.contains(store_id));
    Ok(finish(stores))
}

fn finish(stores: BTreeMap<String, Found>) -> Directory {
    let info = |(store_id, found): (String, Found)| StoreInfo {
        name: if found.name.text.is_empty() { store_id.clone() } else { found.name.text },
        city: Some(found.city.text).filter(|city| !city.is_empty()),
        lines: found.lines,
        days: found.days.into_iter().collect(),
        store_id,
    };
    Directory::new(stores.into_iter().map(info).collect())
}

/// The store of a row, from the texts of its fields, and which field names it.
pub(super) fn store_of(fields: &[Field], texts: &[Option<String>]) -> Option<(usize, String)> {
    fields.iter().zip(texts).enumerate().find_map(|(at, (field, text))| {
        let store_id = field.store_id(text.as_deref()?);
        (!store_id.is_empty()).then_some((at, store_id))
    })
}

/// Notes how a store stands in the table, if in another way than one would look for it.
pub(super) fn note(spellings: &mut Spellings, fields: &[Field], at: usize, store_id: &str, text: &str) {
    let texts = || {
        let own = |field: &Field| field.spelling(store_id).into_iter().collect();
        fields.iter().map(own).collect()
    };
    if spellings.contains_key(store_id) || fields[at].spelling(store_id).as_deref() != Some(text) {
        spellings.entry(store_id.to_owned()).or_insert_with(texts)[at].insert(text.to_owned());
    }
}

/// The texts of the store's fields, which stand in a row from `first` on.
pub(super) fn texts_of(row: &tokio_postgres::Row, first: usize, fields: &[Field]) -> Vec<Option<String>> {
    (0..fields.len()).map(|at| row.get(first + at)).collect()
}

/// One latest time with a text: the fields of the store as they stand in the table, and the time.
type Newest = BTreeMap<Vec<Option<String>>, (String, i64)>;

/// Counts in the database; then looks up the names at the latest times that have one.
async fn aggregate(
    source: &PostgresSource,
    plan: &TablePlan,
    time: &str,
    condition: &str,
    stores: &mut BTreeMap<String, Found>,
) -> Result<Spellings, SourceError> {
    let fields = plan.of(Column::StoreId);
    let texts = [Column::StoreName, Column::City].map(|column| plan.text(column));
    let latest = texts.clone().map(|text| {
        let newest = text.map_or_else(
            || "NULL::timestamp".to_owned(),
            |text| format!("max({time}) FILTER (WHERE {text} <> '')::timestamp"),
        );
        format!("(extract(epoch from {newest}) * 1000000)::int8")
    });
    let keys: Vec<String> = fields.iter().map(Field::as_text).collect();
    let numbers: Vec<String> = (1..=fields.len() + 1).map(|at| at.to_string()).collect();
    let query = format!(
        "SELECT {}, ({time}::date - date '1970-01-01')::int4, count(*)::int8, {}, {} FROM {} WHERE {} AND {condition} GROUP BY {}",
        keys.join(", "),
        latest[0],
        latest[1],
        plan.relation,
        plan.countable(time),
        numbers.join(", "),
    );
    let client = source.shared.pool.get().await?;
    let mut spellings = Spellings::new();
    let mut newest: [Newest; 2] = Default::default();
    let first = fields.len();
    for row in client.query(&query, &[]).await.map_err(explain)? {
        let spelled = texts_of(&row, 0, fields);
        let Some((at, store_id)) = store_of(fields, &spelled) else { continue };
        let found = stores.entry(store_id.clone()).or_default();
        found.lines += u64::try_from(row.get::<_, i64>(first + 1)).unwrap_or(0);
        found.days.insert(Day(row.get(first)));
        if let Some(text) = &spelled[at] {
            note(&mut spellings, fields, at, &store_id, text);
        }
        for (which, newest) in newest.iter_mut().enumerate() {
            if let Some(at) = row.get::<_, Option<i64>>(first + 2 + which) {
                let latest = newest.entry(spelled.clone()).or_insert_with(|| (store_id.clone(), at));
                latest.1 = at.max(latest.1);
            }
        }
    }
    for (text, (which, newest)) in texts.iter().zip(newest.into_iter().enumerate()) {
        let Some(text) = text.as_ref().filter(|_| !newest.is_empty()) else { continue };
        for (store_id, at, text) in latest_texts(&client, plan, time, text, &newest).await? {
            if let Some(found) = stores.get_mut(&store_id) {
                let latest = if which == 0 { &mut found.name } else { &mut found.city };
                latest.see(at, &text);
            }
        }
    }
    Ok(spellings)
}

/// The smallest text at each of the latest times: by index where there is one, else in one pass.
async fn latest_texts(
    client: &deadpool_postgres::Client,
    plan: &TablePlan,
    time: &str,
    text: &str,
    newest: &Newest,
) -> Result<Vec<(String, i64, String)>, SourceError> {
    let fields = plan.of(Column::StoreId);
    let ids: Vec<&str> = newest.values().map(|(store_id, _)| store_id.as_str()).collect();
    let times: Vec<i64> = newest.values().map(|(_, at)| *at).collect();
    let spelled: Vec<Vec<Option<&str>>> =
        (0..fields.len()).map(|at| newest.keys().map(|texts| texts[at].as_deref()).collect()).collect();
    let single = fields.len() == 1;
    let matches = fields.iter().enumerate().map(|(at, field)| match field.compared_as {
        Some(kind) if single => format!("{} = latest.s{at}::{kind}", field.name),
        _ => format!("coalesce({}, '') = coalesce(latest.s{at}, '')", field.as_text()),
    });
    let names: Vec<String> = (0..fields.len()).map(|at| format!("s{at}")).collect();
    let arrays: Vec<String> = (0..fields.len()).map(|at| format!("${}::text[]", at + 3)).collect();
    let query = format!(
        "SELECT latest.id, latest.t, min({text} COLLATE \"C\") \
         FROM unnest($1::text[], $2::int8[], {}) AS latest(id, t, {}) JOIN {} ON {} \
         AND {time} = (timestamp '1970-01-01' + latest.t * interval '1 microsecond') \
         WHERE {text} <> '' GROUP BY 1, 2",
        arrays.join(", "),
        names.join(", "),
        plan.relation,
        matches.collect::<Vec<_>>().join(" AND "),
    );
    let mut parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = vec![&ids, &times];
    parameters.extend(spelled.iter().map(|texts| texts as &(dyn tokio_postgres::types::ToSql + Sync)));
    let rows = client.query(&query, &parameters).await.map_err(explain)?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

/// For tables of which PostgreSQL cannot tell which rows are lines: reads every row.
async fn scan(
    source: &PostgresSource,
    plan: &TablePlan,
    condition: &str,
    stores: &mut BTreeMap<String, Found>,
) -> Result<(), SourceError> {
    let query = format!("SELECT {} FROM {} WHERE {condition}", plan.select_list(Columns::All), plan.relation);
    let mut decoder = RowDecoder::new(plan, Columns::All);
    let everything = DayRange { from: Day::MIN, to: Day::MAX };
    let request = ReadRequest { stores: Vec::new(), range: everything, columns: Columns::All };
    let client = source.shared.pool.get().await?;
    let mut lines = Lines::default();
    let mut rejected = 0;
    copy::rows(client, &query, |row| {
        if let Err(bad) = decoder.push(&mut lines, row, everything) {
            rejected += 1;
            read::log_rejected(source, &request, &bad, rejected);
        } else if lines.len() >= 4096 {
            add(stores, &lines);
            lines = Lines::default();
        }
    })
    .await?;
    add(stores, &lines);
    Ok(())
}

fn add(stores: &mut BTreeMap<String, Found>, lines: &Lines) {
    for row in 0..lines.len() {
        let store_id = lines.text(Column::StoreId, row);
        if !stores.contains_key(store_id) {
            stores.insert(store_id.to_owned(), Found::default());
        }
        let Some(found) = stores.get_mut(store_id) else { continue };
        let at = lines.ordered_at[row];
        found.lines += 1;
        found.days.insert(LocalTime(at).day());
        found.name.see(at, lines.text(Column::StoreName, row));
        found.city.see(at, lines.text(Column::City, row));
    }
}

/// How the stores stand in a table that was scanned.
async fn spelled(source: &PostgresSource, plan: &TablePlan) -> Result<Spellings, SourceError> {
    let fields = plan.of(Column::StoreId);
    let keys: Vec<String> = fields.iter().map(Field::as_text).collect();
    let query = format!("SELECT DISTINCT {} FROM {}", keys.join(", "), plan.relation);
    let client = source.shared.pool.get().await?;
    let mut spellings = Spellings::new();
    for row in client.query(&query, &[]).await.map_err(explain)? {
        let texts = texts_of(&row, 0, fields);
        if let Some((at, store_id)) = store_of(fields, &texts)
            && let Some(text) = &texts[at]
        {
            note(&mut spellings, fields, at, &store_id, text);
        }
    }
    Ok(spellings)
}
