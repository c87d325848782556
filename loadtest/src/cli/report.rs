//! What a check found, as text.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use shared::access_log::Outcome;

use crate::check::{CheckReport, Finding};
use crate::ways::WaysReport;

/// Requests that are shown for each way of several; what is wrong with more of them, a few show as well.
const SHOWN_PER_WAY: usize = 10;

/// Prints what a check found in one way.
pub(super) fn print(report: &CheckReport) {
    report.findings.iter().for_each(print_finding);
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let mut row = |name: &str, value: u64| {
        table.add_row([name.to_owned(), value.to_string()]);
    };
    row("requests", report.requests);
    row("equal", report.equal);
    row("different", report.different);
    row("failed", report.failed);
    row("unreachable", report.unreachable);
    row("differences of content", report.value_differences);
    row("differences of key order", report.key_order_differences);
    for (outcome, count) in &report.x_cache {
        row(&format!("X-Cache {outcome}"), *count);
    }
    println!("{table}\n{:.1} s", report.seconds);
}

fn print_finding(finding: &Finding) {
    println!("{}", finding.path);
    if let Some(failure) = &finding.failure {
        println!("  {failure}");
    }
    for difference in &finding.differences {
        println!("  {difference}");
    }
    if finding.more > 0 {
        println!("  and {} more", finding.more);
    }
}

/// Prints what a check found in several ways: what was wrong by way, then a row per way with its answers by `X-Cache`.
pub(super) fn print_ways(report: &WaysReport) {
    for way in &report.ways {
        if let Some(error) = &way.error {
            println!("{}: {error}\n", way.way);
        }
        if !way.report.findings.is_empty() {
            println!("{}:", way.way);
            way.report.findings.iter().take(SHOWN_PER_WAY).for_each(print_finding);
            let more = way.report.findings.len().saturating_sub(SHOWN_PER_WAY);
            if more > 0 {
                println!("and {more} more requests; this way alone, or --output json, shows them all");
            }
            println!();
        }
    }
    println!("{}", table(report));
    println!("{:.1} s", report.ways.iter().map(|way| way.report.seconds).sum::<f64>());
}

fn table(report: &WaysReport) -> Table {
    let rungs = rungs(report);
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let fixed = ["http", "format", "encoding", "requests", "equal", "different", "failed", "unreachable"];
    table.set_header(fixed.into_iter().chain(rungs.iter().map(String::as_str)));
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for way in &report.ways {
        let found = &way.report;
        let mut row: Vec<String> =
            [way.way.http.as_str(), way.way.format.as_str(), way.way.encoding.as_str()]
                .map(str::to_owned)
                .into();
        row.extend(
            [found.requests, found.equal, found.different, found.failed, found.unreachable]
                .map(|n| n.to_string()),
        );
        row.extend(rungs.iter().map(|rung| found.x_cache.get(rung).unwrap_or(&0).to_string()));
        table.add_row(row);
    }
    table
}

/// Where answers came from, from the top of the ladder down.
fn rungs(report: &WaysReport) -> Vec<String> {
    let counted = report.ways.iter().flat_map(|way| way.report.x_cache.keys());
    let sorted: BTreeMap<_, &String> =
        counted.map(|text| ((Outcome::from_header(text), text), text)).collect();
    sorted.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::way::{Format, Way};
    use crate::ways::WayReport;

    #[test]
    fn a_row_per_way_and_a_column_per_rung() {
        let way = |way, counts: &[(&str, u64)]| {
            let x_cache = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
            let report = CheckReport { requests: 80, equal: 80, x_cache, ..CheckReport::default() };
            WayReport { way, error: None, report }
        };
        let report = WaysReport {
            ways: vec![
                way(Way::default(), &[("source", 3), ("l3", 70), ("l2-compose; stale", 7)]),
                way(Way { format: Format::MessagePack, ..Way::default() }, &[("near", 80)]),
            ],
        };
        let text = table(&report).to_string();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|s| !s.is_empty()).collect())
            .collect();
        assert_eq!(lines[0][7..], ["unreachable", "near", "l3", "l2-compose; stale", "source"]);
        assert_eq!(lines[1], ["1.1", "json", "plain", "80", "80", "0", "0", "0", "0", "70", "7", "3"]);
        assert_eq!(lines[2], ["1.1", "msgpack", "plain", "80", "80", "0", "0", "0", "80", "0", "0", "0"]);
    }
}
