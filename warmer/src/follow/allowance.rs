//! How many misses and refreshes of one token are seen to at once, in a minute: one client that asks for something else
//! each time must not keep the warmer from its work. Pure.

use std::collections::HashMap;

use shared::config::HeatSettings;

const MINUTE_MS: i64 = 60_000;

/// What was used of the current minute. Bounded by the number of tokens; further ones share one allowance.
#[derive(Debug)]
pub(super) struct Allowance {
    misses: u32,
    refreshes: u32,
    tokens: usize,
    began: i64,
    used: HashMap<String, (u32, u32)>,
}

impl Allowance {
    pub(super) fn new(settings: &HeatSettings) -> Self {
        Self {
            misses: settings.misses_per_minute,
            refreshes: settings.refreshes_per_minute,
            tokens: settings.tokens,
            began: i64::MIN,
            used: HashMap::new(),
        }
    }

    /// Whether one more miss of a token is seen to.
    pub(super) fn miss(&mut self, token: &str, now: i64) -> bool {
        let most = self.misses;
        take(&mut self.of(token, now).0, most)
    }

    /// Whether one more refresh of a token is seen to.
    pub(super) fn refresh(&mut self, token: &str, now: i64) -> bool {
        let most = self.refreshes;
        take(&mut self.of(token, now).1, most)
    }

    fn of(&mut self, token: &str, now: i64) -> &mut (u32, u32) {
        // A clock that steps back begins a new minute, too.
        if !(0..MINUTE_MS).contains(&now.saturating_sub(self.began)) {
            self.began = now;
            self.used.clear();
        }
        let known = self.used.contains_key(token) || self.used.len() < self.tokens;
        self.used.entry(if known { token.to_owned() } else { OTHERS.to_owned() }).or_default()
    }
}

/// The name under which tokens beyond the limit are counted: no id of a token has a blank.
const OTHERS: &str = "all others";

fn take(used: &mut u32, most: u32) -> bool {
    *used = used.saturating_add(1);
    *used <= most
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_token_has_its_own_minute() {
        let mut allowance =
            Allowance { misses: 2, refreshes: 1, tokens: 2, began: i64::MIN, used: HashMap::new() };
        let mut misses = |token, now| allowance.miss(token, now);
        assert!(misses("a", 0) && misses("a", 1) && !misses("a", 2) && misses("b", 3));
        // Two tokens have their own; the third and fourth share one.
        assert!(misses("c", 4) && misses("d", 5) && !misses("c", 6));
        assert!(misses("a", MINUTE_MS));
        assert!(allowance.refresh("a", MINUTE_MS) && !allowance.refresh("a", MINUTE_MS + 1));
        assert!(allowance.refresh("a", 5));
    }
}
