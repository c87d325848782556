//! Metrics in Prometheus' text form, made from counts at the time of the scrape: a table of name, help, kind and value.

use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Proto, MetricFamily, MetricType,
};

use tokio::runtime::Handle;

use super::process::ProcessUse;

mod redis;

pub use redis::of_redis;

/// One row of the table: a metric with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    labels: Vec<(&'static str, String)>,
    value: Value,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(f64),
    Distribution(Distribution),
}

/// Values by size, for a histogram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// Upper bounds, ascending, each with the number of values up to it (those of lower bounds included).
    pub buckets: Vec<(f64, u64)>,
    /// How many there are, beyond the last bound too.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl Metric {
    fn new(name: &'static str, help: &'static str, kind: MetricType, samples: Vec<Sample>) -> Self {
        Self { name, help, kind, samples }
    }

    /// A count that only grows, until the process ends. `name` ends with `_total`, and names the unit.
    #[must_use]
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self::counter_f64(name, help, value as f64)
    }

    /// A count as [`Metric::counter`] for sums of fractions.
    #[must_use]
    pub fn counter_f64(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::new(name, help, MetricType::COUNTER, vec![Sample::plain(value)])
    }

    /// A value that comes and goes, in base units (seconds, bytes, 0 or 1).
    #[must_use]
    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::new(name, help, MetricType::GAUGE, vec![Sample::plain(value)])
    }

    /// Distributions by a label. The label's values must be few and known beforehand.
    #[must_use]
    pub fn histogram<L: ToString>(
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: impl IntoIterator<Item = (L, Distribution)>,
    ) -> Self {
        let samples = values.into_iter().map(|(of, value)| Sample {
            labels: vec![(label, of.to_string())],
            value: Value::Distribution(value),
        });
        Self::new(name, help, MetricType::HISTOGRAM, samples.collect())
    }

    /// The same metric with values by a label instead. The label's values must be few and known beforehand.
    #[must_use]
    pub fn by<L: ToString>(self, label: &'static str, values: impl IntoIterator<Item = (L, f64)>) -> Self {
        self.by_all([label], values.into_iter().map(|(of, value)| ([of], value)))
    }

    /// The same metric with values by several labels instead, as [`Metric::by`].
    #[must_use]
    pub fn by_all<L: ToString, const N: usize>(
        mut self,
        labels: [&'static str; N],
        values: impl IntoIterator<Item = ([L; N], f64)>,
    ) -> Self {
        let sample = |(of, value): ([L; N], f64)| Sample {
            labels: labels.into_iter().zip(of.iter().map(ToString::to_string)).collect(),
            value: Value::Number(value),
        };
        self.samples = values.into_iter().map(sample).collect();
        self
    }

    fn family(&self, prefix: &str) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(format!("{prefix}{}", self.name));
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(self.samples.iter().map(|sample| sample.proto(self.kind)).collect());
        family
    }
}

impl Sample {
    fn plain(value: f64) -> Self {
        Self { labels: Vec::new(), value: Value::Number(value) }
    }

    fn proto(&self, kind: MetricType) -> Proto {
        let labels = self.labels.iter().map(|(name, of)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value(of.clone());
            pair
        });
        let mut proto = Proto::from_label(labels.collect());
        match &self.value {
            Value::Number(value) if kind == MetricType::COUNTER => {
                let mut counter = Counter::default();
                counter.set_value(*value);
                proto.set_counter(counter);
            }
            Value::Number(value) => {
                let mut gauge = Gauge::default();
                gauge.set_value(*value);
                proto.set_gauge(gauge);
            }
            Value::Distribution(distribution) => proto.set_histogram(distribution.proto()),
        }
        proto
    }
}

impl Distribution {
    fn proto(&self) -> Histogram {
        let bucket = |(bound, count): &(f64, u64)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(*count);
            bucket
        };
        let mut histogram = Histogram::default();
        histogram.set_bucket(self.buckets.iter().map(bucket).collect());
        histogram.set_sample_count(self.count);
        histogram.set_sample_sum(self.sum);
        histogram
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
    if let Some(limit) = used.max_open_files {
        metrics.push(Metric::gauge("process_max_fds", "Limit of open files and sockets.", limit as f64));
    }
    if let Some(open) = used.open_files {
        metrics.push(Metric::gauge("process_open_fds", "Open files and sockets.", open as f64));
    }
    metrics
}

/// Tasks of these runtimes.
#[must_use]
pub fn of_tasks<'a>(runtimes: impl IntoIterator<Item = &'a Handle>) -> Metric {
    let alive: usize = runtimes.into_iter().map(|runtime| runtime.metrics().num_alive_tasks()).sum();
    Metric::gauge("tasks", "Asynchronous tasks that have not ended.", alive as f64)
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
            Metric::counter("asked_total", "Asked.", 0).by_all(["a", "b"], [(["x", "y"], 4.0)]),
            Metric::histogram(
                "took_seconds",
                "Time.",
                "of",
                [("z", Distribution { buckets: vec![(0.5, 1), (1.0, 3)], count: 4, sum: 9.5 })],
            ),
        ];
        let expected = "# HELP x_lines_read_total Lines \\\\ read.\n# TYPE x_lines_read_total counter\n\
                        x_lines_read_total 3\n# HELP x_bytes Bytes.\n# TYPE x_bytes gauge\n\
                        x_bytes{level=\"a\\\"b\\n\"} 1.5\nx_bytes{level=\"c\"} 2\n\
                        # HELP x_asked_total Asked.\n# TYPE x_asked_total counter\n\
                        x_asked_total{a=\"x\",b=\"y\"} 4\n\
                        # HELP x_took_seconds Time.\n# TYPE x_took_seconds histogram\n\
                        x_took_seconds_bucket{of=\"z\",le=\"0.5\"} 1\n\
                        x_took_seconds_bucket{of=\"z\",le=\"1\"} 3\n\
                        x_took_seconds_bucket{of=\"z\",le=\"+Inf\"} 4\n\
                        x_took_seconds_sum{of=\"z\"} 9.5\nx_took_seconds_count{of=\"z\"} 4\n";
        assert_eq!(text("x_", &table), expected);
    }
}
