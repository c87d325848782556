//! The process of a service: it hears what the service manager wants, and tells it how it is.

use std::process::ExitCode;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::service_dispatcher;

use crate::runtime::{logging, program, reload, shutdown};

/// How often a service that starts or stops shows that it goes on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// After how much silence while it starts or stops its manager may take it for dead.
const WAIT_HINT: Duration = Duration::from_secs(30);
/// Time that the service manager has to let go of a process that has ended its work.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// `ERROR_FAILED_SERVICE_CONTROLLER_CONNECT`: nobody but the service manager may start a service.
const NOT_BY_THE_MANAGER: i32 = 1063;

/// The one service of this process. What Windows calls is told nothing of whom it is called for.
static SERVICE: Service =
    Service { told: Mutex::new(Told::new()), changed: Condvar::new(), begun: Notify::const_new() };

struct Service {
    told: Mutex<Told>,
    changed: Condvar,
    /// It can be told.
    begun: Notify,
}

/// What its manager was told last.
struct Told {
    name: String,
    handle: Option<ServiceStatusHandle>,
    phase: Phase,
    checkpoint: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Stopping,
    Stopped(u32),
}

impl Told {
    const fn new() -> Self {
        Self { name: String::new(), handle: None, phase: Phase::Starting, checkpoint: 0 }
    }

    fn tell(&mut self) {
        let Some(handle) = &self.handle else { return };
        let (current_state, controls_accepted) = match self.phase {
            Phase::Starting => (ServiceState::StartPending, ServiceControlAccept::empty()),
            Phase::Running => (
                ServiceState::Running,
                ServiceControlAccept::STOP
                    | ServiceControlAccept::SHUTDOWN
                    | ServiceControlAccept::PRESHUTDOWN
                    | ServiceControlAccept::PARAM_CHANGE,
            ),
            Phase::Stopping => (ServiceState::StopPending, ServiceControlAccept::empty()),
            Phase::Stopped(_) => (ServiceState::Stopped, ServiceControlAccept::empty()),
        };
        let pending = matches!(self.phase, Phase::Starting | Phase::Stopping);
        self.checkpoint = if pending { self.checkpoint.wrapping_add(1) } else { 0 };
        let status = ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state,
            controls_accepted,
            exit_code: match self.phase {
                Phase::Stopped(code) if code != 0 => ServiceExitCode::ServiceSpecific(code),
                _ => ServiceExitCode::NO_ERROR,
            },
            checkpoint: self.checkpoint,
            wait_hint: if pending { WAIT_HINT } else { Duration::ZERO },
            process_id: None,
        };
        if let Err(error) = handle.set_service_status(status) {
            tracing::warn!(error = %error, "the service manager could not be told");
        }
    }
}

impl Service {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes from one of these phases to another one.
    fn go(&self, from: &[Phase], to: Phase) {
        let mut told = self.told();
        if from.contains(&told.phase) {
            told.phase = to;
            told.tell();
            self.changed.notify_all();
        }
    }

    /// Shows that a service that starts or stops goes on, until it has stopped.
    fn attend(&self) {
        let mut told = self.told();
        while !matches!(told.phase, Phase::Stopped(_)) {
            told = self.changed.wait_timeout(told, SIGN_OF_LIFE).unwrap_or_else(PoisonError::into_inner).0;
            if matches!(told.phase, Phase::Starting | Phase::Stopping) {
                told.tell();
            }
        }
    }
}

/// Whether this process is a service.
pub(in crate::runtime) fn is_service() -> bool {
    SERVICE.told().handle.is_some()
}

/// The service does its work.
pub(in crate::runtime) fn running() {
    SERVICE.go(&[Phase::Starting], Phase::Running);
}

/// The service finishes its work.
pub(in crate::runtime) fn stopping() {
    SERVICE.go(&[Phase::Starting, Phase::Running], Phase::Stopping);
}

/// Runs a daemon as the service of this name, from the moment when the service manager has begun with it.
///
/// # Errors
/// The exit code of a process that the service manager did not start.
pub(super) async fn run(name: &str, daemon: impl Future<Output = ExitCode>) -> Result<ExitCode, ExitCode> {
    name.clone_into(&mut SERVICE.told().name);
    let (end, mut ended) = oneshot::channel();
    let dispatch = {
        let name = name.to_owned();
        // Nobody waits for the outcome if the daemon has ended before.
        move || drop(end.send(service_dispatcher::start(name, service_main)))
    };
    if let Err(error) = std::thread::Builder::new().name("service".to_owned()).spawn(dispatch) {
        return Err(program::failed(&format!(
            "cannot start the thread of the service: {error}; check the limit of threads"
        )));
    }
    tokio::select! {
        () = SERVICE.begun.notified() => {}
        outcome = &mut ended => return Err(not_begun(outcome)),
    }
    let code = daemon.await;
    logging::finish();
    SERVICE.go(&[Phase::Starting, Phase::Running, Phase::Stopping], Phase::Stopped(number(code)));
    // The manager may also end the process as soon as it has heard of its end.
    let _ = tokio::time::timeout(LAST_WORDS, ended).await;
    Ok(code)
}

/// Called by Windows on a thread of its own; the service has ended when it returns.
extern "system" fn service_main(_count: u32, _arguments: *mut *mut u16) {
    let name = SERVICE.told().name.clone();
    // A function and no closure: the crate frees what a closure holds with the first control that stops, and the manager
    // may ask again after that.
    match service_control_handler::register(name, control) {
        Ok(handle) => {
            let mut told = SERVICE.told();
            told.handle = Some(handle);
            told.tell();
        }
        Err(error) => {
            let _ =
                program::failed(&format!("the service manager does not take the service's handler: {error}"));
        }
    }
    SERVICE.begun.notify_one();
    SERVICE.attend();
}

fn control(control: ServiceControl) -> ServiceControlHandlerResult {
    match control {
        ServiceControl::Stop => stop("stop control"),
        ServiceControl::Preshutdown | ServiceControl::Shutdown => stop("shutdown control"),
        ServiceControl::ParamChange => reload::request(),
        ServiceControl::Interrogate => {}
        _ => return ServiceControlHandlerResult::NotImplemented,
    }
    ServiceControlHandlerResult::NoError
}

fn stop(by: &'static str) {
    // First, so that no other control that stops comes: a second request would end the process at once.
    stopping();
    shutdown::request(by);
}

fn not_begun(outcome: Result<windows_service::Result<()>, oneshot::error::RecvError>) -> ExitCode {
    match outcome {
        Ok(Err(windows_service::Error::Winapi(error)))
            if error.raw_os_error() == Some(NOT_BY_THE_MANAGER) =>
        {
            program::wrong_usage(
                &"`service run` is what the service manager of Windows starts; use `service start`, or run it without `service`",
            )
        }
        Ok(Err(error)) => program::failed(&format!("the service manager cannot be reached: {error}")),
        Ok(Ok(())) | Err(_) => program::failed(&"the service manager did not begin with the service"),
    }
}

/// Windows is told a number, which an exit code does not give away.
fn number(code: ExitCode) -> u32 {
    (0..=u8::MAX).find(|number| ExitCode::from(*number) == code).map_or(1, u32::from)
}
