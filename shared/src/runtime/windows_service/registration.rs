//! How a service of Windows is registered: its name, account and command line, its folders and who may use them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::Settings;

/// Longest name of a service: it is part of names of files.
const MAX_NAME: usize = 80;
/// Where Windows keeps what belongs to the machine, if the environment does not say.
const PROGRAM_DATA: &str = r"C:\ProgramData";
/// By their numbers, for names differ by language: administrators, and the system itself.
const ADMINISTRATORS: &str = "*S-1-5-32-544:(OI)(CI)F";
const SYSTEM: &str = "*S-1-5-18:(OI)(CI)F";

/// The name of a service as a command line gives it.
///
/// # Errors
/// What is wrong with it.
pub fn service_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= MAX_NAME && text.chars().all(fits) && !text.ends_with('.') {
        return Ok(text.to_owned());
    }
    Err(format!(
        "must have 1 to {MAX_NAME} letters, digits, \"-\", \"_\" and \".\", and begin with a letter or digit"
    ))
}

/// The account of a service: its own, made by Windows, without a password, with no more rights than any user.
#[must_use]
pub fn account(name: &str) -> String {
    format!(r"NT SERVICE\{name}")
}

/// What the service manager starts the program with. It starts it elsewhere and with variables of its own, so all paths have
/// to be absolute, and none is left to be found out.
#[must_use]
pub fn arguments(name: &str, folders: &Folders, files: &[PathBuf]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["service", "run", "--name", name].map(OsString::from).to_vec();
    arguments.extend(["--folder".into(), folders.base.clone().into_os_string()]);
    for file in files {
        arguments.extend(["--config".into(), file.clone().into_os_string()]);
    }
    arguments
}

/// The folders of a service whose settings name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// Of all of Hotshelf's services.
    pub base: PathBuf,
    /// Instead of `log.folder`; for all of them.
    pub logs: PathBuf,
    /// Instead of `warm.state`; each has one of its own, if it keeps any state.
    pub state: Option<PathBuf>,
}

impl Folders {
    /// Those of a service in the folder of all of them.
    #[must_use]
    pub fn new(base: PathBuf, name: &str, keeps_state: bool) -> Self {
        let state = keeps_state.then(|| base.join("state").join(name));
        Self { logs: base.join("logs"), state, base }
    }

    /// The folder of all of them if none is given; `program_data` is the variable of this name.
    #[must_use]
    pub fn default_base(program_data: Option<&str>) -> PathBuf {
        Path::new(program_data.unwrap_or(PROGRAM_DATA)).join("Hotshelf")
    }

    /// The log file of a service.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Gives settings that name no folders these.
    pub(crate) fn fill(&self, settings: &mut Settings) {
        settings.log.folder.get_or_insert_with(|| self.logs.clone());
        if settings.warm.state.is_none() {
            settings.warm.state.clone_from(&self.state);
        }
    }

    /// Those that the service writes to.
    pub fn written(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(&self.logs).chain(&self.state).map(PathBuf::as_path)
    }

    /// What icacls is to be run with, one after the other: nobody but administrators and the services gets at these folders,
    /// and each service writes where it has to.
    #[must_use]
    pub fn rights(&self, name: &str) -> Vec<Vec<OsString>> {
        let text = |text: &str| OsString::from(text);
        let base = vec![
            self.base.clone().into_os_string(),
            text("/inheritance:r"),
            text("/grant:r"),
            text(ADMINISTRATORS),
            text(SYSTEM),
        ];
        let writes = format!("{}:(OI)(CI)M", account(name));
        let mine = self.written().map(|folder| vec![folder.into(), text("/grant:r"), text(&writes)]);
        std::iter::once(base).chain(mine).collect()
    }
}

/// What icacls is to be run with so that a service may read a file.
#[must_use]
pub fn may_read(file: &Path, name: &str) -> Vec<OsString> {
    vec![file.into(), "/grant".into(), format!("{}:RX", account(name)).into()]
}

/// How a service is, as its manager says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Such as `running`, `stopped`, `starting`, `stopping`.
    pub state: &'static str,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// Of the program, or of Windows if that could not start it, once it has ended.
    pub exit_code: Option<u32>,
}

