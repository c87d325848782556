//! The command line of `warmer import`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use shared::source::files::MappingChoice;

const EXAMPLES: &str = "\
Examples:
  warmer import 2026-03-*.csv
      replaces, in PostgreSQL, every store and day that occurs in any of the files
  warmer import export.xlsx --into /var/lib/orders --rejects rejects.csv
      into a folder of Parquet files; rows that could not be read go to rejects.csv
  warmer import eleme.csv --merge
      replaces order by order, for platforms that export separately
  warmer import shop.csv --mapping shop.toml
      with headings of your own: order_id = \"Order No\", store_id = \"Shop\", ordered_at = [\"Paid at\", \"Date\"], …

Reasons of rejected rows: field_count (fewer fields than headings, or values beyond them), missing (no order, store or
time), bad_text (a text with the character U+0000, shown as ␀), bad_time, bad_number, not_integer, overflow.

Importing the same files again changes nothing. A failure or Ctrl-C leaves everything as it was.";

/// Import order lines from CSV, XLSX or Parquet files.
///
/// All files of one command are one import: every (store, day) that occurs in them is replaced by what they hold
/// together, in one transaction.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportArgs {
    /// CSV (UTF-8 or GB18030), XLSX or Parquet files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Where to: `postgres`, or a folder for Parquet files.
    #[arg(long, value_name = "postgres|FOLDER", default_value = "postgres", value_parser = Into::from_str)]
    pub into: Into,
    /// Which headings fill which columns: auto (from the headings), platform-export, canonical, or a TOML file.
    #[arg(long, value_name = "NAME|FILE.toml", default_value = "auto", value_parser = MappingChoice::from_str)]
    pub mapping: MappingChoice,
    /// Replace only the orders that occur in the files; other orders of their days stay.
    #[arg(long)]
    pub merge: bool,
    /// Do not ask when a store and day would be left with over 20 % fewer lines.
    #[arg(long, short)]
    pub yes: bool,
    /// Write the rows that could not be read to this CSV file: file, line, column, reason, value.
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Largest XLSX file; CSV and Parquet may have any size.
    #[arg(long, value_name = "SIZE", default_value = "50MB")]
    pub xlsx_limit: ByteSize,
    /// Most to which an XLSX file may unpack.
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub xlsx_unpacked_limit: ByteSize,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Where an import goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Into {
    /// The database of the settings.
    Postgres,
    /// A folder.
    Folder(PathBuf),
}

impl FromStr for Into {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "postgres" => Self::Postgres,
            folder => Self::Folder(PathBuf::from(folder)),
        })
    }
}

/// How the summary is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables for people.
    Text,
    /// One JSON document.
    Json,
}
