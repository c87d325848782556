//! What the service manager of Windows is asked to do with a service.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceExitCode,
    ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState,
    ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::Daemon;
use super::registration::{self, Folders, ServiceStatus, account, arguments};
use crate::config::process_environment;

/// How long a service may take to start or stop; stopping waits for what is under way, within the limits of the settings.
const LIMIT: Duration = Duration::from_secs(180);
/// Time between two looks at a service that starts or stops.
const LOOK: Duration = Duration::from_millis(100);
/// After how long a service that failed is started again: the first time, the second time, and from then on.
const AGAIN_AFTER: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(60)];
/// After so long without a failure the next one is the first one again.
const FORGET_FAILURES: Duration = Duration::from_secs(24 * 3600);

// Errors of Windows that have a remedy.
const ACCESS_DENIED: i32 = 5;
const ALREADY_RUNS: i32 = 1056;
const NOT_INSTALLED: i32 = 1060;
const MARKED_FOR_DELETION: i32 = 1072;
const EXISTS: i32 = 1073;
const NOT_RUNNING: i32 = 1062;

/// What could not be done with a service.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} the service {name}: {what}{remedy}")]
pub(super) struct ServiceError {
    doing: &'static str,
    name: String,
    what: String,
    remedy: String,
}

/// A service, and what is done with it for whom.
#[derive(Clone, Copy)]
struct Doing<'a> {
    what: &'static str,
    name: &'a str,
    program: &'static str,
}

