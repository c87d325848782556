//! `warmer setup` as it is typed, on real servers.

mod daemon;
mod postgres;
mod redis;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use testkit::RedisServer;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// What a command came to.
struct Told {
    code: i32,
    out: String,
    error: String,
}

impl Told {
    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.error);
        self
    }

    #[track_caller]
    fn failed(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.error);
        for part in parts {
            assert!(self.error.contains(part), "{part}: {}", self.error);
        }
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.error))
    }
}

/// Runs a warmer's command with nothing of this process's environment that matters.
async fn warmer(args: &[&str]) -> Told {
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
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn password(&self, name: &str) -> String {
        std::fs::read_to_string(self.path("passwords").join(name)).unwrap().trim().to_owned()
    }

    /// `warmer setup` of a server at an address.
    async fn set_up(&self, server: &str, url: &str, more: &[&str]) -> Told {
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

/// The first line of what Redis answers to each command, on one connection.
async fn redis_says(server: &RedisServer, commands: &[&str]) -> Vec<String> {
    let mut stream = BufReader::new(tokio::net::TcpStream::connect(server.address()).await.unwrap());
    let mut answers = Vec::new();
    for command in commands {
        stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        answers.push(answer.trim_end().to_owned());
    }
    answers
}
