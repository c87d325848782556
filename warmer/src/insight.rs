//! What operators ask about heat and plan: `warmer hot`, `warmer plan`, `warmer explain`. They look at the state folder,
//! the access logs, Redis and the directory, and change none of them.

pub mod explain;
pub mod hot;
pub mod plan;

use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum;
use shared::access_log::{Event, Request};
use shared::cache::{Cache, Levels, Read, RedisCache};
use shared::config::Settings;
use shared::model::{Directory, RelativeAsk};
use shared::runtime::now_ms;
use shared::source::postgres::PostgresSource;

use crate::learned::Learned;
use crate::log_reader::{LogReader, Positions, ReaderSettings};
use crate::memory::Room;
use crate::plan::{Basis, Plan};
use crate::scope::{Extent, Scope};
use crate::warming::levels;
use shared::published::Budget;

/// Bytes of a log that are read at a time.
const BATCH_BYTES: usize = 16 << 20;

/// How a command writes what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Tables for people
    #[default]
    Text,
    /// One JSON document
    Json,
}

/// Hands over every request of the access logs from a position on.
///
/// # Errors
/// If a pattern is no glob.
fn read_logs(
    settings: &Settings,
    from: Positions,
    mut each: impl FnMut(&Request),
) -> anyhow::Result<Positions> {
    let mut reader_settings = ReaderSettings::new(settings.heat.logs.clone());
    reader_settings.max_files = settings.heat.max_files;
    let mut reader = LogReader::restore(reader_settings, from)?;
    loop {
        let batch = reader.poll(BATCH_BYTES, now_ms());
        for event in &batch.events {
            if let Event::Request(request) = event {
                each(request);
            }
        }
        if !batch.more {
            return Ok(reader.positions());
        }
    }
}

/// What was learned up to the last line of the logs.
fn learned_now(settings: &Settings) -> anyhow::Result<Learned> {
    let learned = Learned::open(settings);
    let (from, last_day) = learned.with(|state| (state.positions.clone(), state.last_day));
    let now = now_ms();
    let positions = read_logs(settings, from, |request| {
        learned.with(|state| _ = state.interest.record(request, last_day, now));
    })?;
    learned.with(|state| state.positions = positions);
    Ok(learned)
}

/// The caches of the settings, read only.
fn levels_of(settings: &Settings) -> anyhow::Result<Levels> {
    Ok(levels(settings, Cache::Redis(RedisCache::connect(&settings.redis)?)))
}

/// The directory in Redis; else that of the source.
async fn directory(settings: &Settings, levels: &Levels) -> anyhow::Result<Arc<Directory>> {
    match levels.read_directory().await {
        Read::Hit(directory) => Ok(Arc::new(directory)),
        Read::Miss => Ok(Arc::new(of_source(settings).await?)),
        Read::Unavailable => {
            let directory = of_source(settings).await;
            Ok(Arc::new(
                directory.context("redis does not answer (see redis.url), and neither does the source")?,
            ))
        }
    }
}

async fn of_source(settings: &Settings) -> anyhow::Result<Directory> {
    Ok(PostgresSource::new(&settings.postgres)?.directory().await?)
}

/// The plan that a warmer with these settings would make now.
async fn plan_now(
    settings: &Settings,
    levels: &Levels,
    learned: &Learned,
    directory: Arc<Directory>,
) -> anyhow::Result<(Plan, Scope)> {
    let extent = Extent::new(settings);
    let scope = Scope::new(directory, &extent);
    let kept = learned.with(|state| {
        let resolved = state.kept.iter().filter_map(|text| {
            let ask = text.parse::<RelativeAsk>().ok()?.absolute(scope.directory.last_day()?);
            ask.resolve(&scope.directory).ok().map(|query| query.canonical())
        });
        resolved.collect()
    });
    // What the running plan takes is part of what Redis holds.
    let planned = match levels.read_plan::<shared::published::PlanRecord>().await {
        Read::Hit(record) => record.bytes,
        Read::Miss | Read::Unavailable => 0,
    };
    let memory = levels.cache().memory().await.ok();
    let bytes = memory.map_or(settings.warm.budget, |memory| {
        Room::default().look(&memory, settings.warm.budget, planned).bytes
    });
    let budget = Budget {
        bytes,
        time_ms: u64::try_from(settings.warm.budget_time.as_millis()).unwrap_or(u64::MAX),
        answers: settings.warm.answers,
        hot_answers: settings.warm.hot_answers,
    };
    let plan = learned.with(|state| {
        crate::plan::plan(&Basis {
            scope: &scope,
            interest: &state.interest,
            costs: &state.costs,
            kept: &kept,
            hot_share: extent.hot_share,
            budget,
            now: now_ms(),
        })
    });
    Ok((plan, scope))
}
