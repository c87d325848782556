//! `warmer setup redis`.

use std::path::PathBuf;
use std::process::ExitCode;

use bytesize::ByteSize;
use clap::Args;
use shared::cache::RedisSettings;
use shared::config::Settings;

use super::{Logins, aim, own_password_file, told, write};
use crate::cli::{Output, settings};
use crate::setup::redis::settings::Profile;
use crate::setup::redis::{Options, run as set_up};

const EXAMPLES: &str = "\
Examples:
  warmer setup redis
      shows what would change, and changes nothing
  sudo warmer setup redis --apply
      sets it, makes both users, and their passwords in /etc/hotshelf/passwords
  warmer setup redis --redis redis://admin:PASSWORD@cache.example:6379 --profile users-500 --apply
  warmer setup redis --write /etc/hotshelf/redis
      redis.conf and users.acl, to start a server with

A second run says that there is nothing to change. The gateways' user can only read, and only what begins with redis.prefix. \
Refused where other programs keep keys in this Redis: they would be evicted, and lost with a restart.
Exit codes: 0 done or shown, 1 failed or refused, 64 wrong usage, 78 wrong settings.";

/// Set up Redis as Hotshelf's cache, with a user for the warmer and one for the gateways
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct SetupRedis {
    /// Change it; else it is only shown
    #[arg(long, conflicts_with = "write")]
    apply: bool,
    /// Write redis.conf and users.acl to this folder instead
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// How many users look at dashboards: decides on the memory, 1 GiB or (users-500) 2 GiB; without it, 1 GiB or what Redis has
    /// if that is more
    #[arg(long, value_enum)]
    profile: Option<Profile>,
    /// Memory of Redis instead of the profile's, such as 1536MiB
    #[arg(long, value_name = "SIZE")]
    maxmemory: Option<ByteSize>,
    #[command(flatten)]
    logins: Logins,
    /// Also where other programs keep keys in this Redis
    #[arg(long)]
    despite_foreign_keys: bool,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    pub(super) settings: settings::Redis,
}

pub(super) async fn run(settings: &Settings, args: SetupRedis) -> anyhow::Result<ExitCode> {
    let options = Options {
        users: args.logins.users(),
        passwords: args.logins.passwords,
        aim: aim(args.apply, args.write),
        profile: args.profile,
        maxmemory: args.maxmemory.map(|size| size.as_u64()),
        despite_foreign_keys: args.despite_foreign_keys,
    };
    let redis = RedisSettings {
        password_file: own_password_file(&args.settings, settings.redis.password_file.clone()),
        ..settings.redis.clone()
    };
    let report = set_up(&redis, &settings.prefix, settings.warm.budget, &options).await.map_err(told)?;
    write(args.output, &report, report.text(), report.changes())?;
    match report.problem {
        Some(problem) => Err(anyhow::anyhow!(problem)),
        None => Ok(ExitCode::SUCCESS),
    }
}
