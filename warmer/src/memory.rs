//! Room in Redis: when it nears its limit, or evicts, the plan shrinks instead of writing what pushes out something
//! else. Pure.

use shared::cache::Memory;

/// Share of the limit, in percent, that the warmer stays below.
const FULL: u64 = 90;
/// Share of the limit, in percent, above which cold stores that are not there are left out.
const NO_ROOM: u64 = 95;
/// What is left of the plan after an eviction, in percent.
const AFTER_EVICTION: u64 = 80;

/// What was seen of Redis's memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Keys that Redis had evicted at the last look.
    evicted: Option<u64>,
    /// Keys evicted since the first look.
    pub evictions: u64,
    /// Limit of the plan after evictions, bytes.
    lowered: Option<u64>,
}

/// What follows from a look at the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Bytes that the plan may take.
    pub bytes: u64,
    /// Whether that is less than its setting.
    pub shrunk: bool,
    /// Keys evicted since the look before.
    pub evicted: u64,
    /// Whether there is no room for cold stores that are not there.
    pub full: bool,
}

impl Room {
    /// Takes over how Redis is. `setting` is the budget as set, `planned` what the last plan takes.
    pub fn look(&mut self, memory: &Memory, setting: u64, planned: u64) -> Allowed {
        // A smaller count is that of a server that was started anew.
        let evicted = self.evicted.map_or(0, |before| memory.evicted.saturating_sub(before));
        self.evicted = Some(memory.evicted);
        self.evictions += evicted;
        if evicted > 0 {
            let before = self.lowered.unwrap_or(setting).min(planned.max(1));
            self.lowered = Some(before / 100 * AFTER_EVICTION);
        } else if let Some(lowered) = self.lowered {
            // It grows again by a tenth of the setting at each quiet look.
            self.lowered = Some(lowered.saturating_add(setting / 10)).filter(|lowered| *lowered < setting);
        }
        let percent = |limit: u64, percent: u64| limit / 100 * percent;
        let free = memory.limit.map_or(u64::MAX, |limit| {
            percent(limit, FULL).saturating_add(planned).saturating_sub(memory.used)
        });
        let bytes = setting.min(free).min(self.lowered.unwrap_or(u64::MAX));
        let full = memory.limit.is_some_and(|limit| memory.used > percent(limit, NO_ROOM));
        Allowed { bytes, shrunk: bytes < setting, evicted, full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    fn memory(used: u64, limit: Option<u64>, evicted: u64) -> Memory {
        Memory { used, limit, policy: "allkeys-lru".into(), evicted }
    }

    #[test]
    fn without_a_limit_the_setting_counts() {
        let allowed = Room::default().look(&memory(900 * MB, None, 7), 100 * MB, 0);
        assert_eq!(allowed, Allowed { bytes: 100 * MB, shrunk: false, evicted: 0, full: false });
    }

    #[test]
    fn near_the_limit_the_plan_shrinks_to_what_fits() {
        let mut room = Room::default();
        // 860 of 1000 are used, 50 of them by the plan: up to 900 there is room for 40 more.
        let allowed = room.look(&memory(860 * MB, Some(1000 * MB), 0), 500 * MB, 50 * MB);
        assert_eq!(allowed, Allowed { bytes: 90 * MB, shrunk: true, evicted: 0, full: false });
        let allowed = room.look(&memory(980 * MB, Some(1000 * MB), 0), 500 * MB, 50 * MB);
        assert_eq!((allowed.bytes, allowed.full), (0, true));
    }

    #[test]
    fn an_eviction_lowers_the_plan_and_quiet_raises_it_again() {
        let mut room = Room::default();
        room.look(&memory(100 * MB, Some(1000 * MB), 5), 500 * MB, 200 * MB);
        let lowered = room.look(&memory(100 * MB, Some(1000 * MB), 8), 500 * MB, 200 * MB);
        assert_eq!((lowered.bytes, lowered.evicted, room.evictions), (160 * MB, 3, 3));
        let mut last = lowered.bytes;
        for _ in 0..20 {
            let now = room.look(&memory(100 * MB, Some(1000 * MB), 8), 500 * MB, 160 * MB).bytes;
            assert!(now >= last);
            last = now;
        }
        assert_eq!(last, 500 * MB);
    }
}
