//! Checks of the host: disk, memory, open files, clocks.

use std::path::Path;

use sysinfo::{Disks, System};

use super::Report;
use crate::runtime::now_ms;
use crate::runtime::process::most_open_files;

/// Less free disk than this, and nothing can be written soon.
const LEAST_DISK: u64 = 64 << 20;
/// Less than this is worth a look.
const GOOD_DISK: u64 = 1 << 30;
/// Less memory than this share, in percent, is worth a look.
const GOOD_MEMORY_PERCENT: u64 = 10;
/// Clocks that differ by more make ages and expiries wrong, milliseconds.
const MOST_SKEW_MS: i64 = 5_000;
/// Clocks that differ by more are worth a look, milliseconds.
const GOOD_SKEW_MS: i64 = 1_000;

/// The time by another clock and by this host's when it was read, both in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Whose: `redis`, `postgres`, `gateway`.
    pub of: &'static str,
    /// By that clock.
    pub theirs: i64,
    /// By this host's.
    pub ours: i64,
}

impl Clock {
    /// What another clock says now.
    #[must_use]
    pub fn read(of: &'static str, theirs: i64) -> Self {
        Self { of, theirs, ours: now_ms() }
    }
}

fn shown(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// Checks that a folder can be written, by a file that is removed again, and that its disk has room.
pub fn folder(report: &mut Report, name: &'static str, setting: &str, folder: &Path) {
    let place = folder.display();
    if let Err(error) = std::fs::create_dir_all(folder).and_then(|()| probe(folder)) {
        let remedy = format!("make room, or let this user write there: {setting}");
        return report.fail(name, format!("{place} cannot be written: {error}"), remedy);
    }
    match free(folder) {
        Some(free) if free < LEAST_DISK => {
            let remedy = format!("make room, or move it to another disk: {setting}");
            report.fail(name, format!("{place}: only {} free", shown(free)), remedy);
        }
        Some(free) if free < GOOD_DISK => {
            report.warn(name, format!("{place}: {} free", shown(free)), "make room before it is full");
        }
        Some(free) => report.pass(name, format!("{place} can be written, {} free", shown(free))),
        None => report.pass(name, format!("{place} can be written")),
    }
}

/// Writes a file of a page's size, so that a full disk is found.
fn probe(folder: &Path) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".verify-").tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, &[0; 64 << 10])?;
    file.as_file().sync_all()
}

/// Free bytes of the disk that holds a folder; `None` where the system does not tell.
fn free(folder: &Path) -> Option<u64> {
    let folder = folder.canonicalize().ok()?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    let holding = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    holding.max_by_key(|disk| disk.mount_point().as_os_str().len()).map(sysinfo::Disk::available_space)
}

/// Checks the memory that is left.
pub fn memory(report: &mut Report) {
    let name = "host.memory";
    let Ok(mut system) = System::new() else { return report.skip(&[name], "the system does not tell") };
    system.refresh_memory();
    let (total, left) = (system.total_memory(), system.available_memory());
    let seen = format!("{} of {} available", shown(left), shown(total));
    if left / GOOD_MEMORY_PERCENT.max(1) < total / 100 {
        report.warn(
            name,
            seen,
            "see what uses it (top); lower near.bytes, warm.parallel_stores or Redis's maxmemory",
        );
    } else {
        report.pass(name, seen);
    }
}

/// Checks up to how many files may be open against what is needed at most; `why` names it. The programs raise their own limit to
/// what they need when they start, so what counts is how far they may.
pub fn open_files(report: &mut Report, needed: usize, why: &str) {
    let name = "host.open_files";
    let Some(most) = most_open_files() else {
        return report.skip(&[name], "the system does not tell");
    };
    let seen = format!("up to {most} allowed, {needed} needed at most ({why})");
    report.judge(
        name,
        most >= needed as u64,
        seen,
        "raise it: LimitNOFILE= of the unit, or ulimit -n, or lower what needs them",
    );
}

/// Checks that clocks agree with this host's.
pub fn clocks(report: &mut Report, others: &[Clock]) {
    let name = "host.clock";
    let skews: Vec<(&str, i64)> =
        others.iter().map(|clock| (clock.of, clock.theirs.saturating_sub(clock.ours))).collect();
    let Some((_, most)) = skews.iter().max_by_key(|(_, skew)| skew.abs()) else {
        return report.skip(&[name], "no other clock could be read");
    };
    let told = skews.iter().map(|(other, skew)| format!("{other} {:+.1} s", *skew as f64 / 1000.0));
    let seen = told.collect::<Vec<_>>().join(", ");
    let remedy = "let all hosts follow one time server (timedatectl set-ntp true)";
    if most.abs() > MOST_SKEW_MS {
        report.fail(name, seen, remedy);
    } else if most.abs() > GOOD_SKEW_MS {
        report.warn(name, seen, remedy);
    } else {
        report.pass(name, seen);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::verify::Outcome;

    fn outcome(make: impl FnOnce(&mut Report)) -> (Outcome, String) {
        let mut report = Report::default();
        make(&mut report);
        let check = &report.checks()[0];
        (check.outcome, check.seen.clone())
    }

    #[test]
    fn clocks_are_judged_by_the_one_that_differs_most() {
        let judged = |others: &[(&'static str, i64, i64)]| {
            let read = |&(of, theirs, ours): &(&'static str, i64, i64)| Clock { of, theirs, ours };
            outcome(|report| clocks(report, &others.iter().map(read).collect::<Vec<_>>()))
        };
        assert_eq!(judged(&[("redis", 1_000_900, 1_000_000)]).0, Outcome::Pass);
        let (found, seen) = judged(&[("redis", 0, 10), ("postgres", 0, 5_001)]);
        assert_eq!((found, seen.as_str()), (Outcome::Fail, "redis -0.0 s, postgres -5.0 s"));
        assert_eq!(judged(&[("redis", 1_001, 0)]).0, Outcome::Warn);
        assert_eq!(judged(&[]).0, Outcome::Skip);
    }

    #[test]
    fn a_folder_that_cannot_be_made_fails() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (found, seen) =
            outcome(|report| folder(report, "host.state", "warm.state", &file.path().join("x")));
        assert_eq!(found, Outcome::Fail, "{seen}");
        let place = tempfile::tempdir().unwrap();
        let (found, seen) =
            outcome(|report| folder(report, "host.state", "warm.state", &place.path().join("new")));
        assert_ne!(found, Outcome::Fail, "{seen}");
        assert_eq!(std::fs::read_dir(place.path().join("new")).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn open_files_are_judged_by_what_is_needed() {
        assert_eq!(outcome(|report| open_files(report, 3, "few")).0, Outcome::Pass);
        assert_eq!(outcome(|report| open_files(report, usize::MAX, "many")).0, Outcome::Fail);
    }
}
