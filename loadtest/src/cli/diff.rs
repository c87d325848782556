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
                        loadtest run --users 50 --json after.json\n  loadtest diff before.json after.json\n\n\
                        The reports are those that run and replay write with --json.")]
pub(super) struct DiffArgs {
    /// First report
    first: PathBuf,
    /// Second report
    second: PathBuf,
    /// How the comparison is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Compares two reports.
pub(super) fn diff(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let compared = compare(&read(&args.first)?, &read(&args.second)?);
    args.output.print(&compared, |compared| println!("{}", text(compared)))?;
    Ok(ExitCode::SUCCESS)
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
    match (figure.first, figure.second) {
        (Some(first), Some(second)) if (second - first).abs() > 1e-9 => {
            if (second > first) == figure.more_is_better { "better" } else { "worse" }
        }
        _ => "",
    }
}
