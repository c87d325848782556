//! Importing into a folder: canonical Parquet files, one a day, that count from the moment their list is renamed.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::manifest::{DayFile, Manifest, day_file};
use super::mapping::Mapping;
use super::reader::{OrderFile, ReadOptions};
use super::source::blocking;
use super::spool::Spool;
use super::write::{ParquetWriter, needs_wide};
use super::{cannot_read, cannot_write};
use crate::model::{Column, Day, DayRange, Lines};
use crate::source::import::{ImportMode, ImportPlan, StoreDayChange};
use crate::source::{Columns, SourceError, SourceErrorKind};

/// An import into a folder. Nothing of it counts before [`FolderImport::commit`]; dropped or killed, it leaves the
/// folder as it was, and the next import clears what it wrote.
#[derive(Debug)]
pub struct FolderImport {
    state: Option<Box<State>>,
}

#[derive(Debug)]
struct State {
    folder: PathBuf,
    /// Held until the import ends.
    _lock: File,
    manifest: Manifest,
    staged: Spool,
    wide_days: BTreeSet<Day>,
    mode: Option<ImportMode>,
}

impl FolderImport {
    /// Starts an import; the folder is made if it is not there.
    ///
    /// # Errors
    /// When another import is at work, the folder cannot be written, or holds order files of other origin.
    pub async fn begin(folder: impl Into<PathBuf>) -> Result<Self, SourceError> {
        let folder = folder.into();
        let state = blocking(move || State::begin(folder)).await?;
        Ok(Self { state: Some(Box::new(state)) })
    }

    /// Stages lines with all columns.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub async fn write(&mut self, lines: &Lines) -> Result<(), SourceError> {
        let lines = lines.clone();
        self.with(move |state| state.write(&lines)).await
    }

    /// What committing would do.
    ///
    /// # Errors
    /// When a file of the folder cannot be read.
    pub async fn plan(&mut self, mode: ImportMode) -> Result<ImportPlan, SourceError> {
        self.with(move |state| state.plan(mode)).await
    }

    /// Replaces what was planned, whole or not at all, on the disk when it returns.
    ///
    /// # Errors
    /// When a file cannot be read or written; then the folder is as before.
    pub async fn commit(mut self) -> Result<(), SourceError> {
        self.with(State::commit).await
    }

    /// Ends the import without a change.
    ///
    /// # Errors
    /// When what was staged cannot be removed.
    pub async fn abandon(mut self) -> Result<(), SourceError> {
        self.with(|state| state.manifest.remove_leftovers(&state.folder)).await
    }

    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut State) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let Some(mut state) = self.state.take() else {
            return Err(SourceError::new(
                SourceErrorKind::Other,
                "the import was broken off",
                "start it again; the folder is as before",
            ));
        };
        let (state, result) = blocking(move || {
            let result = work(&mut state);
            Ok((state, result))
        })
        .await?;
        self.state = Some(state);
        result
    }
}

/// What of the lines stored for a day an import replaces, by store.
enum Replaced {
    Store,
    Orders(HashSet<String>),
}

impl State {
    fn begin(folder: PathBuf) -> Result<Self, SourceError> {
        std::fs::create_dir_all(&folder).map_err(|cause| cannot_write(&folder, cause))?;
        let lock = lock(&folder)?;
        let manifest = match Manifest::load(&folder)? {
            Some(manifest) => manifest,
            None => {
                refuse_foreign_files(&folder)?;
                // With a list from the start, files of a first import that is killed never count.
                let manifest = Manifest::default();
                manifest.store(&folder)?;
                manifest
            }
        };
        manifest.remove_leftovers(&folder)?;
        let staged = Spool::new(Some(&folder))?;
        Ok(Self { folder, _lock: lock, manifest, staged, wide_days: BTreeSet::new(), mode: None })
    }

    fn write(&mut self, lines: &Lines) -> Result<(), SourceError> {
        if needs_wide(lines) {
            let times = lines.ordered_at.iter();
            self.wide_days.extend(times.map(|time| crate::model::LocalTime(*time).day()));
        }
        self.staged.add(lines)
    }

    /// The staged stores of each staged day.
    fn days(&self) -> BTreeMap<Day, Vec<(String, u64)>> {
        let mut all: BTreeMap<Day, Vec<(String, u64)>> = BTreeMap::new();
        for (store, days) in self.staged.stores() {
            for (day, lines) in days {
                all.entry(day).or_default().push((store.to_owned(), lines));
            }
        }
        all
    }

    fn staged(&self, store: &str, day: Day) -> Result<Lines, SourceError> {
        let mut lines = Lines::default();
        self.staged.read([store], DayRange { from: day, to: day }, Columns::All, &mut lines)?;
        Ok(lines)
    }

    /// What the staged lines of a day replace.
    fn replaced(
        &self,
        day: Day,
        stores: &[(String, u64)],
        mode: ImportMode,
    ) -> Result<BTreeMap<String, Replaced>, SourceError> {
        let replaced = stores.iter().map(|(store, _)| {
            let what = match mode {
                ImportMode::StoreDays => Replaced::Store,
                ImportMode::Orders => {
                    let lines = self.staged(store, day)?;
                    let ids = (0..lines.len()).map(|row| lines.text(Column::OrderId, row).to_owned());
                    Replaced::Orders(ids.collect())
                }
            };
            Ok((store.clone(), what))
        });
        replaced.collect()
    }

