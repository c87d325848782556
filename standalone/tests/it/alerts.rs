//! Alerts, recorded figures and dashboard: sound, about metrics that exist, and each alert tested and explained.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

const RULES: &str = include_str!("../../../config/prometheus-rules.yml");
const CASES: &str = include_str!("../../../config/prometheus-rules-test.yml");
const DASHBOARD: &str = include_str!("../../../config/grafana-dashboard.json");
/// What documents the metrics: begin of their names, and the page with the table.
const SERVICES: [(&str, &str); 2] = [
    ("hotshelf_warmer_", include_str!("../../../docs/warmer-service.md")),
    ("hotshelf_gateway_", include_str!("../../../docs/gateway-service.md")),
];
/// Labels that Prometheus adds.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// A place of the repository.
fn place(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Metrics by name, with their labels, as the tables have them.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let mut metrics = BTreeMap::new();
    for (prefix, page) in SERVICES {
        for row in page.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [name, kind, labels, ..] = cells[..] else { continue };
            if !["gauge", "counter", "histogram"].contains(&kind) {
                continue;
            }
            let labels = labels.split(',').map(str::trim).filter(|label| !label.is_empty());
            let labels: BTreeSet<String> = labels.map(str::to_owned).collect();
            let name = format!("{prefix}{}", name.trim_matches('`'));
            if kind == "histogram" {
                for part in ["_bucket", "_sum", "_count"] {
                    metrics.insert(format!("{name}{part}"), labels.clone());
                }
            }
            metrics.insert(name, labels);
        }
    }
    assert!(metrics.len() > 80, "{}", metrics.len());
    metrics
}

/// Values of a key of the rules, one a line.
fn of_rules<'a>(key: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    RULES.lines().filter_map(move |line| line.trim_start_matches([' ', '-']).strip_prefix(key)).map(str::trim)
}

/// Names of metrics in a text, each with the labels that are selected by.
fn selected(text: &str) -> Vec<(&str, Vec<&str>)> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || "_:".contains(c);
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("hotshelf") {
        let begins = !rest[..at].ends_with(of_name);
        let name = &rest[at..];
        let (name, after) = name.split_at(name.find(|c| !of_name(c)).unwrap_or(name.len()));
        rest = after;
        if !begins || !name["hotshelf".len()..].starts_with(['_', ':']) {
            continue;
        }
        let labels = after.strip_prefix('{').map_or("", |inner| &inner[..inner.find('}').unwrap()]);
        // Odd parts are quoted.
        let labels = labels.split('"').step_by(2);
        let labels = labels.map(|label| label.trim_matches([',', ' ', '=', '~', '!']));
        found.push((name, labels.filter(|label| !label.is_empty()).collect()));
    }
    found
}

/// Fails unless all metrics in a text are documented or recorded.
fn all_exist(text: &str, place: &str) {
    let (documented, recorded) = (documented(), of_rules("record:").collect::<BTreeSet<_>>());
    let found = selected(text);
    assert!(found.len() > 50, "{place}: {found:?}");
    for (name, labels) in found {
        if recorded.contains(name) {
            continue;
        }
        let known = documented.get(name);
        let known = known.unwrap_or_else(|| panic!("{place}: no page has a metric {name} in its table"));
        for label in labels {
            assert!(known.contains(label) || ADDED.contains(&label), "{place}: {name} has no label {label}");
        }
    }
}

/// Runs `promtool`, which must find nothing wrong.
fn promtool(args: &[&str]) {
    let promtool = testkit::find_program("promtool", "prometheus");
    let output = Command::new(promtool).args(args).current_dir(place("config")).output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "promtool {}: {said}", args.join(" "));
}

#[test]
fn prometheus_takes_the_rules() {
    promtool(&["check", "rules", "prometheus-rules.yml"]);
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    promtool(&["test", "rules", "prometheus-rules-test.yml"]);
    let cases: Vec<&str> = CASES.split("\n  - name: ").skip(1).collect();
    for alert in of_rules("alert:") {
        let own = cases.iter().filter(|case| case.contains(&format!("alertname: {alert}\n")));
        let (fires, silent): (Vec<&str>, Vec<&str>) =
            own.copied().partition(|case| case.contains("exp_alerts:"));
        assert!(
            !fires.is_empty() && !silent.is_empty(),
            "{alert} needs a case that fires and one that does not"
        );
    }
}

#[test]
fn every_alert_says_how_urgent_it_is_and_what_to_do() {
    let alerts: Vec<&str> = of_rules("alert:").collect();
    assert!(alerts.len() >= 24, "{alerts:?}");
    let blocks: Vec<&str> = RULES.split("      - alert: ").skip(1).collect();
    for (alert, block) in alerts.iter().zip(blocks) {
        let urgency = ["{ severity: page }", "{ severity: ticket }"].iter().filter(|of| block.contains(*of));
        assert_eq!(urgency.count(), 1, "{alert}");
        let runbook = format!("          runbook: docs/operations.md#{}\n", alert.to_lowercase());
        for line in ["          summary: ", "          description: ", &runbook] {
            assert_eq!(block.matches(line).count(), 1, "{alert}: {line}");
        }
        let description = block.lines().find(|line| line.contains("description: ")).unwrap();
        assert!(description.contains("{{"), "{alert} tells no value: {description}");
    }
}

#[test]
fn every_alert_has_its_part_of_the_runbook_and_the_other_way_round() {
    let path = place("docs/operations.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let headings: BTreeSet<&str> = headings.map(|line| line.trim_start_matches('#').trim()).collect();
    let alerts: BTreeSet<&str> = of_rules("alert:").collect();
    let of_alerts =
        headings.into_iter().filter(|heading| heading.starts_with("Hotshelf") && !heading.contains(' '));
    assert_eq!(alerts, of_alerts.collect());
}

#[test]
fn rules_are_about_metrics_that_exist() {
    let without_comments = RULES.lines().filter(|line| !line.trim_start().starts_with('#'));
    all_exist(&without_comments.collect::<Vec<_>>().join("\n"), "prometheus-rules.yml");
}

#[test]
fn the_dashboard_is_about_metrics_that_exist() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries: Vec<&str> = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    all_exist(&queries.join("\n"), "grafana-dashboard.json");
    for query in queries {
        let of_gateways = query.matches("hotshelf_gateway_").count();
        assert!(query.matches("instance=~\"$instance\"").count() >= of_gateways, "{query}");
    }
}

#[test]
fn the_dashboard_can_be_imported_anywhere_and_its_panels_do_not_overlap() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let variables: Vec<&Value> = dashboard["templating"]["list"].as_array().unwrap().iter().collect();
    let named = |name: &str| variables.iter().any(|variable| variable["name"] == name);
    assert!(named("datasource") && named("instance"), "{variables:?}");
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut taken = BTreeSet::new();
    let mut rows = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24, "{title}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{title} lies over another panel");
        }
        if panel["type"] == "row" {
            rows.push(title);
            continue;
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for of in targets.iter().chain([panel]) {
            assert_eq!(of["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
    assert_eq!(rows, ["Overview", "Gateway", "Redis", "Warmer", "PostgreSQL", "Processes"]);
}

#[test]
fn names_and_labels_are_found() {
    let text = r#"sum(hotshelf_a_b{x="1",y!~"2|3"}) / hotshelf:c:d5m{job="hotshelf-no"} - xhotshelf_no - hotshelf_e"#;
    let expected =
        [("hotshelf_a_b", vec!["x", "y"]), ("hotshelf:c:d5m", vec!["job"]), ("hotshelf_e", vec![])];
    assert_eq!(selected(text), expected);
}
