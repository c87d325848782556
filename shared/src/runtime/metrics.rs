//! Metrics in Prometheus' text form, made from counts at the time of the scrape: a table of name, help, kind and value.

use prometheus::TextEncoder;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric as Proto, MetricFamily, MetricType};

use super::process::ProcessUse;

/// One row of the table: a metric with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    name: &'static str,
    help: &'static str,
    counter: bool,
    /// Values by label.
    samples: Vec<(Option<(&'static str, String)>, f64)>,
}

impl Metric {
    /// A count that only grows, until the process ends. `name` ends with `_total`, and names the unit.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, counter: true, samples: vec![(None, value as f64)] }
    }

    /// A count as [`Metric::counter`] for sums of fractions.
    #[must_use]
    pub fn counter_f64(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, counter: true, samples: vec![(None, value)] }
    }

    /// A value that comes and goes, in base units (seconds, bytes, 0 or 1).
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, counter: false, samples: vec![(None, value)] }
    }

    /// The same metric with values by a label instead. The label's values must be few and known beforehand.
    #[must_use]
    pub fn by<L: ToString>(
        mut self,
        label: &'static str,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> Self {
        self.samples = values.into_iter().map(|(of, value)| (Some((label, of.to_string())), value)).collect();
        self
    }

    fn family(&self, prefix: &str) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(format!("{prefix}{}", self.name));
        family.set_help(self.help.to_owned());
        family.set_field_type(if self.counter { MetricType::COUNTER } else { MetricType::GAUGE });
        family.set_metric(self.samples.iter().map(|sample| self.sample(sample)).collect());
        family
    }

    fn sample(&self, (label, value): &(Option<(&'static str, String)>, f64)) -> Proto {
        let label = label.as_ref().map(|(name, of)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(of.clone());
            pair
        });
        let mut proto = Proto::from_label(label.into_iter().collect());
        if self.counter {
            let mut counter = Counter::default();
            counter.set_value(*value);
            proto.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(*value);
            proto.set_gauge(gauge);
        }
        proto
    }
}

/// What every program tells: version and use of the machine.
#[must_use]
pub fn of_process() -> Vec<Metric> {
    let version = [(super::VERSION, 1.0)];
    let build = Metric::gauge("build_info", "Always 1; the label is the version of the program.", 1.0);
    let mut metrics = vec![build.by("version", version)];
    let Some(used) = ProcessUse::now() else { return metrics };
    metrics.extend([
        Metric::gauge("process_resident_memory_bytes", "Resident memory.", used.memory as f64),
        Metric::counter_f64(
            "process_cpu_seconds_total",
            "Processor time used since the process started.",
            used.cpu_ms as f64 / 1000.0,
        ),
        Metric::gauge(
            "process_start_time_seconds",
            "When the process started, seconds since 1970.",
            used.started as f64,
        ),
    ]);
    if let Some(open) = used.open_files {
        metrics.push(Metric::gauge("process_open_fds", "Open files and sockets.", open as f64));
    }
    metrics
}

/// Metrics as text, in the order given; each name begins with `prefix`. One without values is left out.
#[must_use]
pub fn text(prefix: &str, metrics: &[Metric]) -> String {
    let with_values = metrics.iter().filter(|metric| !metric.samples.is_empty());
    let families: Vec<MetricFamily> = with_values.map(|metric| metric.family(prefix)).collect();
    // It fails for families without a name or values only.
    TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
        tracing::warn!(error = %error, "metrics could not be written");
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_written_as_prometheus_reads_them() {
        let table = [
            Metric::counter("lines_read_total", "Lines \\ read.", 3),
            Metric::gauge("none", "No values.", 1.0).by("level", [("", 0.0); 0]),
            Metric::gauge("bytes", "Bytes.", 0.0).by("level", [("a\"b\n", 1.5), ("c", 2.0)]),
        ];
        let expected = "# HELP x_lines_read_total Lines \\\\ read.\n# TYPE x_lines_read_total counter\n\
                        x_lines_read_total 3\n# HELP x_bytes Bytes.\n# TYPE x_bytes gauge\n\
                        x_bytes{level=\"a\\\"b\\n\"} 1.5\nx_bytes{level=\"c\"} 2\n";
        assert_eq!(text("x_", &table), expected);
    }
}
