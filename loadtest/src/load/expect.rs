//! Expectations, such as `success>=99.9% p99<100ms hit>=90%`.

use std::fmt;
use std::str::FromStr;

use super::report::{Expected, Latency, PERCENTILES, Report};

/// What a report has to be like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectations(Vec<Expectation>);

#[derive(Clone, Debug, PartialEq)]
struct Expectation {
    text: String,
    figure: Figure,
    comparison: Comparison,
    limit: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Figure {
    Success,
    Hit,
    Stale,
    Requests,
    Failures,
    Missed,
    Wrong,
    PerSecond,
    /// Of all requests, or of one kind of question.
    Latency(Option<String>, Moment),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Mean,
    Max,
    Percentile(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    More,
    Less,
}

/// Why a text is no expectation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {reason}; write for example \"success>=99.9% p99<100ms hit>=90% overview.p50<5ms\"")]
pub struct ExpectError {
    text: String,
    reason: String,
}

/// Longer ones first, for `>=` begins with `>`.
const COMPARISONS: [(&str, Comparison); 4] = [
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::More),
    ("<", Comparison::Less),
];

impl Comparison {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::AtLeast => value >= limit,
            Self::AtMost => value <= limit,
            Self::More => value > limit,
            Self::Less => value < limit,
        }
    }
}

impl FromStr for Expectations {
    type Err = ExpectError;

    fn from_str(text: &str) -> Result<Self, ExpectError> {
        let parts = text.split(|c: char| c.is_whitespace() || c == ',').filter(|part| !part.is_empty());
        let all: Vec<Expectation> = parts.map(expectation).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(ExpectError { text: text.to_owned(), reason: "nothing is expected".to_owned() });
        }
        Ok(Self(all))
    }
}

fn expectation(text: &str) -> Result<Expectation, ExpectError> {
    let wrong = |reason: String| ExpectError { text: text.to_owned(), reason };
    let split = COMPARISONS.iter().find_map(|(sign, comparison)| {
        let (name, limit) = text.split_once(sign)?;
        Some((name, *comparison, limit))
    });
    let (name, comparison, limit) = split.ok_or_else(|| wrong("one of >= <= > < is missing".to_owned()))?;
    let figure = figure(name).ok_or_else(|| {
        let percentiles: Vec<String> = PERCENTILES.iter().skip(1).map(|p| format!("p{p}")).collect();
        wrong(format!(
            "{name:?} is not known; there are success, hit, stale, requests, failures, missed, wrong, rate, mean, max, {}, and \
             these latencies of a kind of question, as in overview.p99",
            percentiles.join(", ")
        ))
    })?;
    let limit = number(&figure, limit)
        .ok_or_else(|| wrong(format!("{limit:?} is no limit of it; {} is expected", figure.unit())))?;
    Ok(Expectation { text: text.to_owned(), figure, comparison, limit })
}

fn figure(name: &str) -> Option<Figure> {
    Some(match name {
        "success" => Figure::Success,
        "hit" => Figure::Hit,
        "stale" => Figure::Stale,
        "requests" => Figure::Requests,
        "failures" => Figure::Failures,
        "missed" => Figure::Missed,
        "wrong" => Figure::Wrong,
        "rate" => Figure::PerSecond,
        _ => match name.split_once('.') {
            // `p99.9` has a point, too.
            Some((kind, moment)) if !kind.starts_with('p') || kind == "products" => {
                Figure::Latency(Some(kind.to_owned()), self::moment(moment)?)
            }
            _ => Figure::Latency(None, moment(name)?),
        },
    })
}

fn moment(name: &str) -> Option<Moment> {
    match name {
        "mean" => Some(Moment::Mean),
        "max" => Some(Moment::Max),
        _ => {
            let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
            PERCENTILES.iter().find(|known| (**known - percent).abs() < 1e-9).map(|p| Moment::Percentile(*p))
        }
    }
}

fn number(figure: &Figure, text: &str) -> Option<f64> {
    let scaled = |suffix: &str, scale: f64| {
        let value: f64 = text.strip_suffix(suffix)?.parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value * scale)
    };
    match figure {
        Figure::Success | Figure::Hit | Figure::Stale => scaled("%", 1.0),
        Figure::Latency(..) => scaled("ms", 1.0).or_else(|| scaled("us", 1e-3)).or_else(|| scaled("s", 1e3)),
        Figure::PerSecond => scaled("/s", 1.0),
        Figure::Requests | Figure::Failures | Figure::Missed | Figure::Wrong => scaled("", 1.0),
    }
}

