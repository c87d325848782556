//! The gateway as a process of its own: without data, where `/livez` is 200 as soon as it listens, or over servers.

use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::wait_until;

const LIMIT: Duration = Duration::from_secs(60);
/// Where nothing listens.
const NOWHERE: [&str; 4] = ["--redis", "redis://127.0.0.1:1", "--postgres", "postgres://x@127.0.0.1:1/x"];

/// A running gateway; killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it by a shell: `before` comes before its name, and `socket` is its standard input.
    pub(crate) fn start(before: &str, args: &[&str], socket: Option<OwnedFd>) -> Self {
        Self::spawn(before, &[&NOWHERE, args].concat(), socket)
    }

    /// Starts it over servers.
    pub(crate) fn over(redis: &str, postgres: &str, args: &[&str]) -> Self {
        Self::spawn("", &[&["--redis", redis, "--postgres", postgres], args].concat(), None)
    }

    fn spawn(before: &str, args: &[&str], socket: Option<OwnedFd>) -> Self {
        let script = format!("{before} exec \"$@\"");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, "gateway", env!("CARGO_BIN_EXE_gateway")]).args(args);
        command.stdin(socket.map_or_else(Stdio::null, Stdio::from)).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, own) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                own.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, log }
    }

    /// What it wrote so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until it wrote this.
    pub(crate) async fn wrote(&self, text: &str) {
        wait_until(text, LIMIT, async || self.log().contains(text)).await;
    }

    /// The address after "listening".
    pub(crate) async fn address(&self) -> String {
        self.wrote("listening").await;
        let log = self.log();
        let line = log.lines().find(|line| line.contains("listening")).unwrap();
        let after = &line[line.find("127.0.0.1:").unwrap()..];
        after.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it ends; its exit code.
    pub(crate) async fn code(&mut self) -> Option<i32> {
        let mut code = None;
        wait_until("the gateway to end", LIMIT, async || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        })
        .await;
        code.unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
