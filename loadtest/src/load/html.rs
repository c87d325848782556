//! A report as one page that needs nothing else: tables as they are, and plots that a script draws when it is opened.
//!
//! The plots are uPlot's: 50 KB that are already in the repository for the gateway's page, fast with an hour of seconds,
//! and values are read under the pointer, which pictures made here would not allow.

use std::fmt::Write as _;

use super::report::{Latency, Report};

/// One copy in the repository, with its licence in its first line. A file, not code of the gateway's.
const UPLOT: &str = include_str!("../../../gateway/page/vendor/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("../../../gateway/page/vendor/uPlot.min.css");
const STYLE: &str = include_str!("html/style.css");
const PLOTS: &str = include_str!("html/plots.js");

/// Plots: the element, what it shows, and what to know about it.
const SHOWN: [(&str, &str, &str); 6] = [
    ("latency", "Latency over time", "All requests, from when each was due to the end of its answer."),
    ("routes", "Latency over time by kind of question", "99 % of the answers of each second were faster."),
    ("throughput", "Throughput and failures", ""),
    ("outcomes", "Where answers came from", "Shares of the answers of each second, by X-Cache."),
    ("distribution", "Distribution of latencies", "So many percent of the answers were faster."),
    (
        "servers",
        "The gateways' machines",
        "CPU is that of all cores of the machine, memory that of the gateway.",
    ),
];

/// Percentiles of the table.
const TABLE: [f64; 5] = [50.0, 90.0, 95.0, 99.0, 99.9];

/// A report as a page.
///
/// # Errors
/// If the report cannot be written as JSON.
pub fn page(report: &Report) -> serde_json::Result<String> {
    // Nothing within may end the script that it stands in.
    let json = serde_json::to_string(report)?.replace('<', "\\u003c");
    let title = format!("Load test, {}", when(report));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{UPLOT_STYLE}\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    page.push_str(&figures(report));
    page.push_str(&expectations(report));
    page.push_str(&routes(report));
    page.push_str(&failures(report));
    for (id, title, note) in SHOWN {
        let _ = write!(
            page,
            "<section class=\"plot\">\n<h2>{title}</h2>\n<p>{note}</p>\n<div id=\"{id}\"></div>\n</section>\n"
        );
    }
    page.push_str(&circumstances(report));
    let _ = write!(
        page,
        "<script type=\"application/json\" id=\"report\">{json}</script>\n<script>{UPLOT}</script>\n\
         <script>{PLOTS}</script>\n</body>\n</html>\n"
    );
    Ok(page)
}

fn when(report: &Report) -> String {
    let since = std::time::Duration::from_millis(report.started_at.unsigned_abs());
    let at = std::time::UNIX_EPOCH.checked_add(since).unwrap_or(std::time::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(at).to_string()
}

/// A text within a page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn figures(report: &Report) -> String {
    let totals = &report.totals;
    let percent = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2} %"));
    let ms = |percent| report.latency.at(percent).map_or("–".to_owned(), |ms| format!("{ms:.1} ms"));
    let early = if report.interrupted { " (ended early)" } else { "" };
    let all = [
        ("requests", totals.requests.to_string()),
        ("seconds", format!("{:.1}{early}", report.seconds)),
        ("right answers a second", format!("{:.1}", totals.per_second)),
        ("success", percent(Some(totals.success_percent))),
        ("hit", percent(totals.hit_percent)),
        ("stale", percent(totals.stale_percent)),
        ("p50", ms(50.0)),
        ("p99", ms(99.0)),
        ("wrong answers", totals.wrong.to_string()),
        ("missed", totals.missed.to_string()),
    ];
    let items: String = all.iter().map(|(name, value)| format!("<li><b>{value}</b>{name}</li>\n")).collect();
    format!("<ul class=\"figures\">\n{items}</ul>\n")
}

fn expectations(report: &Report) -> String {
    if report.expectations.is_empty() {
        return String::new();
    }
    let item = |expected: &super::report::Expected| {
        let class = if expected.met { "met" } else { "failed" };
        format!("<li class=\"{class}\">{}</li>\n", escaped(&expected.to_string()))
    };
    let items: String = report.expectations.iter().map(item).collect();
    format!("<h2>What was expected</h2>\n<ul>\n{items}</ul>\n")
}