impl Figure {
    const fn unit(&self) -> &'static str {
        match self {
            Self::Success | Self::Hit | Self::Stale => "a number with %",
            Self::Latency(..) => "a number with us, ms or s",
            Self::PerSecond => "a number with /s",
            Self::Requests | Self::Failures | Self::Missed | Self::Wrong => "a number",
        }
    }

    fn of(&self, report: &Report) -> Option<f64> {
        let totals = &report.totals;
        Some(match self {
            Self::Success => totals.success_percent,
            Self::Hit => totals.hit_percent?,
            Self::Stale => totals.stale_percent?,
            Self::Requests => totals.requests as f64,
            Self::Failures => totals.failures as f64,
            Self::Missed => totals.missed as f64,
            Self::Wrong => totals.wrong as f64,
            Self::PerSecond => totals.per_second,
            Self::Latency(kind, moment) => {
                let latency: &Latency = match kind {
                    None => &report.latency,
                    Some(kind) => &report.routes.get(kind)?.latency,
                };
                match moment {
                    _ if latency.count == 0 => return None,
                    Moment::Mean => latency.mean,
                    Moment::Max => latency.max,
                    Moment::Percentile(percent) => latency.at(*percent)?,
                }
            }
        })
    }
}

impl Expectations {
    /// What came of each.
    #[must_use]
    pub fn judge(&self, report: &Report) -> Vec<Expected> {
        let judge = |expectation: &Expectation| {
            let value = expectation.figure.of(report);
            let met = value.is_some_and(|value| expectation.comparison.holds(value, expectation.limit));
            Expected { text: expectation.text.clone(), value, met }
        };
        self.0.iter().map(judge).collect()
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.met { "met" } else { "FAILED" };
        match self.value {
            Some(value) => write!(f, "{verdict}: {}, is {}", self.text, (value * 1e3).round() / 1e3),
            None => write!(f, "{verdict}: {}, for which there is no figure", self.text),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::report::{PartReport, Totals};
    use super::*;

    fn report() -> Report {
        let latency = |ms: f64| Latency {
            count: 10,
            mean: ms / 2.0,
            max: ms * 10.0,
            percentiles: PERCENTILES.into_iter().map(|percent| (percent, ms)).collect(),
        };
        let route = PartReport { latency: latency(3.0), ..PartReport::default() };
        Report {
            totals: Totals {
                requests: 1_000,
                failures: 1,
                success_percent: 99.9,
                hit_percent: Some(80.0),
                per_second: 50.0,
                ..Totals::default()
            },
            latency: latency(20.0),
            routes: [("products".to_owned(), route)].into(),
            ..Report::default()
        }
    }

    fn met(text: &str) -> Vec<bool> {
        text.parse::<Expectations>().unwrap().judge(&report()).iter().map(|expected| expected.met).collect()
    }

    #[test]
    fn figures_are_compared_with_their_limits() {
        assert_eq!(met("success>=99.9% p99<100ms hit>=90%"), [true, true, false]);
        assert_eq!(met("p99.9<20ms,p99.9<=20ms mean<0.01001s max>199999us"), [false, true, true, true]);
        assert_eq!(met("products.p99<5ms products.p99.9<3ms trend.p50<1s"), [true, false, false]);
        assert_eq!(
            met("rate>49/s failures<=1 missed<=0 wrong<1 requests>1000"),
            [true, true, true, true, false]
        );
        // No document was asked for: whether they would hit cannot be told.
        let none = "stale<=100%".parse::<Expectations>().unwrap().judge(&report());
        assert_eq!(none[0].to_string(), "FAILED: stale<=100%, for which there is no figure");
        let hit = "hit>=90%".parse::<Expectations>().unwrap().judge(&report());
        assert_eq!(hit[0].to_string(), "FAILED: hit>=90%, is 80");
    }

    #[test]
    fn what_is_no_expectation_says_why() {
        for (text, reason) in [
            ("", "nothing"),
            ("p99", "missing"),
            ("p98<1ms", "not known"),
            ("speed>1", "not known"),
            ("p99<100", "us, ms or s"),
            ("success>=x%", "%"),
            ("success>=NaN%", "%"),
            ("hit>=0.9", "%"),
        ] {
            let error = text.parse::<Expectations>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
