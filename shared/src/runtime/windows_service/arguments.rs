//! The commands `service …` as command lines have them. Only on Windows programs have them; documents name them everywhere.
#![allow(missing_docs, reason = "clap would take it for help where parts are flattened")]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::registration::service_name;

/// Run as a service of Windows
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  gateway service install --config C:\\Hotshelf\\gateway.toml\n  gateway service start\n  \
                  warmer service status --output json\n\nSettings are read again on `sc control NAME paramchange`.\n\
                  Exit codes: 0 done (status: it runs), 1 failed (status: it does not run), 64 wrong usage, 78 wrong settings."
)]
pub struct ServiceArgs {
    #[command(subcommand)]
    /// Which one.
    pub command: ServiceCommand,
}

#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Register it with the service manager, to start with the machine
    Install(Configured),
    /// Stop it and remove it from the service manager; folders and files stay
    Uninstall(Named),
    /// Start it, and wait until it runs
    Start(Named),
    /// Stop it, and wait until what is under way is finished
    Stop(Named),
    /// Tell how it is
    Status(Status),
    /// What the service manager starts; of no use in a terminal
    Run(Configured),
}

#[derive(Debug, Args)]
pub struct Named {
    /// Name of the service, for several of them on one machine
    #[arg(long, value_name = "NAME", value_parser = service_name)]
    pub name: Option<String>,
}

#[derive(Debug, Args)]
pub struct Configured {
    #[command(flatten)]
    pub named: Named,
    /// Settings file; later ones override earlier ones
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Folder of the services' logs and state, where settings name none [default: %ProgramData%\\Hotshelf]
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Status {
    #[command(flatten)]
    pub named: Named,
    /// Form of what is printed
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Output {
    /// A line
    #[default]
    Text,
    /// A JSON object
    Json,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::{Command, FromArgMatches as _};

    use super::*;
    use crate::runtime::windows_service::registration::{Folders, arguments};

    fn parsed<T: Into<std::ffi::OsString> + Clone>(
        line: impl IntoIterator<Item = T>,
    ) -> Result<ServiceArgs, clap::Error> {
        let matches = ServiceArgs::augment_args(Command::new("service")).try_get_matches_from(line)?;
        ServiceArgs::from_arg_matches(&matches)
    }

    #[test]
    fn what_is_registered_is_what_run_takes() {
        let folders = Folders::new("/data".into(), "a-1", false);
        let line = arguments("a-1", &folders, &["x y.toml".into(), "z.toml".into()]);
        let ServiceCommand::Run(run) = parsed(line).unwrap().command else { unreachable!() };
        assert_eq!((run.named.name.as_deref(), run.folder), (Some("a-1"), Some("/data".into())));
        assert_eq!(run.config, [PathBuf::from("x y.toml"), PathBuf::from("z.toml")]);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let told = parsed(["service", "start", "--name", "a/b"]).unwrap_err().to_string();
        assert!(told.contains("letters, digits"), "{told}");
    }
}
