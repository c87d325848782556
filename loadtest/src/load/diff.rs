//! Two runs beside each other.

use std::collections::BTreeSet;

use serde::Serialize;

use super::report::{Latency, Report};

/// Percentiles that are compared.
const COMPARED: [f64; 3] = [50.0, 95.0, 99.0];

/// What differs between two runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// Settings and circumstances that were not the same: name, first, second. Figures of such runs say less.
    pub circumstances: Vec<(String, String, String)>,
    /// Figures.
    pub figures: Vec<Figure>,
}

/// A figure of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// Which.
    pub name: String,
    /// Its unit.
    pub unit: &'static str,
    /// In the first run; null if it had none.
    pub first: Option<f64>,
    /// In the second run.
    pub second: Option<f64>,
    /// By how much the second is higher, in percent of the first.
    pub change_percent: Option<f64>,
    /// Whether more is better.
    pub more_is_better: bool,
    /// Kind of question that it is of; null for all.
    pub kind: Option<String>,
}

impl Figure {
    fn new(
        name: String,
        unit: &'static str,
        more_is_better: bool,
        (first, second): (Option<f64>, Option<f64>),
    ) -> Self {
        let change = first.zip(second).filter(|(first, _)| *first > 0.0);
        let change_percent = change.map(|(first, second)| (second / first - 1.0) * 100.0);
        Self { name, unit, first, second, change_percent, more_is_better, kind: None }
    }

    /// Whether it is the better (true) or the worse one, if it changed.
    #[must_use]
    pub fn is_better(&self) -> Option<bool> {
        let (first, second) = self.first.zip(self.second).filter(|(a, b)| (a - b).abs() > 1e-9)?;
        Some((second > first) == self.more_is_better)
    }

    /// Whether it became worse by more than so many percent of the first run's. What was nothing there is worse as soon
    /// as there is some.
    #[must_use]
    pub fn is_worse_than(&self, percent: f64) -> bool {
        self.is_better() == Some(false) && self.change_percent.is_none_or(|change| change.abs() > percent)
    }
}

fn at(latency: Option<&Latency>, percent: f64) -> Option<f64> {
    latency.filter(|latency| latency.count > 0)?.at(percent)
}

/// Compares two runs.
#[must_use]
pub fn compare(first: &Report, second: &Report) -> Comparison {
    let both = |of: fn(&Report) -> Option<f64>| (of(first), of(second));
    let mut figures = vec![
        Figure::new("right answers".to_owned(), "/s", true, both(|r| Some(r.totals.per_second))),
        Figure::new("success".to_owned(), "%", true, both(|r| Some(r.totals.success_percent))),
        Figure::new("hit".to_owned(), "%", true, both(|r| r.totals.hit_percent)),
        Figure::new("wrong".to_owned(), "", false, both(|r| Some(r.totals.wrong as f64))),
        Figure::new("missed".to_owned(), "", false, both(|r| Some(r.totals.missed as f64))),
        Figure::new("CPU of gateways".to_owned(), "%", false, both(cpu)),
    ];
    let kinds: BTreeSet<&String> = first.routes.keys().chain(second.routes.keys()).collect();
    for percent in COMPARED {
        let all = (at(Some(&first.latency), percent), at(Some(&second.latency), percent));
        figures.push(Figure::new(format!("p{percent}"), "ms", false, all));
    }
    for kind in kinds {
        let of = |report: &Report, percent| at(report.routes.get(kind).map(|route| &route.latency), percent);
        for percent in COMPARED {
            let both = (of(first, percent), of(second, percent));
            let figure = Figure::new(format!("{kind} p{percent}"), "ms", false, both);
            figures.push(Figure { kind: Some(kind.clone()), ..figure });
        }
    }
    Comparison { circumstances: circumstances(first, second), figures }
}

impl Comparison {
    /// Figures of all requests that became worse by more than so many percent. Those of single kinds of questions are of
    /// few requests, and differ from run to run.
    pub fn worse_than(&self, percent: f64) -> impl Iterator<Item = &Figure> {
        self.figures.iter().filter(move |figure| figure.kind.is_none() && figure.is_worse_than(percent))
    }
}

/// The mean over all looks at all gateways.
fn cpu(report: &Report) -> Option<f64> {
    let known: Vec<f64> =
        report.servers.iter().flat_map(|server| server.cpu_percent.iter().copied().flatten()).collect();
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

fn circumstances(first: &Report, second: &Report) -> Vec<(String, String, String)> {
    let names: BTreeSet<&String> = first.settings.keys().chain(second.settings.keys()).collect();
    let setting = |report: &Report, name: &String| report.settings.get(name).cloned().unwrap_or_default();
    let settings = names.into_iter().map(|name| (name.clone(), setting(first, name), setting(second, name)));
    let versions = |report: &Report| -> String {
        let versions: Vec<&str> =
            report.servers.iter().map(|server| server.version.as_deref().unwrap_or("?")).collect();
        versions.join(" ")
    };
    let told = |name: &str, of: &dyn Fn(&Report) -> String| (name.to_owned(), of(first), of(second));
    let others = [
        told("command", &|report| report.command.clone()),
        told("load tester", &|report| report.environment.version.clone()),
        told("gateways", &versions),
        told("system", &|report| report.environment.system.clone()),
        told("processor", &|report| report.environment.processor.clone()),
        told("cores", &|report| report.environment.cpus.to_string()),
        told("ended early", &|report| report.interrupted.to_string()),
    ];
    settings.chain(others).filter(|(_, first, second)| first != second).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::report::{PartReport, Totals};
    use super::*;

    fn report(ms: f64, users: &str) -> Report {
        let latency =
            Latency { count: 1, mean: ms, max: ms, percentiles: vec![(50.0, ms), (99.0, ms * 2.0)] };
        let route = PartReport { latency: latency.clone(), ..PartReport::default() };
        Report {
            settings: [("users".to_owned(), users.to_owned())].into(),
            totals: Totals { per_second: 100.0 / ms, success_percent: 100.0, ..Totals::default() },
            routes: [(format!("of {users}"), route)].into(),
            latency,
            ..Report::default()
        }
    }

    #[test]
    fn figures_stand_beside_each_other() {
        let compared = compare(&report(1.0, "30"), &report(1.5, "50"));
        assert_eq!(compared.circumstances, [("users".to_owned(), "30".to_owned(), "50".to_owned())]);
        let figure = |name: &str| compared.figures.iter().find(|figure| figure.name == name).unwrap();
        assert_eq!(figure("p50").change_percent, Some(50.0));
        assert_eq!((figure("p95").first, figure("p99").second), (None, Some(3.0)));
        assert_eq!((figure("of 30 p50").first, figure("of 30 p50").second), (Some(1.0), None));
        assert_eq!(figure("success").change_percent, Some(0.0));
        assert_eq!((figure("p50").is_better(), figure("success").is_better()), (Some(false), None));
        let worse = |percent| -> Vec<&str> {
            compared.worse_than(percent).map(|figure| figure.name.as_str()).collect()
        };
        assert_eq!((worse(20.0), worse(40.0)), (vec!["right answers", "p50", "p99"], vec!["p50", "p99"]));
        assert!(worse(50.0).is_empty());
        // Of nothing there is no percentage.
        let mut wrong = report(1.0, "30");
        wrong.totals.wrong = 1;
        assert_eq!(compare(&report(1.0, "30"), &wrong).worse_than(1_000.0).count(), 1);
        assert!(compare(&report(1.0, "30"), &report(1.0, "30")).circumstances.is_empty());
    }
}
