//! How the columns of a table are read, decided once from their types.

use deadpool_postgres::Client;
use postgres_protocol::escape::{escape_identifier, escape_literal};

use super::PostgresSettings;
use super::pool::explain;
use crate::model::Column;
use crate::model::column::Kind;
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

impl PgType {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Float4 => "float4",
            Self::Float8 => "float8",
            Self::Numeric => "numeric",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
        }
    }
}

/// One column of the table.
#[derive(Clone, Debug)]
pub(super) struct Field {
    /// Quoted name.
    pub(super) name: String,
    /// What is selected: the column as `kind`, whatever becomes of its type later.
    pub(super) expression: String,
    pub(super) kind: PgType,
    /// The type that texts are cast to when they are compared with the column, so that its index can be used;
    /// `None`: the column is compared as text.
    pub(super) compared_as: Option<&'static str>,
    /// Its times have a zone, and `expression` turns them into local ones.
    pub(super) has_zone: bool,
    pub(super) not_null: bool,
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
    pub(super) timezone: Option<String>,
    /// What is trimmed from texts in the database.
    pub(super) white_space: &'static str,
}

/// Unicode's White_Space, as an SQL literal.
const WHITE_SPACE: &str = "U&' \\0009\\000A\\000B\\000C\\000D\\0085\\00A0\\1680\\2000\\2001\\2002\\2003\\2004\\2005\\2006\\2007\
                           \\2008\\2009\\200A\\2028\\2029\\202F\\205F\\3000'";
/// What of it every encoding has.
const ASCII_WHITE_SPACE: &str = "E' \\t\\n\\x0b\\f\\r'";

/// A column as the catalog has it: name, type behind any domain, its category, NOT NULL.
struct Known {
    name: String,
    kind: String,
    category: String,
    not_null: bool,
}

pub(super) async fn plan(client: &Client, settings: &PostgresSettings) -> Result<TablePlan, SourceError> {
    let relation = settings.table.split('.').map(escape_identifier).collect::<Vec<_>>().join(".");
    let encoding = "SELECT to_regclass($1)::oid, current_setting('server_encoding')";
    let found = client.query_one(encoding, &[&relation]).await.map_err(explain)?;
    let oid: Option<u32> = found.get(0);
    let Some(oid) = oid else {
        return Err(SourceError::new(
            SourceErrorKind::Schema,
            format!("postgres: there is no table or view {}", settings.table),
            "import into it, run config/schema.sql, or set [postgres] table to the name of yours",
        ));
    };
    let catalog = known_columns(client, oid).await?;
    let is_utf8 = found.get::<_, String>(1) == "UTF8";
    let mut plan = TablePlan {
        relation,
        fields: Vec::new(),
        is_canonical: settings.columns.is_empty(),
        timezone: settings.timezone.clone(),
        white_space: if is_utf8 { WHITE_SPACE } else { ASCII_WHITE_SPACE },
    };
    for column in Column::ALL {
        let mut fields = Vec::new();
        for name in settings.sources(column) {
            match catalog.iter().find(|known| known.name == name) {
                Some(known) => match field(settings, column, known) {
                    Ok(field) => fields.push(field),
                    // Only of our name by chance.
                    Err(_) if !settings.is_named(column) && !settings.is_required(column) => {}
                    Err(error) => return Err(error),
                },
                None if settings.is_named(column) => return Err(missing(settings, column, &name)),
                None => {}
            }
        }
        if fields.is_empty() && settings.is_required(column) {
            return Err(missing(settings, column, column.name()));
        }
        plan.is_canonical &= matches!(&fields[..], [field] if field.is_canonical(column));
        plan.fields.push((column, fields));
    }
    let absent: Vec<&str> =
        plan.fields.iter().filter(|(_, fields)| fields.is_empty()).map(|(column, _)| column.name()).collect();
    if !absent.is_empty() {
        tracing::info!(
            table = settings.table,
            columns = absent.join(","),
            "the table has no columns for these, so they are absent in every line"
        );
    }
    Ok(plan)
}

