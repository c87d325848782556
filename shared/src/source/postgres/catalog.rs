//! How the columns of a table are read, decided once from their types.

use deadpool_postgres::Client;
use postgres_protocol::escape::{escape_identifier, escape_literal};

use super::PostgresSettings;
use super::pool::explain;
use crate::model::column::Kind;
use crate::model::{Column, DayRange};
use crate::source::{Columns, SourceError, SourceErrorKind};

/// A type that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PgType {
    Text,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Timestamp,
    Date,
}

/// One column of the table.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Quoted name, or an expression for a time with a zone.
    pub(super) expression: String,
    pub(super) kind: PgType,
    not_null: bool,
}

/// How a table is read.
#[derive(Clone, Debug)]
pub(super) struct TablePlan {
    /// Quoted.
    pub(super) relation: String,
    /// For each of our columns the table's that may fill it.
    pub(super) fields: Vec<(Column, Vec<Field>)>,
    /// The table has our layout: types as in `config/schema.sql`, so rows need no derivations.
    pub(super) is_canonical: bool,
    timezone: Option<String>,
    zoned_time: Option<String>,
}

pub(super) async fn plan(client: &Client, settings: &PostgresSettings) -> Result<TablePlan, SourceError> {
    let relation = settings.table.split('.').map(escape_identifier).collect::<Vec<_>>().join(".");
    let found = client.query_one("SELECT to_regclass($1)::oid", &[&relation]).await.map_err(explain)?;
    let oid: Option<u32> = found.get(0);
    let Some(oid) = oid else {
        return Err(SourceError::new(
            SourceErrorKind::Schema,
            format!("postgres: there is no table or view {}", settings.table),
            "run config/schema.sql, or set [postgres] table to the name of yours",
        ));
    };
    let rows = client
        .query(
            "SELECT attname::text, format_type(atttypid, NULL), attnotnull FROM pg_attribute \
             WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped",
            &[&oid],
        )
        .await
        .map_err(explain)?;
    let catalog: Vec<(String, String, bool)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let mut plan = TablePlan {
        relation,
        fields: Vec::new(),
        is_canonical: settings.columns.is_empty(),
        timezone: settings.timezone.clone(),
        zoned_time: None,
    };
    for column in Column::ALL {
        let mut fields = Vec::new();
        for name in settings.sources(column) {
            match catalog.iter().find(|(known, ..)| *known == name) {
                Some((_, kind, not_null)) => {
                    fields.push(plan.field(settings, column, &name, kind, *not_null)?);
                }
                None if settings.columns.is_empty() && !settings.is_required(column) => {}
                None => return Err(missing(settings, column, &name)),
            }
        }
        if fields.is_empty() && settings.is_required(column) {
            return Err(missing(settings, column, column.name()));
        }
        plan.is_canonical &= matches!(&fields[..], [field] if field.is_canonical(column));
        plan.fields.push((column, fields));
    }
    Ok(plan)
}

fn missing(settings: &PostgresSettings, column: Column, name: &str) -> SourceError {
    SourceError::new(
        SourceErrorKind::Schema,
        format!("postgres: {} has no column {name:?} for {}", settings.table, column.name()),
        "name the right column under [postgres.columns], or add it to the table (see config/schema.sql)",
    )
}

impl Field {
    fn is_canonical(&self, column: Column) -> bool {
        match column.kind() {
            Kind::Text => self.kind == PgType::Text,
            Kind::Time => self.kind == PgType::Timestamp && self.not_null,
            Kind::Integer => self.kind == PgType::Int4 && (self.not_null || column == Column::Stock),
            Kind::Decimal => self.kind == PgType::Numeric && (self.not_null || column == Column::DistanceM),
        }
    }
}