impl Doing<'_> {
    fn error(&self, what: impl Into<String>, remedy: impl Into<String>) -> ServiceError {
        let Self { what: doing, name, .. } = self;
        ServiceError { doing, name: (*name).to_owned(), what: what.into(), remedy: remedy.into() }
    }

    fn of_windows(&self, error: &windows_service::Error) -> ServiceError {
        let (name, program) = (self.name, self.program);
        let remedy = match code(error) {
            Some(ACCESS_DENIED) => "; open a terminal as administrator".to_owned(),
            Some(NOT_INSTALLED) => {
                format!("; install it: {program} service install --name {name} --config FILE")
            }
            Some(EXISTS) => format!("; uninstall it first: {program} service uninstall --name {name}"),
            Some(MARKED_FOR_DELETION) => {
                "; close what shows services (services.msc), and try again".to_owned()
            }
            _ => String::new(),
        };
        let text = match error {
            windows_service::Error::Winapi(error) => error.to_string(),
            other => other.to_string(),
        };
        self.error(text, remedy)
    }

    fn manager(&self, access: ServiceManagerAccess) -> Result<ServiceManager, ServiceError> {
        ServiceManager::local_computer(None::<&str>, access).map_err(|error| self.of_windows(&error))
    }

    fn open(&self, access: ServiceAccess) -> Result<Service, ServiceError> {
        let manager = self.manager(ServiceManagerAccess::CONNECT)?;
        manager.open_service(self.name, access).map_err(|error| self.of_windows(&error))
    }

    fn status(&self, service: &Service) -> Result<ServiceStatus, ServiceError> {
        let status = service.query_status().map_err(|error| self.of_windows(&error))?;
        let ended = status.current_state == ServiceState::Stopped;
        Ok(ServiceStatus {
            name: self.name.to_owned(),
            state: state(status.current_state),
            pid: status.process_id.filter(|pid| *pid != 0),
            exit_code: ended.then_some(match status.exit_code {
                ServiceExitCode::Win32(code) | ServiceExitCode::ServiceSpecific(code) => code,
            }),
        })
    }

    /// Waits until the service is in none of these states.
    async fn wait(&self, service: &Service, passing: &[&str]) -> Result<ServiceStatus, ServiceError> {
        let begun = Instant::now();
        loop {
            let status = self.status(service)?;
            if !passing.contains(&status.state) {
                return Ok(status);
            }
            if begun.elapsed() >= LIMIT {
                let what = format!("it is still {} after {} s", status.state, LIMIT.as_secs());
                return Err(self.error(what, "; see its log, or end its process"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn code(error: &windows_service::Error) -> Option<i32> {
    match error {
        windows_service::Error::Winapi(error) => error.raw_os_error(),
        _ => None,
    }
}

fn state(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Stopped => "stopped",
        ServiceState::StartPending => "starting",
        ServiceState::StopPending => "stopping",
        ServiceState::Running => "running",
        ServiceState::ContinuePending => "continuing",
        ServiceState::PausePending => "pausing",
        ServiceState::Paused => "paused",
    }
}

/// Registers a service and makes its folders; gives what is to be told.
pub(super) fn install<D: Daemon>(
    name: &str,
    files: &[PathBuf],
    folders: &Folders,
) -> Result<String, ServiceError> {
    let doing = Doing { what: "install", name, program: D::PROGRAM };
    let program = std::env::current_exe()
        .map_err(|error| doing.error(format!("the path of this program is not known: {error}"), ""))?;
    let manager = doing.manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let other = (name != D::SERVICE).then(|| format!(" ({name})"));
    let info = ServiceInfo {
        name: name.into(),
        display_name: format!("{}{}", D::DISPLAY_NAME, other.unwrap_or_default()).into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program.clone(),
        launch_arguments: arguments(name, folders, files),
        dependencies: Vec::new(),
        account_name: Some(account(name).into()),
        account_password: None,
    };
    let service = manager
        .create_service(&info, ServiceAccess::CHANGE_CONFIG | ServiceAccess::START)
        .map_err(|error| doing.of_windows(&error))?;
    let mut warnings = refine::<D>(&service);
    warnings.extend(make_folders(name, files, &program, folders));
    let mut told = format!(
        "installed {name}: starts with the machine, as {}, and logs to {} unless its settings say otherwise\n\
         start it now: {} service start{}",
        account(name),
        folders.log(name).display(),
        D::PROGRAM,
        if name == D::SERVICE { String::new() } else { format!(" --name {name}") },
    );
    for warning in warnings {
        told.push_str("\nwarning: ");
        told.push_str(&warning);
    }
    Ok(told)
}

/// What makes a service better than none; gives what Windows refused.
fn refine<D: Daemon>(service: &Service) -> Vec<String> {
    let action = |delay| ServiceAction { action_type: ServiceActionType::Restart, delay };
    let failure = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FORGET_FAILURES),
        reboot_msg: None,
        command: None,
        actions: Some(AGAIN_AFTER.map(action).to_vec()),
    };
    let steps = [
        ("its description", service.set_description(D::DESCRIPTION)),
        // After what it needs, which may be on the same machine.
        ("a delayed start with the machine", service.set_delayed_auto_start(true)),
        ("a new start after a failure", service.update_failure_actions(failure)),
        // An exit code other than 0 is a failure too, not only a crash.
        ("a new start after an exit code", service.set_failure_actions_on_non_crash_failures(true)),
        ("time to finish before the machine stops", service.set_preshutdown_timeout(LIMIT)),
    ];
    let refused = steps.into_iter().filter_map(|(what, outcome)| Some((what, outcome.err()?)));
    refused.map(|(what, error)| format!("Windows does not take {what}: {}", in_short(&error))).collect()
}

fn in_short(error: &windows_service::Error) -> String {
    match error {
        windows_service::Error::Winapi(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// Makes the folders and lets the service use them; gives what did not work.
fn make_folders(name: &str, files: &[PathBuf], program: &Path, folders: &Folders) -> Vec<String> {
    let mut warnings = Vec::new();
    for folder in folders.written() {
        if let Err(error) = std::fs::create_dir_all(folder) {
            warnings.push(format!("{} cannot be made: {error}", folder.display()));
        }
    }
    let reads = files.iter().map(PathBuf::as_path).chain([program]);
    let rights = folders.rights(name).into_iter().chain(reads.map(|file| registration::may_read(file, name)));
    for arguments in rights {
        if let Err(error) = icacls(&arguments) {
            let of = arguments.first().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
            warnings.push(format!("{} may not be able to use {of}: icacls: {error}", account(name)));
        }
    }
    warnings
}

/// Windows's own program for rights, which has no interface that is safe.
fn icacls(arguments: &[OsString]) -> io::Result<()> {
    let root = process_environment("SystemRoot").unwrap_or_else(|| r"C:\Windows".to_owned());
    let output = Command::new(Path::new(&root).join(r"System32\icacls.exe")).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {}", output.status, told.trim())))
}

/// Stops a service and removes it.
pub(super) async fn uninstall(name: &str, program: &'static str) -> Result<String, ServiceError> {
    let doing = Doing { what: "uninstall", name, program };
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE;
    let service = doing.open(access)?;
    end(&doing, &service).await?;
    service.delete().map_err(|error| doing.of_windows(&error))?;
    Ok(format!("uninstalled {name}; its folders and settings are still there"))
}

/// Starts a service and waits until it runs.
pub(super) async fn start(name: &str, program: &'static str, log: &Path) -> Result<String, ServiceError> {
    let doing = Doing { what: "start", name, program };
    let service = doing.open(ServiceAccess::QUERY_STATUS | ServiceAccess::START)?;
    match service.start::<&str>(&[]) {
        Err(error) if code(&error) == Some(ALREADY_RUNS) => {}
        outcome => outcome.map_err(|error| doing.of_windows(&error))?,
    }
    let status = doing.wait(&service, &["starting"]).await?;
    if status.is_running() {
        return Ok(status.text());
    }
    Err(doing.error(status.text(), format!("; see its log, {} unless another place was set", log.display())))
}

/// Stops a service and waits until it has.
pub(super) async fn stop(name: &str, program: &'static str) -> Result<String, ServiceError> {
    let doing = Doing { what: "stop", name, program };
    let service = doing.open(ServiceAccess::QUERY_STATUS | ServiceAccess::STOP)?;
    Ok(end(&doing, &service).await?.text())
}

/// How a service is.
pub(super) fn status(name: &str, program: &'static str) -> Result<ServiceStatus, ServiceError> {
    let doing = Doing { what: "look at", name, program };
    doing.status(&doing.open(ServiceAccess::QUERY_STATUS)?)
}

async fn end(doing: &Doing<'_>, service: &Service) -> Result<ServiceStatus, ServiceError> {
    // One that starts cannot be stopped yet.
    doing.wait(service, &["starting"]).await?;
    match service.stop() {
        Err(error) if code(&error) == Some(NOT_RUNNING) => {}
        outcome => drop(outcome.map_err(|error| doing.of_windows(&error))?),
    }
    doing.wait(service, &["running", "stopping"]).await
}