async fn known_columns(client: &Client, oid: u32) -> Result<Vec<Known>, SourceError> {
    let rows = client
        .query(
            "SELECT a.attname::text, format_type(b.oid, NULL), (CASE b.typtype WHEN 'e' THEN 'S' ELSE b.typcategory END)::text, \
             a.attnotnull FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
             JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid) \
             WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped",
            &[&oid],
        )
        .await
        .map_err(explain)?;
    let known = rows.iter().map(|row| Known {
        name: row.get(0),
        kind: row.get(1),
        category: row.get(2),
        not_null: row.get(3),
    });
    Ok(known.collect())
}

fn missing(settings: &PostgresSettings, column: Column, name: &str) -> SourceError {
    SourceError::new(
        SourceErrorKind::Schema,
        format!("postgres: {} has no column {name:?} for {}", settings.table, column.name()),
        "name the right column under [postgres.columns], or add it to the table (see config/schema.sql)",
    )
}

fn field(settings: &PostgresSettings, column: Column, known: &Known) -> Result<Field, SourceError> {
    let quoted = escape_identifier(&known.name);
    let mut has_zone = false;
    let (kind, compared_as) = match known.kind.as_str() {
        "text" | "character varying" => (PgType::Text, Some("text")),
        "character" => (PgType::Text, Some("bpchar")),
        // Enumerations, citext, names, and what else is a text.
        "uuid" => (PgType::Text, None),
        _ if known.category == "S" => (PgType::Text, None),
        "smallint" => (PgType::Int2, Some("int8")),
        "integer" => (PgType::Int4, Some("int8")),
        "bigint" => (PgType::Int8, Some("int8")),
        "real" => (PgType::Float4, Some("float4")),
        "double precision" => (PgType::Float8, Some("float8")),
        "numeric" => (PgType::Numeric, Some("numeric")),
        "money" => (PgType::Numeric, None),
        "timestamp without time zone" => (PgType::Timestamp, None),
        "date" => (PgType::Date, None),
        "timestamp with time zone" => {
            has_zone = true;
            (PgType::Timestamp, None)
        }
        other => {
            return Err(SourceError::new(
                SourceErrorKind::Schema,
                format!(
                    "postgres: column {:?} of {} has type {other}, which cannot be read as {}",
                    known.name,
                    settings.table,
                    column.name()
                ),
                "use text, a number, date or timestamp; a view can cast it",
            ));
        }
    };
    let expression = match (has_zone, &settings.timezone) {
        (false, _) => format!("{quoted}::{}", kind.name()),
        (true, Some(zone)) => format!("({quoted} AT TIME ZONE {})", escape_literal(zone)),
        (true, None) => {
            return Err(SourceError::new(
                SourceErrorKind::Settings,
                format!("postgres: column {:?} of {} has a time zone", known.name, settings.table),
                "set [postgres] timezone to the stores' zone, such as \"Asia/Shanghai\"",
            ));
        }
    };
    Ok(Field { name: quoted, expression, kind, compared_as, has_zone, not_null: known.not_null })
}

impl Field {
    fn is_canonical(&self, column: Column) -> bool {
        !self.has_zone
            && match column.kind() {
                Kind::Text => self.kind == PgType::Text,
                Kind::Time => self.kind == PgType::Timestamp && self.not_null,
                Kind::Integer => self.kind == PgType::Int4 && (self.not_null || column == Column::Stock),
                Kind::Decimal => {
                    self.kind == PgType::Numeric && (self.not_null || column == Column::DistanceM)
                }
            }
    }
}

impl TablePlan {
    /// The table's columns that may fill one of ours.
    pub(super) fn of(&self, column: Column) -> &[Field] {
        self.fields.iter().find(|(of, _)| *of == column).map_or(&[], |(_, fields)| fields)
    }

    /// The columns to select for a read, each with the table's columns that may fill it.
    pub(super) fn selected(&self, columns: Columns) -> impl Iterator<Item = &(Column, Vec<Field>)> {
        // In a table of another layout a fault in any column is a fault of the row, whoever reads it; and some
        // columns stand in for others.
        let all = columns == Columns::All || !self.is_canonical;
        self.fields.iter().filter(move |(column, _)| all || column.needed_for_cells())
    }

    /// Whether the database can tell which rows will be accepted: no number or time is kept as text.
    pub(super) fn is_typed(&self) -> bool {
        self.fields
            .iter()
            .filter(|(column, _)| column.kind() != Kind::Text)
            .all(|(_, fields)| fields.iter().all(|field| field.kind != PgType::Text))
    }
}
