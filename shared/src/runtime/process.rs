//! What this process uses.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// What this process uses of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessUse {
    /// Resident memory, bytes.
    pub memory: u64,
    /// Processor time since the start, milliseconds.
    pub cpu_ms: u64,
    /// Open files and sockets, where the system tells.
    pub open_files: Option<usize>,
    /// How many it may have open, where the system tells.
    pub max_open_files: Option<usize>,
    /// When it started, seconds since 1970.
    pub started: u64,
}

impl ProcessUse {
    /// As it is now; `None` where the system does not tell.
    #[must_use]
    pub fn now() -> Option<Self> {
        let pid = Pid::from_u32(std::process::id());
        let mut system = System::new().ok()?;
        let wanted = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, wanted);
        let process = system.process(pid)?;
        Some(Self {
            memory: process.memory(),
            cpu_ms: process.accumulated_cpu_time(),
            open_files: process.open_files(),
            max_open_files: process.open_files_limit(),
            started: process.start_time(),
        })
    }
}

/// Lets this process have so many files and sockets open, if it may: many systems give 1,024 unless asked for more. Gives how
/// many it may have then; `None` where the system does not tell.
#[must_use]
pub fn allow_open_files(needed: usize) -> Option<u64> {
    rlimit::increase_nofile_limit(needed as u64).ok()
}

/// Up to how many open files and sockets this process may let itself have; `None` where the system does not tell.
#[must_use]
pub fn most_open_files() -> Option<u64> {
    #[cfg(unix)]
    let most = rlimit::Resource::NOFILE.get_hard().ok();
    #[cfg(not(unix))]
    let most = None;
    most
}

/// Whether a process of this host runs.
#[must_use]
pub fn runs(pid: u32) -> bool {
    let pid = Pid::from_u32(pid);
    let Ok(mut system) = System::new() else { return false };
    let wanted = ProcessRefreshKind::nothing().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, wanted) > 0
}

/// Name of this host.
#[must_use]
pub fn host_name() -> String {
    System::host_name().unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let used = ProcessUse::now().unwrap();
        assert!(used.memory > 100_000 && used.started > 1_600_000_000, "{used:?}");
        assert!(runs(std::process::id()));
        assert!(!runs(u32::MAX - 1));
    }
}