    /// Gives every batch of a day's stored lines to `take`.
    fn stored(
        &self,
        day: Day,
        mapping: &Mapping,
        mut take: impl FnMut(Lines) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        for entry in self.manifest.files.iter().filter(|file| file.day == day) {
            let path = self.folder.join(&entry.name);
            let mut file = OrderFile::open_with(&path, mapping, &ReadOptions::default())?;
            while let Some(batch) = file.next_batch()? {
                take(batch.lines)?;
            }
            if file.summary().accepted != entry.lines {
                return Err(SourceError::new(
                    SourceErrorKind::File,
                    format!(
                        "{} holds {} lines, its import wrote {}",
                        path.display(),
                        file.summary().accepted,
                        entry.lines
                    ),
                    "put back the file from a backup, or import into a new folder",
                ));
            }
        }
        Ok(())
    }

    fn plan(&mut self, mode: ImportMode) -> Result<ImportPlan, SourceError> {
        self.staged.flush()?;
        self.mode = Some(mode);
        let keys = Mapping::canonical().only(&[Column::OrderId, Column::StoreId, Column::OrderedAt]);
        let mut plan = ImportPlan::default();
        for (day, stores) in self.days() {
            let replaced = self.replaced(day, &stores, mode)?;
            let mut before: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            self.stored(day, &keys, |lines| {
                for row in 0..lines.len() {
                    let store = lines.text(Column::StoreId, row);
                    let Some(what) = replaced.get(store) else { continue };
                    let goes = goes(what, &lines, row);
                    if !before.contains_key(store) {
                        before.insert(store.to_owned(), (0, 0));
                    }
                    if let Some((all, gone)) = before.get_mut(store) {
                        *all += 1;
                        *gone += u64::from(goes);
                    }
                }
                Ok(())
            })?;
            for (store_id, added) in stores {
                let (before, removed) = before.get(&store_id).copied().unwrap_or_default();
                plan.lines_added += added;
                plan.lines_removed += removed;
                plan.changes.push(StoreDayChange { store_id, day, before, after: before - removed + added });
            }
        }
        plan.changes.sort_by(|a, b| (&a.store_id, a.day).cmp(&(&b.store_id, b.day)));
        Ok(plan)
    }

    fn commit(&mut self) -> Result<(), SourceError> {
        let Some(mode) = self.mode else {
            return Err(SourceError::new(
                SourceErrorKind::Other,
                "the import was not planned",
                "plan it first",
            ));
        };
        let import = self.manifest.import + 1;
        let mut next = self.manifest.clone();
        next.import = import;
        for (day, stores) in self.days() {
            let file = self.write_day(day, &stores, mode, import)?;
            next.files.retain(|file| file.day != day);
            next.files.push(file);
        }
        next.files.sort_by(|a, b| a.name.cmp(&b.name));
        next.store(&self.folder)?;
        self.manifest = next;
        // The import is done; what it replaced is only in the way.
        if let Err(error) = self.manifest.remove_leftovers(&self.folder) {
            tracing::warn!(%error, "replaced files were not removed, the next import removes them");
        }
        Ok(())
    }

    fn write_day(
        &self,
        day: Day,
        stores: &[(String, u64)],
        mode: ImportMode,
        import: u64,
    ) -> Result<DayFile, SourceError> {
        let replaced = self.replaced(day, stores, mode)?;
        let name = day_file(day, import);
        let path = self.folder.join(&name);
        let wide = self.wide_days.contains(&day)
            || self.manifest.files.iter().any(|file| file.day == day && file.wide);
        let mut writer =
            if wide { ParquetWriter::create_wide(&path)? } else { ParquetWriter::create(&path)? };
        let mut count = 0;
        self.stored(day, &Mapping::canonical(), |lines| {
            let stays = |row: &u32| {
                let row = *row as usize;
                let what = replaced.get(lines.text(Column::StoreId, row));
                !what.is_some_and(|what| goes(what, &lines, row))
            };
            let all = 0..u32::try_from(lines.len()).unwrap_or(u32::MAX);
            let kept = lines.take(&all.filter(stays).collect::<Vec<_>>());
            count += kept.len() as u64;
            writer.write(&kept)
        })?;
        for (store, lines) in stores {
            // In the stated order, so that the same import writes the same file.
            writer.write(&self.staged(store, day)?.sorted())?;
            count += lines;
        }
        writer.finish()?;
        Ok(DayFile { name, day, lines: count, wide })
    }
}

fn goes(what: &Replaced, lines: &Lines, row: usize) -> bool {
    match what {
        Replaced::Store => true,
        Replaced::Orders(ids) => ids.contains(lines.text(Column::OrderId, row)),
    }
}

fn lock(folder: &Path) -> Result<File, SourceError> {
    let path = folder.join(".lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|cause| cannot_write(&path, cause))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SourceError::new(
            SourceErrorKind::File,
            format!("another import is at work in {}", folder.display()),
            "wait for it to end, then start again",
        )),
        Err(TryLockError::Error(cause)) => Err(cannot_write(&path, cause)),
    }
}

fn refuse_foreign_files(folder: &Path) -> Result<(), SourceError> {
    for entry in std::fs::read_dir(folder).map_err(|cause| cannot_read(folder, cause))? {
        let path = entry.map_err(|cause| cannot_read(folder, cause))?.path();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if matches!(extension.as_str(), "csv" | "xlsx" | "parquet") {
            return Err(SourceError::new(
                SourceErrorKind::File,
                format!("{} holds {}, which no import wrote", folder.display(), path.display()),
                "import into an empty or new folder",
            ));
        }
    }
    Ok(())
}