impl TablePlan {
    fn field(
        &mut self,
        settings: &PostgresSettings,
        column: Column,
        name: &str,
        kind: &str,
        not_null: bool,
    ) -> Result<Field, SourceError> {
        let mut expression = escape_identifier(name);
        let kind = match kind {
            "text" | "character varying" | "character" | "\"char\"" | "name" | "uuid" => {
                if kind != "text" {
                    expression.push_str("::text");
                }
                PgType::Text
            }
            "smallint" => PgType::Int2,
            "integer" => PgType::Int4,
            "bigint" => PgType::Int8,
            "real" => PgType::Float4,
            "double precision" => PgType::Float8,
            "numeric" => PgType::Numeric,
            "timestamp without time zone" => PgType::Timestamp,
            "date" => PgType::Date,
            "timestamp with time zone" => {
                let Some(zone) = &settings.timezone else {
                    return Err(SourceError::new(
                        SourceErrorKind::Settings,
                        format!("postgres: column {name:?} of {} has a time zone", settings.table),
                        "set [postgres] timezone to the stores' zone, such as \"Asia/Shanghai\"",
                    ));
                };
                self.zoned_time = Some(expression.clone());
                expression = format!("({expression} AT TIME ZONE {})", escape_literal(zone));
                PgType::Timestamp
            }
            other => {
                return Err(SourceError::new(
                    SourceErrorKind::Schema,
                    format!(
                        "postgres: column {name:?} of {} has type {other}, which cannot be read as {}",
                        settings.table,
                        column.name()
                    ),
                    "use text, a number, date or timestamp; a view can cast it",
                ));
            }
        };
        Ok(Field { expression, kind, not_null })
    }

    fn of(&self, column: Column) -> &[Field] {
        self.fields.iter().find(|(of, _)| *of == column).map_or(&[], |(_, fields)| fields)
    }

    /// The columns to select for a read, each with the table's columns that may fill it.
    pub(super) fn selected(&self, columns: Columns) -> impl Iterator<Item = &(Column, Vec<Field>)> {
        // A table of another layout needs all columns for what is derived from them.
        let all = columns == Columns::All || !self.is_canonical;
        self.fields.iter().filter(move |(column, _)| all || column.needed_for_cells())
    }

    /// The store as text.
    pub(super) fn store(&self) -> String {
        let texts: Vec<String> = self
            .of(Column::StoreId)
            .iter()
            .map(|field| match field.kind {
                PgType::Text => field.expression.clone(),
                _ => format!("{}::text", field.expression),
            })
            .collect();
        match &texts[..] {
            [one] => one.clone(),
            several => {
                let parts: Vec<String> =
                    several.iter().map(|text| format!("nullif(btrim({text}), '')")).collect();
                format!("coalesce({})", parts.join(", "))
            }
        }
    }

    /// The order time, if it is one column of a type that PostgreSQL compares as a time.
    pub(super) fn time(&self) -> Option<&str> {
        match self.of(Column::OrderedAt) {
            [field] if matches!(field.kind, PgType::Timestamp | PgType::Date) => Some(&field.expression),
            _ => None,
        }
    }

    /// The first column of a text that is shown only: name or city.
    pub(super) fn display(&self, column: Column) -> Option<String> {
        match self.of(column) {
            [] => None,
            [field] => Some(format!("{}::text", field.expression)),
            several => {
                let parts: Vec<String> = several
                    .iter()
                    .map(|field| format!("nullif(btrim({}::text), '')", field.expression))
                    .collect();
                Some(format!("coalesce({})", parts.join(", ")))
            }
        }
    }

    /// A condition on the order time, as narrow as the type allows; the caller checks each row's day anyway.
    pub(super) fn within(&self, range: DayRange) -> Option<String> {
        let (from, end) = (range.from, range.to.plus(1));
        match (&self.zoned_time, &self.timezone) {
            (Some(column), Some(zone)) => {
                let zone = escape_literal(zone);
                // A day more on both sides covers hours that a zone has twice or not at all.
                let (from, end) = (from.plus(-1), end.plus(1));
                Some(format!(
                    "{column} >= timestamp '{from}' AT TIME ZONE {zone} AND {column} < timestamp '{end}' AT TIME ZONE {zone}"
                ))
            }
            _ => self.time().map(|column| format!("{column} >= '{from}' AND {column} < '{end}'")),
        }
    }
}
