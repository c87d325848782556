//! The log in a file: who logs adds to what waits and never waits for the disk; a thread of its own writes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::{RotatedFile, now_ms};

/// Bytes of lines that may wait; further ones are dropped, and counted.
const MAX_WAITING: usize = 1 << 20;
/// What a buffer keeps of its memory after a burst.
const KEPT: usize = 64 << 10;

/// Takes lines for a file. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Something waits.
    wake: Condvar,
    /// Nothing waits, and nothing is being written.
    idle: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    writing: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogFile {
    /// Opens the file and starts what writes it.
    ///
    /// # Errors
    /// If the file cannot be written, or the thread cannot be started.
    pub(super) fn start(mut file: RotatedFile) -> io::Result<Self> {
        file.write(&[], now_ms())?;
        let shared = Arc::new(Shared::default());
        let writer = Writer { file, shared: Arc::clone(&shared), told: 0, lost: 0 };
        // Not joined: a disk that hangs must not keep the process from ending.
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        Ok(Self { shared })
    }

    /// Waits until what was logged so far is written, but not longer than `limit`.
    pub(super) fn finish(&self, limit: Duration) {
        let busy = |state: &mut State| state.writing || !state.waiting.is_empty();
        // Whether it was in time makes no difference any more.
        drop(self.shared.idle.wait_timeout_while(self.shared.lock(), limit, busy));
    }

    fn push(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.waiting.len().saturating_add(line.len()) > MAX_WAITING {
            state.dropped += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        drop(state);
        self.shared.wake.notify_one();
    }
}

/// One event is written with one call.
impl Write for &LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = &'a LogFile;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

struct Writer {
    file: RotatedFile,
    shared: Arc<Shared>,
    /// Of the lines that were dropped, how many it told of.
    told: u64,
    /// Lines that went to standard error because the file could not be written.
    lost: u64,
}

impl Writer {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            self.next(&mut batch);
            if let Some(note) = self.write(&batch) {
                note.log(self.file.path());
            }
            batch.clear();
            batch.shrink_to(KEPT);
        }
    }

    /// Waits for lines and takes them all.
    fn next(&self, batch: &mut Vec<u8>) {
        let mut state = self.shared.lock();
        state.writing = false;
        self.shared.idle.notify_all();
        let nothing = |state: &mut State| state.waiting.is_empty();
        let mut state = self.shared.wake.wait_while(state, nothing).unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        std::mem::swap(&mut state.waiting, batch);
    }

    /// What there is to tell, if anything.
    fn write(&mut self, batch: &[u8]) -> Option<Note> {
        if let Err(error) = self.file.write(batch, now_ms()) {
            let first = self.lost == 0;
            self.lost += batch.iter().filter(|byte| **byte == b'\n').count() as u64;
            // Better than nowhere; a service of Windows has nothing there.
            let _ = io::stderr().lock().write_all(batch);
            return first.then_some(Note::Failing(error));
        }
        let dropped = self.shared.lock().dropped;
        let more = dropped - std::mem::replace(&mut self.told, dropped);
        let lost = std::mem::take(&mut self.lost);
        if lost > 0 {
            return Some(Note::Again { lost, dropped: more });
        }
        (more > 0).then_some(Note::Dropped(more))
    }
}

/// What becomes of lines, for the log itself.
#[derive(Debug)]
enum Note {
    Failing(io::Error),
    Again { lost: u64, dropped: u64 },
    Dropped(u64),
}

impl Note {
    fn log(&self, path: &Path) {
        let path = path.display();
        match self {
            Self::Failing(error) => tracing::error!(
                %path, %error,
                "the log file cannot be written; lines go to standard error until it can: make room, or correct log.folder and its rights"
            ),
            Self::Again { lost, dropped } => {
                tracing::warn!(
                    lost,
                    dropped,
                    "the log file can be written again; lines before this are missing in it"
                );
            }
            Self::Dropped(dropped) => {
                tracing::warn!(
                    dropped,
                    "lines of the log were dropped, its disk is too slow; log less (log.filter)"
                );
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn file(folder: &std::path::Path, keep: usize) -> RotatedFile {
        RotatedFile::new(folder.join("x.log"), 100, Duration::MAX, keep)
    }

    /// Without its thread.
    fn writer(folder: &std::path::Path) -> (LogFile, Writer) {
        let shared = Arc::new(Shared::default());
        let writer = Writer { file: file(folder, 1), shared: Arc::clone(&shared), told: 0, lost: 0 };
        (LogFile { shared }, writer)
    }

    #[test]
    fn what_was_logged_is_written_and_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let log = LogFile::start(file(&folder.path().join("new"), 2)).unwrap();
        for number in 0..4 {
            log.push(format!("{number}{}\n", "x".repeat(58)).as_bytes());
            log.finish(LIMIT);
        }
        let text = |name: &str| std::fs::read_to_string(folder.path().join("new").join(name)).unwrap();
        let first = ["x.log", "x.log.1", "x.log.2"].map(|name| text(name)[..1].to_owned());
        assert_eq!(first, ["3", "2", "1"]);
        assert!(!folder.path().join("new/x.log.3").exists());
    }

    #[test]
    fn nobody_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let (log, mut writer) = writer(folder.path());
        let line = [b'x'; 1000];
        for _ in 0..2000 {
            log.push(&line);
        }
        let state = log.shared.lock();
        assert_eq!((state.waiting.len(), state.dropped), (1_048_000, 952));
        drop(state);
        let mut batch = Vec::new();
        writer.next(&mut batch);
        assert!(matches!(writer.write(&batch), Some(Note::Dropped(952))));
        assert!(writer.write(b"a\n").is_none(), "told once");
        // A finish that finds the disk hanging gives up.
        log.finish(Duration::from_millis(1));
    }

    #[test]
    fn a_disk_that_fails_is_told_once_and_when_it_works_again() {
        let folder = tempfile::tempdir().unwrap();
        let (_log, mut writer) = writer(folder.path());
        std::fs::create_dir_all(folder.path().join("x.log")).unwrap();
        assert!(matches!(writer.write(b"a\nb\n"), Some(Note::Failing(_))));
        assert!(writer.write(b"c\n").is_none());
        std::fs::remove_dir(folder.path().join("x.log")).unwrap();
        assert!(matches!(writer.write(b"d\n"), Some(Note::Again { lost: 3, dropped: 0 })));
        assert_eq!(std::fs::read_to_string(folder.path().join("x.log")).unwrap(), "d\n");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in the way"), "").unwrap();
        LogFile::start(file(&folder.path().join("in the way"), 1)).unwrap_err();
    }
}
