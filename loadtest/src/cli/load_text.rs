//! What a load came to, as text.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};

use crate::load::report::{Latency, Report};
use crate::load::servers::ServerSeries;

/// Percentiles that the table shows.
const SHOWN: [f64; 4] = [50.0, 95.0, 99.0, 99.9];

/// Prints a report.
pub(super) fn print(report: &Report) {
    println!("{}", text(report));
}

fn text(report: &Report) -> String {
    let totals = &report.totals;
    let percent = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2} %"));
    let mut parts = vec![
        format!(
            "{} requests in {:.1} s{}: {:.1} right answers/s, success {}, hit {}, stale {}",
            totals.requests,
            report.seconds,
            if report.interrupted { " (ended early)" } else { "" },
            totals.per_second,
            percent(Some(totals.success_percent)),
            percent(totals.hit_percent),
            percent(totals.stale_percent),
        ),
        routes(report).to_string(),
    ];
    if let Some(late) = report.lateness.at(99.0).filter(|_| report.lateness.count > 0) {
        parts.push(format!(
            "sent late: 99 % by at most {late:.1} ms, the last by {:.1} ms; this is in the latencies",
            report.lateness.max
        ));
    }
    let mut counts = |name: &str, counts: &BTreeMap<String, u64>| {
        if !counts.is_empty() {
            let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            parts.push(format!("{name}: {}", counts.join(", ")));
        }
    };
    counts("outcomes", &report.outcomes);
    counts("failures", &report.failures);
    parts.extend(report.examples.iter().map(|example| format!("  {example}")));
    parts.extend(report.servers.iter().map(server));
    parts.extend(report.expectations.iter().map(ToString::to_string));
    parts.join("\n")
}

fn routes(report: &Report) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let header = ["", "requests", "failed", "bytes", "mean ms"].map(str::to_owned).into_iter();
    table.set_header(header.chain(SHOWN.map(|p| format!("p{p}"))).chain(["max".to_owned()]));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let totals = &report.totals;
    let all = (totals.requests, totals.failures, totals.bytes / totals.requests.max(1), &report.latency);
    let routes = report.routes.iter().map(|(kind, route)| {
        (kind.as_str(), (route.requests, route.failures, route.mean_bytes, &route.latency))
    });
    // Of one alone there is nothing to compare.
    let gateways = report.gateways.iter().filter(|_| report.gateways.len() > 1).map(|gateway| {
        let part = &gateway.part;
        (gateway.gateway.as_str(), (part.requests, part.failures, part.mean_bytes, &part.latency))
    });
    for (name, (requests, failures, bytes, latency)) in routes.chain(gateways).chain([("all", all)]) {
        let counts = [requests, failures, bytes].map(|count| count.to_string()).into_iter();
        table.add_row([name.to_owned()].into_iter().chain(counts).chain(times(latency)));
    }
    table
}

fn times(latency: &Latency) -> Vec<String> {
    if latency.count == 0 {
        return vec!["–".to_owned(); SHOWN.len() + 2];
    }
    let percentiles = SHOWN.map(|percent| latency.at(percent).unwrap_or_default());
    let all = [latency.mean].into_iter().chain(percentiles).chain([latency.max]);
    all.map(|ms| format!("{ms:.2}")).collect()
}

fn server(server: &ServerSeries) -> String {
    let version = server.version.as_ref().map_or(String::new(), |version| format!(" {version}"));
    let known: Vec<f64> = server.cpu_percent.iter().copied().flatten().collect();
    let memory = server.memory.iter().copied().flatten().max();
    let told = match (&server.silent, memory) {
        (Some(silent), _) => silent.clone(),
        (None, memory) => {
            let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
            let most = known.iter().copied().fold(0.0, f64::max);
            let memory = memory.map_or(String::new(), |bytes| format!(", memory up to {} MiB", bytes >> 20));
            format!("CPU {mean:.0} % in the mean, up to {most:.0} %{memory}")
        }
    };
    format!("gateway{version} {}: {told}", server.gateway)
}
