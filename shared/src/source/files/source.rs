//! A file or a folder of files as a source: read once into a spool, then found by store and day.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::Batch;
use super::cannot_read;
use super::manifest::Manifest;
use super::mapping::{Mapping, MappingChoice};
use super::reader::{OrderFile, Progress, ReadOptions};
use super::spool::Spool;
use super::summary::FileSummary;
use crate::model::{Column, DaySet, Directory, Lines, StoreInfo};
use crate::source::{ReadRequest, SourceError, SourceErrorKind};

/// Order lines of a file or a folder. Memory holds an index of stores and days; the lines lie in a temporary file
/// without a name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FileSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    spool: Spool,
    directory: Directory,
    summaries: Vec<FileSummary>,
}

impl FileSource {
    /// Reads a CSV, XLSX or Parquet file, or every one of a folder. A folder that was written by an import is read
    /// as its last finished import left it.
    ///
    /// # Errors
    /// When a file cannot be read. Rows that cannot be read are counted in [`FileSource::summaries`].
    pub async fn open(
        path: impl Into<PathBuf>,
        mapping: &MappingChoice,
        options: &ReadOptions,
    ) -> Result<Self, SourceError> {
        let (path, mapping, options) = (path.into(), mapping.clone(), *options);
        blocking(move || Self::open_blocking(&path, &mapping, &options, |_, _| {})).await
    }

    /// As [`FileSource::open`] on this thread; `progress` hears of every batch.
    ///
    /// # Errors
    /// As [`FileSource::open`].
    pub fn open_blocking(
        path: &Path,
        mapping: &MappingChoice,
        options: &ReadOptions,
        mut progress: impl FnMut(&Path, Progress),
    ) -> Result<Self, SourceError> {
        let mapping = mapping.resolve()?;
        if !path.is_dir() {
            return Self::read_files(&[path.to_owned()], &mapping, options, &mut progress);
        }
        loop {
            let Some(manifest) = Manifest::load(path)? else {
                return Self::read_files(&order_files(path)?, &mapping, options, &mut progress);
            };
            let files = manifest.paths(path);
            match Self::read_files(&files, &Mapping::canonical(), options, &mut progress) {
                // An import that ended meanwhile has taken away the files that it replaced.
                Err(_) if Manifest::load(path)?.is_some_and(|now| now != manifest) => {}
                result => return result,
            }
        }
    }

    fn read_files(
        files: &[PathBuf],
        mapping: &Mapping,
        options: &ReadOptions,
        progress: &mut impl FnMut(&Path, Progress),
    ) -> Result<Self, SourceError> {
        let mut spool = Spool::new(None)?;
        let mut names = Names::default();
        let mut summaries = Vec::with_capacity(files.len());
        for path in files {
            let mut file = OrderFile::open_with(path, mapping, options)?;
            while let Some(Batch { lines, .. }) = file.next_batch()? {
                names.add(&lines);
                spool.add(&lines)?;
                progress(path, file.progress());
            }
            summaries.push(file.into_summary());
        }
        spool.flush()?;
        let directory = names.directory(&spool);
        Ok(Self { inner: Arc::new(Inner { spool, directory, summaries }) })
    }

    /// What was read, accepted, rejected and left out, file by file.
    #[must_use]
    pub fn summaries(&self) -> &[FileSummary] {
        &self.inner.summaries
    }

    /// All stores with their names, days and numbers of lines.
    ///
    /// # Errors
    /// Never; as the other sources.
    #[allow(clippy::unused_async, reason = "one signature for all sources")]
    pub async fn directory(&self) -> Result<Directory, SourceError> {
        Ok(self.inner.directory.clone())
    }

    /// The lines of a request in no stated order.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub async fn read(&self, request: &ReadRequest) -> Result<Lines, SourceError> {
        let (inner, request) = (Arc::clone(&self.inner), request.clone());
        blocking(move || {
            let mut lines = Lines::default();
            let stores = request.stores.iter().map(String::as_str);
            inner.spool.read(stores, request.range, request.columns, &mut lines)?;
            Ok(lines)
        })
        .await
    }
}

/// Runs blocking work off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(cause) => Err(SourceError::new(
            SourceErrorKind::Other,
            "reading files stopped unexpectedly",
            "see the log, and report it with the file that was read",
        )
        .because(cause)),
    }
}

/// The order files of a folder by name, hidden and lock files left aside.
fn order_files(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|cause| cannot_read(folder, cause))? {
        let path = entry.map_err(|cause| cannot_read(folder, cause))?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let order_file = [".csv", ".xlsx", ".parquet"].iter().any(|end| name.ends_with(end));
        if order_file && !name.starts_with(['.', '~']) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(SourceError::new(
            SourceErrorKind::File,
            format!("{} holds no .csv, .xlsx or .parquet file", folder.display()),
            "give the folder that holds the exports, or a file",
        ));
    }
    Ok(files)
}

/// A text and the time of the line it is from.
type Latest = Option<(i64, String)>;

/// Name and city of each store: those of the line with the latest time among those that have one, ties: smallest.
#[derive(Debug, Default)]
struct Names {
    stores: BTreeMap<String, (Latest, Latest)>,
}

impl Names {
    fn add(&mut self, lines: &Lines) {
        let mut row = 0;
        while row < lines.len() {
            let store = lines.text(Column::StoreId, row);
            if !self.stores.contains_key(store) {
                self.stores.insert(store.to_owned(), (None, None));
            }
            let Some((name, city)) = self.stores.get_mut(store) else { break };
            while row < lines.len() && lines.text(Column::StoreId, row) == store {
                update(name, lines.ordered_at[row], lines.text(Column::StoreName, row));
                update(city, lines.ordered_at[row], lines.text(Column::City, row));
                row += 1;
            }
        }
    }

    fn directory(mut self, spool: &Spool) -> Directory {
        let stores = spool.stores().map(|(store, days)| {
            let days: Vec<_> = days.collect();
            let (name, city) = self.stores.remove(store).unwrap_or_default();
            StoreInfo {
                store_id: store.to_owned(),
                name: name.map_or_else(|| store.to_owned(), |(_, name)| name),
                city: city.map(|(_, city)| city),
                lines: days.iter().map(|(_, lines)| lines).sum(),
                days: days.iter().map(|(day, _)| *day).collect::<DaySet>(),
            }
        });
        Directory::new(stores.collect())
    }
}

fn update(latest: &mut Latest, time: i64, text: &str) {
    if text.is_empty() {
        return;
    }
    match latest {
        Some((at, held)) if *at > time || (*at == time && held.as_str() <= text) => {}
        Some((at, held)) => {
            *at = time;
            text.clone_into(held);
        }
        None => *latest = Some((time, text.to_owned())),
    }
}
