//! `warmer import`: order files into PostgreSQL or a folder, as one transaction.

mod args;
mod confirm;
mod progress;
mod rejects;
mod sink;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use shared::source::files::{Batch, FileSummary, MappingChoice, OrderFile, Progress, ReadOptions};
use shared::source::import::ImportMode;
use tokio::sync::mpsc;

pub use args::{ImportArgs, Into, Output};
pub use sink::{Sink, Target};
pub use summary::Summary;

use progress::ProgressShow;
use rejects::RejectsFile;

/// Batches that may wait between reading and writing.
const AHEAD: usize = 2;

/// What the reading thread tells.
enum Read {
    Batch(Box<Batch>, Progress),
    Done(Box<FileSummary>),
}

/// Imports the files of `args`. `target` gives the place that `--into` names, connected where it must be.
///
/// Exit code 0: imported (or nothing to do); 1: not imported, because it was not confirmed.
///
/// # Errors
/// When a file cannot be read or the target cannot be written. Then the target is as before.
pub async fn run<F, Fut>(args: ImportArgs, target: F) -> anyhow::Result<ExitCode>
where
    F: FnOnce(Into) -> Fut,
    Fut: Future<Output = anyhow::Result<Target>>,
{
    // A wrong mapping or a missing file is said before anything is connected.
    args.mapping.resolve()?;
    let mut seen = std::collections::HashSet::new();
    for path in &args.files {
        let real = std::fs::canonicalize(path)
            .with_context(|| format!("cannot read {}; check the path", path.display()))?;
        // Its lines would count twice.
        anyhow::ensure!(seen.insert(real), "{} is given twice; name each file once", path.display());
    }
    if let Some(path) = &args.rejects {
        let input = std::fs::canonicalize(path).is_ok_and(|real| seen.contains(&real));
        anyhow::ensure!(!input, "--rejects {} is one of the files to import; name another", path.display());
    }
    let mut rejects = RejectsFile::create(args.rejects.as_deref())?;
    let mut sink = Sink::begin(target(args.into.clone()).await?).await?;
    let staged = stage(&args, &mut sink, &mut rejects).await;
    let mut summary = match staged {
        Ok(files) => Summary::new(files),
        Err(error) => {
            abandon(sink).await;
            return Err(error);
        }
    };
    summary.rejects_file = rejects.finish()?;
    if summary.accepted() == 0 {
        abandon(sink).await;
        summary.print(args.output)?;
        anyhow::bail!("no line was accepted, so nothing was imported; see the rejected rows");
    }
    let mode = if args.merge { ImportMode::Orders } else { ImportMode::StoreDays };
    let plan = match sink.plan(mode).await {
        Ok(plan) => plan,
        Err(error) => {
            abandon(sink).await;
            return Err(error.into());
        }
    };
    summary.set_plan(&plan);
    let confirmed = args.yes || confirm::shrinking(&plan, args.merge)?;
    if !confirmed {
        abandon(sink).await;
        summary.print(args.output)?;
        return Ok(ExitCode::FAILURE);
    }
    sink.commit().await?;
    summary.imported = true;
    summary.print(args.output)?;
    Ok(ExitCode::SUCCESS)
}

async fn abandon(sink: Sink) {
    if let Err(error) = sink.abandon().await {
        tracing::warn!(%error, "what was staged is not cleared, the next import clears it");
    }
}

/// Reads every file and stages its lines.
async fn stage(
    args: &ImportArgs,
    sink: &mut Sink,
    rejects: &mut RejectsFile,
) -> anyhow::Result<Vec<FileSummary>> {
    let mut summaries = Vec::with_capacity(args.files.len());
    let options = ReadOptions {
        xlsx_limit: args.xlsx_limit.as_u64(),
        xlsx_unpacked_limit: args.xlsx_unpacked_limit.as_u64(),
        ..ReadOptions::default()
    };
    for path in &args.files {
        let mut show = ProgressShow::new(path);
        let (sender, mut batches) = mpsc::channel(AHEAD);
        let reading = {
            let (path, mapping) = (path.clone(), args.mapping.clone());
            tokio::task::spawn_blocking(move || read(&path, &mapping, &options, &sender))
        };
        while let Some(message) = batches.recv().await {
            match message {
                Read::Batch(batch, progress) => {
                    rejects.write(path, &batch.rejects)?;
                    if !batch.lines.is_empty() {
                        sink.write(&batch.lines).await?;
                    }
                    show.update(progress);
                }
                Read::Done(summary) => summaries.push(*summary),
            }
        }
        reading.await.context("reading stopped unexpectedly")??;
        show.finish();
    }
    Ok(summaries)
}

/// Reads a file on a blocking thread, as far ahead as the channel allows.
fn read(
    path: &PathBuf,
    mapping: &MappingChoice,
    options: &ReadOptions,
    batches: &mpsc::Sender<Read>,
) -> anyhow::Result<()> {
    let mut file = OrderFile::open(Path::new(path), mapping, options)?;
    while let Some(batch) = file.next_batch()? {
        if batches.blocking_send(Read::Batch(Box::new(batch), file.progress())).is_err() {
            return Ok(());
        }
    }
    // Without a receiver the import has failed already.
    let _ = batches.blocking_send(Read::Done(Box::new(file.into_summary())));
    Ok(())
}
