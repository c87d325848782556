//! The gateway as a service: its pages on the admin listener, and what its service manager hears.

mod metrics;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use shared::config::{AdminSettings, Settings};
use shared::runtime::admin::{AdminListener, AdminPages};
use shared::runtime::{Heartbeat, ServiceManager, ServiceState};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::app::Front;
use crate::status::Status;

/// Time between two signs of life.
const BEAT: Duration = Duration::from_secs(1);
/// After so much silence the threads that serve count as hanging.
const HANGS: Duration = Duration::from_secs(30);

/// What a gateway tells on its admin listener.
#[derive(Debug)]
pub struct Pages {
    front: Front,
    heartbeat: Heartbeat,
    /// Of the threads that accept.
    runtime: Handle,
}

impl Pages {
    /// Pages on a gateway whose threads beat; `runtime` is that of those that accept.
    #[must_use]
    pub fn new(front: Front, heartbeat: Heartbeat, runtime: Handle) -> Self {
        Self { front, heartbeat, runtime }
    }
}

impl AdminPages for Pages {
    fn metrics(&self) -> String {
        metrics::text(&self.front, &self.runtime)
    }

    fn live(&self) -> Result<String, String> {
        let silent = self.heartbeat.age().max(self.front.silent());
        if silent <= HANGS {
            return Ok("alive".to_owned());
        }
        Err(format!(
            "the threads that serve have been silent for {} s; restart the gateway, and report what its log says before that",
            silent.as_secs()
        ))
    }

    fn ready(&self) -> Result<String, String> {
        self.front.readiness()
    }

    fn status(&self) -> String {
        // Nothing of it cannot be written as JSON.
        serde_json::to_string_pretty(&Status::of(&self.front)).unwrap_or_default() + "\n"
    }
}

/// The admin listener and the service manager of a gateway that runs. Both end when it is dropped.
#[derive(Debug)]
pub struct Watch {
    manager: Arc<ServiceManager>,
    _listener: AdminListener,
    _tasks: JoinSet<Infallible>,
}

impl Watch {
    /// Starts both, within the runtime of the threads that accept. READY is told as soon as requests are welcome.
    ///
    /// # Errors
    /// If their threads cannot be started.
    pub fn start(front: &Front, settings: &Settings) -> anyhow::Result<Self> {
        let manager =
            ServiceManager::of_process().context("cannot start the thread that tells the service manager")?;
        let manager = Arc::new(manager);
        let heartbeat = Heartbeat::default();
        let admin = AdminSettings { listen: settings.gateway.admin_listen.clone(), ..settings.admin.clone() };
        let pages = Arc::new(Pages::new(front.clone(), heartbeat.clone(), Handle::current()));
        let listener = AdminListener::start(&admin, pages)
            .context("cannot start the thread of the admin listener; check the limit of threads")?;
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (manager, front) = (Arc::clone(&manager), front.clone());
            async move { manager.watch(|| service_state(&front)).await }
        });
        tasks.spawn(async move {
            loop {
                heartbeat.beat();
                tokio::time::sleep(BEAT).await;
            }
        });
        Ok(Self { manager, _listener: listener, _tasks: tasks })
    }

    /// Completes when `signal` does, and tells the service manager that the gateway stops.
    pub async fn stopping(&self, signal: impl Future<Output = ()>) {
        signal.await;
        self.manager.stopping();
    }
}

/// What is told runs on the threads that accept: that it is told shows that they do not hang.
fn service_state(front: &Front) -> ServiceState {
    let counters = front.counters();
    let text = match front.readiness() {
        Ok(text) => format!("{}; {} in flight", text.replace('\n', "; "), counters.in_flight()),
        Err(why) => format!("not ready: {why}"),
    };
    // A gateway without Redis and database has started all the same.
    ServiceState { ready: front.not_ready().is_none(), alive: front.silent() <= HANGS, text }
}
