//! `loadtest diff`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};

use super::Output;
use crate::load::diff::{Comparison, Figure, compare};
use crate::load::report::{FORM, Report};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  loadtest run --users 50 --json before.json\n  \
                        loadtest run --users 50 --json after.json\n  loadtest diff before.json after.json\n  \
                        loadtest diff before.json after.json --max-worse 20\n\n\
                        The reports are those that run and replay write with --json.")]
pub(super) struct DiffArgs {
    /// First report
    first: PathBuf,
    /// Second report
    second: PathBuf,
    /// The exit code is 1 if a figure of all requests became worse by more than so many percent
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    max_worse: Option<f64>,
    /// How the comparison is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.trim_end_matches('%').parse().map_err(|_| "a number is expected".to_owned())?;
    if (0.0..=1e6).contains(&percent) { Ok(percent) } else { Err("it is not from 0 to 1000000".to_owned()) }
}

/// Compares two reports.
pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let compared = compare(&read(&args.first)?, &read(&args.second)?);
    args.output.print(&compared, |compared| println!("{}", text(compared)))?;
    let Some(most) = args.max_worse else { return Ok(ExitCode::SUCCESS) };
    let mut code = ExitCode::SUCCESS;
    for figure in compared.worse_than(most) {
        let by = figure
            .change_percent
            .map_or("from nothing".to_owned(), |change| format!("by {:.1} %", change.abs()));
        eprintln!("WORSE: {} {by}, more than {most} %", figure.name);
        code = ExitCode::FAILURE;
    }
    Ok(code)
}

fn read(path: &Path) -> anyhow::Result<Report> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let report: Report = serde_json::from_slice(&bytes).with_context(|| {
        format!("{} is no report; take a file that `loadtest run --json FILE` wrote", path.display())
    })?;
    if report.v != FORM {
        bail!("{} has version {} of the form, and this program knows {FORM}", path.display(), report.v);
    }
    Ok(report)
}

fn text(compared: &Comparison) -> String {
    let mut lines: Vec<String> = compared
        .circumstances
        .iter()
        .map(|(name, first, second)| format!("not the same: {name}: {first} – {second}"))
        .collect();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["", "", "first", "second", "change", ""]);
    for column in table.column_iter_mut().skip(2).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
    for figure in compared.figures.iter().filter(|figure| figure.first.or(figure.second).is_some()) {
        let change = figure.change_percent.map_or(String::new(), |change| format!("{change:+.1} %"));
        let (first, second) = (number(figure.first), number(figure.second));
        table.add_row([
            figure.name.clone(),
            figure.unit.to_owned(),
            first,
            second,
            change,
            verdict(figure).to_owned(),
        ]);
    }
    lines.push(table.to_string());
    lines.join("\n")
}

/// In words, for who does not know which way is good.
fn verdict(figure: &Figure) -> &'static str {
    match figure.is_better() {
        Some(true) => "better",
        Some(false) => "worse",
        None => "",
    }
}
