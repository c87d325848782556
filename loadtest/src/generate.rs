//! Order lines of invented stores in the shape of real ones, from a seed: the same settings give the same lines.
//!
//! Stores are independent of each other and made day by day, so that any amount can be written as a stream. What the
//! diagnosis looks for (loss orders, prices below cost, shortages, slow movers, first sales, falling margins, sudden
//! demand) occurs by itself, at about the rate at which it does in real shops.

use shared::model::{Day, Lines};

use self::catalogue::Catalogue;
use self::random::Random;

mod catalogue;
mod day;
mod names;
mod random;
mod shape;

/// Most stores that can be generated.
pub const MAX_STORES: u32 = 100_000;
/// Most days that can be generated.
pub const MAX_DAYS: u32 = 3_660;
/// Most lines of one store.
pub const MAX_LINES_PER_STORE: u64 = 100_000_000;

/// What to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateSettings {
    /// Number of stores.
    pub stores: u32,
    /// Number of days, all of them for every store.
    pub days: u32,
    /// Exactly so many lines per store over all days; without it, days of natural size (median about 1,000 lines).
    pub lines_per_store: Option<u64>,
    /// Another seed gives other data.
    pub seed: u64,
    /// Last day.
    pub last_day: Day,
}

/// Settings that cannot be generated: which one, its value and its limits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}; choose {limits}")]
pub struct GenerateError {
    setting: &'static str,
    value: String,
    limits: String,
}

impl GenerateSettings {
    fn validate(&self) -> Result<(), GenerateError> {
        let fault = |setting, value: String, limits: String| Err(GenerateError { setting, value, limits });
        if !(1..=MAX_STORES).contains(&self.stores) {
            return fault("stores", self.stores.to_string(), format!("1 to {MAX_STORES}"));
        }
        if !(1..=MAX_DAYS).contains(&self.days) {
            return fault("days", self.days.to_string(), format!("1 to {MAX_DAYS}"));
        }
        if let Some(lines) = self.lines_per_store
            && !(1..=MAX_LINES_PER_STORE).contains(&lines)
        {
            return fault("lines", lines.to_string(), format!("1 to {MAX_LINES_PER_STORE} per store"));
        }
        let first = Day::MIN.plus(self.days as i32 - 1);
        if !(first..=Day::MAX).contains(&self.last_day) {
            return fault("last day", self.last_day.to_string(), format!("{first} to {}", Day::MAX));
        }
        Ok(())
    }
}

/// What is fixed about a store.
#[derive(Clone, Debug)]
struct StoreProfile {
    store_id: String,
    name: String,
    city: &'static str,
    /// Relative to the median.
    size: f64,
}

/// Generates the lines of any store of the settings.
#[derive(Clone, Debug)]
pub struct Generator {
    settings: GenerateSettings,
}

impl Generator {
    /// A generator of these settings.
    ///
    /// # Errors
    /// When a setting is outside its limits.
    pub fn new(settings: &GenerateSettings) -> Result<Self, GenerateError> {
        settings.validate()?;
        Ok(Self { settings: settings.clone() })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &GenerateSettings {
        &self.settings
    }

    /// Id of store `index`, counted from 0.
    #[must_use]
    pub fn store_id(&self, index: u32) -> String {
        (1_001 + index).to_string()
    }

    /// The lines of store `index`, counted from 0: one block per day, ascending, the lines of one order next to each
    /// other. A block is empty only if fewer lines than days are asked for.
    #[must_use]
    pub fn store(&self, index: u32) -> StoreDays {
        let GenerateSettings { seed, days, last_day, .. } = self.settings;
        let mut random = Random::new(&[seed, u64::from(index), 1]);
        let place = (names::PLACES.len() as u32 * 7 + 1) * index + random.below(7) as u32;
        let profile = StoreProfile {
            store_id: self.store_id(index),
            name: format!(
                "{}{}",
                names::PLACES[place as usize % names::PLACES.len()],
                random.pick(names::PLACE_KINDS)
            ),
            city: random.pick(names::CITIES),
            size: shape::skewed(&mut random, shape::STORE_SIGMA),
        };
        let first_day = last_day.plus(1 - days as i32);
        let weights: Vec<f64> = (0..days as i32)
            .map(|offset| {
                let day = first_day.plus(offset);
                let weekend = day.since(day.monday()) >= 5;
                let rhythm = if weekend { shape::WEEKEND } else { 1.0 };
                // Every day has a stream of its own: a longer range does not change the sizes of its days.
                let mut random = Random::new(&[seed, u64::from(index), 4, day.0 as u64]);
                rhythm * shape::skewed(&mut random, shape::DAY_SIGMA)
            })
            .collect();
        let lines = match self.settings.lines_per_store {
            Some(total) => apportion(total, &weights),
            // 1.04 is the mean of the weekly rhythm.
            None => weights
                .iter()
                .map(|weight| (weight / 1.04 * profile.size * shape::LINES_PER_DAY).round() as u64)
                .collect(),
        };
        let per_day = lines.iter().sum::<u64>() as f64 / f64::from(days);
        let catalogue = Catalogue::new(seed, u64::from(index), per_day / shape::LINES_PER_DAY);
        StoreDays {
            catalogue,
            next_order: random.bits() % 8_000_000_000,
            first_day,
            lines,
            at: 0,
            seed: [seed, u64::from(index)],
            profile,
        }
    }
}

/// Splits `total` in proportion to the weights, exactly (largest remainder method).
fn apportion(total: u64, weights: &[f64]) -> Vec<u64> {
    let sum: f64 = weights.iter().sum();
    let ideal: Vec<f64> = weights.iter().map(|weight| total as f64 * weight / sum).collect();
    let mut parts: Vec<u64> = ideal.iter().map(|part| part.floor() as u64).collect();
    let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
    by_remainder.sort_by(|a, b| (ideal[*b] - ideal[*b].floor()).total_cmp(&(ideal[*a] - ideal[*a].floor())));
    let missing = total.saturating_sub(parts.iter().sum());
    for index in by_remainder.into_iter().cycle().take(missing as usize) {
        parts[index] += 1;
    }
    parts
}

/// The days of one store.
#[derive(Clone, Debug)]
pub struct StoreDays {
    profile: StoreProfile,
    catalogue: Catalogue,
    next_order: u64,
    first_day: Day,
    lines: Vec<u64>,
    at: usize,
    seed: [u64; 2],
}

impl StoreDays {
    /// Lines of all days together.
    #[must_use]
    pub fn total_lines(&self) -> u64 {
        self.lines.iter().sum()
    }
}

impl Iterator for StoreDays {
    type Item = Lines;

    fn next(&mut self) -> Option<Lines> {
        let count = *self.lines.get(self.at)?;
        let day = self.first_day.plus(self.at as i32);
        self.at += 1;
        let mut random = Random::new(&[self.seed[0], self.seed[1], 5, day.0 as u64]);
        Some(day::lines_of_day(
            &self.profile,
            &mut self.catalogue,
            &mut self.next_order,
            day,
            count as usize,
            &mut random,
        ))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.lines.len() - self.at;
        (left, Some(left))
    }
}

impl ExactSizeIterator for StoreDays {}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
