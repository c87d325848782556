//! How the gateways' machines fare meanwhile: what `/v1/status` says once a second to operators.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::client::Gateway;
use crate::way::Format;

const STATUS: &str = "/v1/status";
const EVERY: Duration = Duration::from_secs(1);
/// Looks at one gateway: an hour of seconds. After as many, every second one is dropped, and looks get rarer.
const MOST_LOOKS: usize = 3_600;
/// Looks at the start that may tell nothing before it is given up.
const TRIES: usize = 3;

/// One gateway's machine over time. Columns have equal length.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerSeries {
    /// Its address.
    pub gateway: String,
    /// Its version, if it says so.
    pub version: Option<String>,
    /// Why nothing is known of its machine.
    pub silent: Option<String>,
    /// Seconds after the start.
    pub seconds: Vec<f64>,
    /// All cores together.
    pub cpu_percent: Vec<Option<f64>>,
    /// Bytes of the gateway's process.
    pub memory: Vec<Option<u64>>,
}

/// Looks at all gateways until it is told to stop.
pub async fn watch(gateways: &[Gateway], started: Instant, stop: &CancellationToken) -> Vec<ServerSeries> {
    let mut looking = JoinSet::new();
    for (number, gateway) in gateways.iter().enumerate() {
        let (gateway, stop) = (gateway.another().in_format(Format::Json), stop.clone());
        looking.spawn(async move { (number, look(&gateway, started, &stop).await) });
    }
    let mut all = looking.join_all().await;
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, series)| series).collect()
}

async fn look(gateway: &Gateway, started: Instant, stop: &CancellationToken) -> ServerSeries {
    let mut series = ServerSeries { gateway: gateway.base().to_owned(), ..ServerSeries::default() };
    let mut every = EVERY;
    let mut failed = 0;
    while failed < TRIES {
        let looked = tokio::select! {
            () = stop.cancelled() => break,
            looked = status(gateway) => looked,
        };
        match looked {
            Ok(status) => series.add(started.elapsed(), &status),
            Err(reason) => series.silent = Some(reason),
        }
        if series.cpu_percent.iter().all(Option::is_none) && series.memory.iter().all(Option::is_none) {
            failed += 1;
        }
        if series.seconds.len() >= MOST_LOOKS {
            series.thin_out();
            every *= 2;
        }
        // Either is reason enough to go on.
        let _ = tokio::time::timeout(every, stop.cancelled()).await;
    }
    series
}

async fn status(gateway: &Gateway) -> Result<Value, String> {
    let answer = gateway.get_once(STATUS).await.map_err(|error| error.to_string())?;
    if answer.status != StatusCode::OK {
        return Err(format!("{STATUS}: status {}", answer.status));
    }
    let body = answer.plain().map_err(|error| error.to_string())?;
    let status: Option<Value> = serde_json::from_slice(&body).ok();
    // Also what answers everything alike, to be compared with, has no status.
    status
        .filter(|status| status.get("gateway").is_some())
        .ok_or_else(|| format!("{STATUS} is no status of Hotshelf"))
}

impl ServerSeries {
    fn add(&mut self, elapsed: Duration, status: &Value) {
        self.version = status.get("version").and_then(Value::as_str).map(str::to_owned);
        let system = status.get("system").filter(|system| !system.is_null());
        self.silent =
            system.is_none().then(|| format!("{STATUS} tells it to operators only: give the token of one"));
        self.seconds.push((elapsed.as_secs_f64() * 1e3).round() / 1e3);
        self.cpu_percent.push(system.and_then(|system| system.get("cpu_percent")?.as_f64()));
        let memory = system.and_then(|system| system.get("process_memory")?.as_u64());
        self.memory.push(memory.filter(|bytes| *bytes > 0));
    }

    fn thin_out(&mut self) {
        fn every_second<T>(column: &mut Vec<T>) {
            let mut keep = false;
            column.retain(|_| {
                keep = !keep;
                keep
            });
        }
        every_second(&mut self.seconds);
        every_second(&mut self.cpu_percent);
        every_second(&mut self.memory);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operators_are_told_and_others_are_told_so() {
        let mut series = ServerSeries::default();
        series.add(Duration::from_secs(1), &json!({"version": "1.2", "system": null}));
        assert!(series.silent.as_ref().unwrap().contains("operators"));
        let system = json!({"cpu_percent": 12.5, "process_memory": 1000});
        series.add(Duration::from_secs(2), &json!({"version": "1.2", "system": system}));
        assert_eq!((series.silent.as_ref(), series.version.as_deref()), (None, Some("1.2")));
        assert_eq!(series.cpu_percent, [None, Some(12.5)]);
        assert_eq!(series.memory, [None, Some(1000)]);
        series.thin_out();
        assert_eq!(series.seconds, [1.0]);
    }
}
