//! The same requests in several ways: every answer must be the recorded one, however it is asked for.

use serde::Serialize;

use crate::check::{CheckReport, CheckSettings, check};
use crate::client::{Gateway, GatewaySettings};
use crate::recording::Recorded;
use crate::way::Way;

/// What a check found in one way.
#[derive(Clone, Debug, Serialize)]
pub struct WayReport {
    /// The way.
    #[serde(flatten)]
    pub way: Way,
    /// Why nothing could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was found.
    #[serde(flatten)]
    pub report: CheckReport,
}

/// What a check found in all ways.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WaysReport {
    /// One after the other, as they were asked.
    pub ways: Vec<WayReport>,
}

impl WaysReport {
    /// Whether every answer was equal in every way.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.ways.iter().all(|way| way.report.is_clean())
    }
}

/// Replays all requests in one way after the other; `progress` hears of each answer. A way in which the gateway cannot
/// be reached is a row of the report, since others may do.
///
/// # Errors
/// When the address, the token or the authority cannot be used.
pub async fn check_ways(
    gateway: &GatewaySettings,
    ways: &[Way],
    recorded: &[Recorded],
    settings: &CheckSettings,
    mut progress: impl FnMut(),
) -> anyhow::Result<WaysReport> {
    let mut checked = WaysReport::default();
    for &way in ways {
        let gateway = Gateway::new(gateway, way)?;
        let found = match check(&gateway, recorded, settings, &mut progress).await {
            Ok(report) => WayReport { way, error: None, report },
            Err(error) => {
                let requests = recorded.len() as u64;
                let report = CheckReport { requests, unreachable: requests, ..CheckReport::default() };
                WayReport { way, error: Some(error.to_string()), report }
            }
        };
        checked.ways.push(found);
    }
    Ok(checked)
}
