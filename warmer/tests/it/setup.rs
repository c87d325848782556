//! `warmer setup` as it is typed, on real servers.

mod daemon;
mod postgres;
mod redis;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What a command came to.
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl Told {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.error);
        self
    }

    #[track_caller]
    pub(crate) fn failed(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.error);
        for part in parts {
            assert!(self.error.contains(part), "{part}: {}", self.error);
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.error))
    }
}

/// Runs a warmer's command with nothing of this process's environment that matters.
pub(crate) async fn warmer(args: &[&str]) -> Told {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warmer"));
    command.args(args).stdin(Stdio::null());
    for name in ["HOTSHELF_REDIS_URL", "HOTSHELF_POSTGRES_URL", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    Told {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder of a test, and the passwords in it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn password(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("passwords").join(name)).unwrap().trim().to_owned()
    }

    /// `warmer setup` of a server at an address.
    pub(crate) async fn set_up(&self, server: &str, url: &str, more: &[&str]) -> Told {
        let (passwords, address) = (self.text("passwords"), format!("--{server}"));
        let mut args = vec!["setup", server, &address, url, "--passwords", &passwords];
        args.extend(more);
        warmer(&args).await
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
