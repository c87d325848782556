//! What the warmer learned and must not forget: what is asked for, how far the logs were read, what things cost, which
//! documents were kept, where the rotation of cold stores was. One file in the state folder holds all of it, so that it
//! is never of two moments: a restart neither loses nor doubles a line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use shared::config::Settings;
use shared::model::Day;

use crate::interest::{Interest, InterestSnapshot, Limits};
use crate::log_reader::Positions;
use crate::log_reader::positions::{StateError, load, save};
use crate::plan::costs::Costs;

/// Name of the file.
const FILE: &str = "learned.json";

/// What was learned, in memory.
#[derive(Debug)]
pub struct State {
    /// What is asked for.
    pub interest: Interest,
    /// How far the logs were read.
    pub positions: Positions,
    /// What things cost.
    pub costs: Costs,
    /// Relative texts of the questions whose documents were kept.
    pub kept: BTreeSet<String>,
    /// The cold store that was warmed last.
    pub cursor: Option<String>,
    /// The last data day, as the daemon knows it.
    pub last_day: Option<Day>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    interest: InterestSnapshot,
    positions: Positions,
    costs: Costs,
    kept: BTreeSet<String>,
    cursor: Option<String>,
    last_day: Option<Day>,
}

impl State {
    fn new(limits: Limits) -> Self {
        Self {
            interest: Interest::new(limits),
            positions: Positions::default(),
            costs: Costs::default(),
            kept: BTreeSet::new(),
            cursor: None,
            last_day: None,
        }
    }
}

impl Stored {
    fn of(state: &State) -> Self {
        Self {
            version: VERSION,
            interest: state.interest.snapshot(),
            positions: state.positions.clone(),
            costs: state.costs.clone(),
            kept: state.kept.clone(),
            cursor: state.cursor.clone(),
            last_day: state.last_day,
        }
    }

    fn restore(self, limits: Limits) -> State {
        State {
            interest: Interest::restore(self.interest, limits),
            positions: self.positions,
            costs: self.costs,
            kept: self.kept,
            cursor: self.cursor,
            last_day: self.last_day,
        }
    }
}

fn limits(settings: &Settings) -> Limits {
    Limits::new(&settings.heat, settings.warm.floor, settings.warm.answers)
}

/// The state file; its folder is made if it is missing.
fn file(settings: &Settings) -> Option<PathBuf> {
    let folder = settings.warm.state.as_ref()?;
    if let Err(error) = std::fs::create_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), error = %error, "the state folder cannot be made; what is learned is lost at the end: make it, or set warm.state");
    }
    Some(folder.join(FILE))
}

/// Version of the file; another one is not read.
const VERSION: u32 = 1;

/// What was learned, shared by the reader of the logs and the daemon.
#[derive(Debug)]
pub struct Learned {
    state: Mutex<State>,
    file: Option<PathBuf>,
}

impl Learned {
    /// What is in the state folder of the settings; nothing, if there is none, or what is there cannot be read.
    #[must_use]
    pub fn open(settings: &Settings) -> Self {
        let file = file(settings);
        let stored = match file.as_deref().map(load::<Stored>) {
            Some(Ok(stored)) => stored.filter(|stored| stored.version == VERSION),
            Some(Err(error)) => {
                tracing::warn!(error = %error, "what was learned before cannot be read; beginning anew");
                None
            }
            None => None,
        };
        let limits = limits(settings);
        let state = stored.map_or_else(|| State::new(limits), |stored| stored.restore(limits));
        Self { state: Mutex::new(state), file }
    }

    /// The same under other settings.
    #[must_use]
    pub fn under(&self, settings: &Settings) -> Self {
        let state = self.with(|state| Stored::of(state)).restore(limits(settings));
        Self { state: Mutex::new(state), file: file(settings) }
    }

    /// Looks at it, or changes it. Short: whoever else wants it waits.
    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The file, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Writes the file; does nothing without one. Blocking.
    ///
    /// # Errors
    /// If it cannot be written; then the old one stays.
    pub fn save(&self) -> Result<(), StateError> {
        let Some(file) = &self.file else { return Ok(()) };
        let stored = self.with(|state| Stored::of(state));
        save(file, &stored)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn other_settings_forget_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::load(&[], &|_| None).unwrap();
        let learned = Learned::open(&settings);
        learned.with(|state| {
            state.cursor = Some("s1".to_owned());
            state.kept.insert("a question".to_owned());
        });
        settings.warm.state = Some(folder.path().join("state"));
        settings.heat.questions = 7;
        let again = learned.under(&settings);
        again.save().unwrap();
        for learned in [again, Learned::open(&settings)] {
            let (cursor, kept) = learned.with(|state| (state.cursor.clone(), state.kept.len()));
            assert_eq!((cursor.as_deref(), kept), (Some("s1"), 1));
        }
    }
}