fn routes(report: &Report) -> String {
    let mut rows = String::new();
    let totals = &report.totals;
    let all = ("all", totals.requests, totals.failures, &report.latency);
    let routes = report.routes.iter().map(|(kind, r)| (kind.as_str(), r.requests, r.failures, &r.latency));
    // Of one alone there is nothing to compare.
    let gateways = report.gateways.iter().filter(|_| report.gateways.len() > 1).map(|gateway| {
        (gateway.gateway.as_str(), gateway.part.requests, gateway.part.failures, &gateway.part.latency)
    });
    for (kind, requests, failures, latency) in routes.chain(gateways).chain([all]) {
        let _ = writeln!(
            rows,
            "<tr><td>{}</td><td>{requests}</td><td>{failures}</td>{}</tr>",
            escaped(kind),
            times(latency)
        );
    }
    let heads: String = TABLE.iter().map(|percent| format!("<th>p{percent}</th>")).collect();
    format!(
        "<h2>By kind of question and gateway, latencies in milliseconds</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>kind</th>\
         <th>requests</th><th>failed</th><th>mean</th>{heads}<th>max</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

fn times(latency: &Latency) -> String {
    let cell = |ms: Option<f64>| match ms.filter(|_| latency.count > 0) {
        Some(ms) => format!("<td>{ms:.2}</td>"),
        None => "<td>–</td>".to_owned(),
    };
    let percentiles: String = TABLE.iter().map(|percent| cell(latency.at(*percent))).collect();
    format!("{}{percentiles}{}", cell(Some(latency.mean)), cell(Some(latency.max)))
}

fn failures(report: &Report) -> String {
    if report.failures.is_empty() {
        return String::new();
    }
    let kinds: String =
        report.failures.iter().map(|(kind, n)| format!("<li>{}: {n}</li>\n", escaped(kind))).collect();
    let examples: String =
        report.examples.iter().map(|told| format!("<li><code>{}</code></li>\n", escaped(told))).collect();
    format!(
        "<h2>Failures</h2>\n<ul>\n{kinds}</ul>\n<p>The first ones:</p>\n<ul class=\"examples\">\n{examples}</ul>\n"
    )
}

fn circumstances(report: &Report) -> String {
    let here = &report.environment;
    let mut rows: Vec<(String, String)> =
        report.settings.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    rows.extend(report.servers.iter().map(|server| {
        let version = server.version.as_deref().unwrap_or("of unknown version");
        let silent = server.silent.as_ref().map_or(String::new(), |why| format!("; {why}"));
        (format!("gateway {}", server.gateway), format!("{version}{silent}"))
    }));
    let late = report.lateness.at(99.0).map_or("–".to_owned(), |ms| format!("99 % by at most {ms:.1} ms"));
    rows.extend(
        [
            ("sent late, which is in the latencies", late),
            ("load tester", here.version.clone()),
            ("its system", here.system.clone()),
            ("its processor", format!("{}, {} cores", here.processor, here.cpus)),
            ("its memory", format!("{} MiB", here.memory >> 20)),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    let rows: String = rows
        .iter()
        .map(|(name, value)| format!("<tr><td>{}</td><td>{}</td></tr>\n", escaped(name), escaped(value)))
        .collect();
    format!(
        "<h2>Settings and circumstances</h2>\n<div class=\"wide\"><table class=\"settings\"><tbody>\n{rows}</tbody></table></div>\n"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_a_gateway_says_cannot_break_the_page() {
        let evil = "</script><script>alert(1)</script>".to_owned();
        let report = Report {
            examples: vec![evil.clone()],
            failures: [(evil.clone(), 1)].into(),
            settings: [("path".to_owned(), evil)].into(),
            ..Report::default()
        };
        let page = page(&report).unwrap();
        assert_eq!(page.matches("</script>").count(), 3);
        assert!(!page.contains("<script>alert"));
        assert!(page.contains("Load test, 1970-01-01T00:00:00Z"));
        // Nothing is fetched.
        for from in ["src=", "href=", "@import", "url("] {
            assert!(!page.replace(UPLOT, "").contains(from), "{from}");
        }
    }
}
