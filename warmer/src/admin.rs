//! The warmer's pages of the admin listener.

mod metrics;

use std::sync::Arc;
use std::time::Duration;

use shared::runtime::admin::AdminPages;
use shared::runtime::now_ms;
use tokio::runtime::Handle;

use crate::daemon::Writer;
use crate::publish::Reporter;

/// What a warmer tells on its admin listener.
#[derive(Debug)]
pub struct Pages {
    reporter: Arc<Reporter>,
    /// A loop that is silent for longer hangs.
    limit: Duration,
    runtime: Handle,
}

impl Pages {
    /// Pages on a daemon whose loop hangs when it is silent for longer than `limit`, and its runtime.
    #[must_use]
    pub fn new(reporter: Arc<Reporter>, limit: Duration, runtime: Handle) -> Self {
        Self { reporter, limit, runtime }
    }
}

impl AdminPages for Pages {
    fn metrics(&self) -> String {
        metrics::text(&self.reporter, &self.runtime)
    }

    fn live(&self) -> Result<String, String> {
        let silent = self.reporter.progress().health().silent_for();
        if silent <= self.limit {
            return Ok("alive".to_owned());
        }
        Err(format!(
            "the daemon's loop has not come round for {} s, and hangs after {} s; restart the warmer, and report what its log \
             says before that",
            silent.as_secs(),
            self.limit.as_secs()
        ))
    }

    fn ready(&self) -> Result<String, String> {
        self.reporter.progress().health().ready().map(|writer| match writer {
            Writer::This => "ready: this warmer writes".to_owned(),
            Writer::Other(owner) => format!("ready: standing by, {owner} writes"),
        })
    }

    fn status(&self) -> String {
        // Nothing of it cannot be written as JSON.
        serde_json::to_string_pretty(&self.reporter.status(now_ms())).unwrap_or_default() + "\n"
    }
}
