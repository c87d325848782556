//! Where generated lines go: a Parquet or CSV file with canonical headings, or PostgreSQL in one transaction.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use shared::model::Lines;
use shared::source::files::write::{CsvWriter, ParquetWriter};
use shared::source::import::ImportMode;
use shared::source::postgres::{PostgresImport, PostgresSettings, PostgresSource};
use tokio::sync::mpsc;

use crate::generate::Generator;

/// Lines per block that is handed on: what a store sells in some weeks, a few megabytes.
const BLOCK: usize = 16_384;
/// Blocks that wait for the writer.
const WAITING: usize = 3;
/// One statement moves all lines from the stage into the table; the default of minutes is for reading.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(2 * 3_600);

/// Where the lines go.
#[derive(Clone, Debug)]
pub enum Target {
    /// A file whose name ends in `.parquet` or `.csv`; an old one is replaced when the new one is complete.
    File(PathBuf),
    /// The table `orders`, which is made if it is missing.
    Postgres {
        /// Address.
        url: String,
        /// Replace what is stored of the same stores and days without asking.
        replace: bool,
    },
}

/// Generates all lines of the settings into `target`; `progress` hears of every block of lines written.
/// Returns the number of lines.
///
/// # Errors
/// When the target cannot be written; then it is left as it was.
pub async fn write_all(
    generator: Generator,
    target: &Target,
    progress: impl Fn(u64) + Send + 'static,
) -> anyhow::Result<u64> {
    let (sender, blocks) = mpsc::channel(WAITING);
    let producer = tokio::task::spawn_blocking(move || produce(&generator, &sender));
    let written = match target {
        Target::File(path) => {
            let path = path.clone();
            tokio::task::spawn_blocking(move || write_file(&path, blocks, progress)).await?
        }
        Target::Postgres { url, replace } => write_postgres(url, *replace, blocks, progress).await,
    };
    producer.await?;
    written
}

/// Sends all lines in blocks; ends early when nobody takes them any more.
fn produce(generator: &Generator, blocks: &mpsc::Sender<Lines>) {
    let mut block = Lines::default();
    for store in 0..generator.settings().stores {
        for lines in generator.store(store) {
            block.append(&lines);
            if block.len() >= BLOCK && blocks.blocking_send(std::mem::take(&mut block)).is_err() {
                return;
            }
        }
    }
    if !block.is_empty() {
        let _ = blocks.blocking_send(block);
    }
}

enum FileWriter {
    Parquet(ParquetWriter),
    Csv(CsvWriter),
}

/// The kind of file that a name asks for: `parquet` or `csv`.
fn kind_of(path: &Path) -> anyhow::Result<&'static str> {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "parquet" => Ok("parquet"),
        "csv" => Ok("csv"),
        _ => {
            bail!("cannot tell from {} which kind of file is meant; name it .parquet or .csv", path.display())
        }
    }
}

impl Target {
    /// The target of a file name.
    ///
    /// # Errors
    /// When its ending names no kind of file that can be written.
    pub fn file(path: PathBuf) -> anyhow::Result<Self> {
        kind_of(&path)?;
        Ok(Self::File(path))
    }
}

fn write_file(path: &Path, mut blocks: mpsc::Receiver<Lines>, progress: impl Fn(u64)) -> anyhow::Result<u64> {
    let part = part_of(path);
    let mut write = || -> anyhow::Result<u64> {
        let mut writer = match kind_of(path)? {
            "csv" => FileWriter::Csv(CsvWriter::create(&part)?),
            _ => FileWriter::Parquet(ParquetWriter::create(&part)?),
        };
        let mut count = 0;
        while let Some(lines) = blocks.blocking_recv() {
            match &mut writer {
                FileWriter::Parquet(writer) => writer.write(&lines)?,
                FileWriter::Csv(writer) => writer.write(&lines)?,
            }
            count += lines.len() as u64;
            progress(lines.len() as u64);
        }
        match writer {
            FileWriter::Parquet(writer) => writer.finish()?,
            FileWriter::Csv(writer) => writer.finish()?,
        }
        std::fs::rename(&part, path)
            .with_context(|| format!("cannot give {} its name {}", part.display(), path.display()))?;
        Ok(count)
    };
    let written = write();
    if written.is_err() {
        // Whatever was made so far is of no use; if it cannot be removed, the error that matters is the first.
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// Under which name a file is written until it is complete.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

async fn write_postgres(
    url: &str,
    replace: bool,
    mut blocks: mpsc::Receiver<Lines>,
    progress: impl Fn(u64),
) -> anyhow::Result<u64> {
    let settings = PostgresSettings {
        url: url.to_owned(),
        connections: 1,
        statement_timeout: STATEMENT_TIMEOUT,
        ..PostgresSettings::default()
    };
    let source = PostgresSource::new(&settings)?;
    let mut import = PostgresImport::begin(&source).await?;
    while let Some(lines) = blocks.recv().await {
        import.write(&lines).await?;
        progress(lines.len() as u64);
    }
    let plan = import.plan(ImportMode::StoreDays).await?;
    if plan.lines_removed > 0 && !replace {
        import.abandon().await?;
        bail!(
            "{} stored lines of the same stores and days would be replaced; nothing was changed: \
             pass --yes to replace them, or use a database of its own",
            plan.lines_removed
        );
    }
    import.commit().await?;
    Ok(plan.lines_added)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::generate::GenerateSettings;
    use shared::model::Day;

    fn generator() -> Generator {
        Generator::new(&GenerateSettings {
            stores: 2,
            days: 3,
            lines_per_store: Some(300),
            seed: 1,
            last_day: Day::from_ymd(2026, 3, 7).unwrap(),
        })
        .unwrap()
    }

    #[tokio::test]
    async fn files_are_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["orders.csv", "orders.parquet"] {
            let path = folder.path().join(name);
            let target = Target::file(path.clone()).unwrap();
            assert_eq!(write_all(generator(), &target, |_| {}).await.unwrap(), 600);
            assert!(path.exists() && !part_of(&path).exists());
        }
        let text = std::fs::read_to_string(folder.path().join("orders.csv")).unwrap();
        assert_eq!(text.lines().count(), 601);

        let nowhere = Target::file(folder.path().join("missing/orders.csv")).unwrap();
        assert!(write_all(generator(), &nowhere, |_| {}).await.is_err());
        assert!(Target::file("orders.txt".into()).is_err());
    }
}
