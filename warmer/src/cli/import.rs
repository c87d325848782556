//! `warmer import`.

use std::process::ExitCode;

use clap::Args;
use shared::config::Settings;
use shared::source::postgres::PostgresSource;

use super::settings::Postgres;
use crate::import::{self, ImportArgs, Into, Target};

#[derive(Debug, Args)]
pub(super) struct Import {
    #[command(flatten)]
    pub(super) import: ImportArgs,
    #[command(flatten)]
    pub(super) settings: Postgres,
}

pub(super) async fn run(settings: &Settings, args: ImportArgs) -> anyhow::Result<ExitCode> {
    import::run(args, async |into| match into {
        Into::Folder(folder) => Ok(Target::Folder(folder)),
        Into::Postgres => Ok(Target::Postgres(PostgresSource::new(&settings.postgres)?)),
    })
    .await
}