impl ServiceStatus {
    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// In one line.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { name, state, pid, exit_code } = self;
        let pid = pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
        let code = exit_code.map(|code| format!(", exit code {code}{}", meaning(code))).unwrap_or_default();
        format!("{name}: {state}{pid}{code}")
    }
}

/// Of the codes with which the programs end, and of those with which services do.
fn meaning(code: u32) -> &'static str {
    match code {
        0 => " (as asked)",
        1 => " (failed; its log says why)",
        64 => " (wrong usage: uninstall it and install it again)",
        78 => " (the settings do not fit; its log says which)",
        1067 => " (its process ended unexpectedly)",
        1077 => " (not started since it was installed or since the machine started)",
        _ => "",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn folders(program_data: &str) -> Folders {
        Folders::new(Folders::default_base(Some(program_data)), "n", true)
    }

    #[test]
    fn names_can_be_names_of_files() {
        for name in ["hotshelf-gateway", "a", "Gateway_2.shop"] {
            assert_eq!(service_name(name).unwrap(), name);
        }
        for name in ["", "a b", "a/b", r"a\b", "-a", "..", "a.", "ü", "a\"", &"x".repeat(81)] {
            service_name(name).unwrap_err();
        }
    }

    #[test]
    fn it_is_registered_with_its_name_and_all_files() {
        let files = [PathBuf::from(r"C:\Program Files\a.toml"), PathBuf::from("b.toml")];
        let run = ["service", "run", "--name", "n", "--folder", "/data/Hotshelf"].map(OsString::from);
        let configured = ["--config", r"C:\Program Files\a.toml", "--config", "b.toml"].map(OsString::from);
        assert_eq!(arguments("n", &folders("/data"), &files), [&run[..], &configured[..]].concat());
        assert_eq!(arguments("n", &folders("/data"), &[]), run);
    }

    #[test]
    fn folders_are_for_settings_that_name_none() {
        let mut settings = Settings::load(&[], &|_| None).unwrap();
        folders("/data").fill(&mut settings);
        assert_eq!(settings.log.folder.as_deref(), Some(Path::new("/data/Hotshelf/logs")));
        assert_eq!(settings.warm.state.as_deref(), Some(Path::new("/data/Hotshelf/state/n")));
        folders("/other").fill(&mut settings);
        assert_eq!(settings.log.folder.as_deref(), Some(Path::new("/data/Hotshelf/logs")), "as it was");
    }

    #[test]
    fn a_service_writes_its_own_folders_only() {
        let rights: Vec<String> = folders("/data")
            .rights("n")
            .iter()
            .map(|arguments| arguments.join(std::ffi::OsStr::new(" ")).into_string().unwrap())
            .collect();
        assert_eq!(
            rights,
            [
                "/data/Hotshelf /inheritance:r /grant:r *S-1-5-32-544:(OI)(CI)F *S-1-5-18:(OI)(CI)F",
                r"/data/Hotshelf/logs /grant:r NT SERVICE\n:(OI)(CI)M",
                r"/data/Hotshelf/state/n /grant:r NT SERVICE\n:(OI)(CI)M",
            ]
        );
        let without = Folders::new("/data".into(), "n", false);
        assert_eq!((without.written().count(), without.rights("n").len()), (1, 2));
        assert_eq!(may_read(Path::new("a.toml"), "n")[2], r"NT SERVICE\n:RX");
    }

    #[test]
    fn how_it_is_in_a_line_and_as_json() {
        let status = |state, pid, exit_code| ServiceStatus { name: "n".to_owned(), state, pid, exit_code };
        assert_eq!(status("running", Some(7), None).text(), "n: running, process 7");
        assert_eq!(
            status("stopped", None, Some(78)).text(),
            "n: stopped, exit code 78 (the settings do not fit; its log says which)"
        );
        assert!(status("running", None, None).is_running() && !status("starting", None, None).is_running());
        let json = serde_json::to_string(&status("stopped", None, Some(5))).unwrap();
        assert_eq!(json, r#"{"name":"n","state":"stopped","pid":null,"exit_code":5}"#);
    }
}
