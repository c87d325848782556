//! How busy this machine is.

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, System};

/// How busy this machine is. In a container with limits of its own, memory is what it may use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostUse {
    /// All cores together, in percent, since the look before; `None` at the first one.
    pub cpu_percent: Option<f64>,
    /// Cores.
    pub cpus: usize,
    /// Bytes in use, caches of files left out.
    pub memory_used: u64,
    /// Bytes that there are.
    pub memory_total: u64,
}

/// Looks at this machine again and again: how busy it is, is a difference.
#[derive(Debug)]
pub struct HostWatch {
    system: System,
    looked: bool,
}

impl HostWatch {
    /// Of this machine; `None` where the system does not tell.
    #[must_use]
    pub fn new() -> Option<Self> {
        Some(Self { system: System::new().ok()?, looked: false })
    }

    /// How busy it is now. Reads a few small files.
    pub fn look(&mut self) -> HostUse {
        self.system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage());
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let (mut used, mut total) = (self.system.used_memory(), self.system.total_memory());
        if let Some(limits) = self.system.cgroup_limits().filter(|limits| limits.total_memory < total) {
            (used, total) = (limits.rss, limits.total_memory);
        }
        let again = std::mem::replace(&mut self.looked, true);
        HostUse {
            cpu_percent: again.then(|| f64::from(self.system.global_cpu_usage())),
            cpus: self.system.cpus().len(),
            memory_used: used,
            memory_total: total,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_cores_and_memory() {
        let mut watch = HostWatch::new().unwrap();
        let first = watch.look();
        assert_eq!(first.cpu_percent, None);
        assert!(
            first.cpus > 0 && first.memory_total > first.memory_used && first.memory_used > 0,
            "{first:?}"
        );
        let busy = watch.look().cpu_percent.unwrap();
        assert!((0.0..=100.0).contains(&busy), "{busy}");
    }
}
