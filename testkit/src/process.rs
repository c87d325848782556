//! A server process that dies with the test process, even if that is killed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait::holds_within;

/// A shell holds the server and reads a pipe whose other end only the test process has. When that process is gone,
/// however it went, the pipe ends, and the shell stops the server and removes its folder; the word `stop` stops it
/// and leaves the folder. When the server ends by itself, so does the shell.
const SUPERVISOR: &str = r#"
signal=$1; folder=$2; shift 2
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
(
  word=
  read -r word <&3
  trap '' TERM
  kill -s "$signal" "$server" 2>/dev/null
  [ "$word" = stop ] && exit
  while kill -0 "$server" 2>/dev/null; do sleep 0.02; done
  rm -rf "$folder"
) &
watcher=$!
wait "$server"
status=$?
kill "$watcher" 2>/dev/null
exit $status
"#;

/// Who a server runs as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Supervised {
    shell: Child,
    log: PathBuf,
}

impl Supervised {
    /// Starts `program` with `args`; its output goes to `log` in `folder`, and `signal` stops it.
    pub(crate) fn start(
        program: &Path,
        args: &[impl AsRef<OsStr>],
        folder: &Path,
        signal: &str,
        user: Option<User>,
    ) -> Self {
        let log = folder.join("log");
        let output =
            File::options().create(true).append(true).open(&log).expect("a log file in a temp folder");
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(SUPERVISOR).arg("supervisor").arg(signal).arg(folder).arg(program).args(args);
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(output.try_clone().expect("a second handle")).stderr(output);
        if let Some(user) = user {
            command.gid(user.gid).uid(user.uid);
        }
        let shell = command.spawn().expect("/bin/sh can be started");
        Self { shell, log }
    }

    /// The server once it answers; what it wrote if it ends, or does not answer within `limit`.
    pub(crate) async fn ready(
        mut self,
        limit: Duration,
        mut answers: impl AsyncFnMut() -> bool,
    ) -> Result<Self, String> {
        let mut failure = None;
        let settled = holds_within(limit, &mut async || {
            failure = self.ended();
            failure.is_some() || answers().await
        })
        .await;
        match failure {
            Some(failure) => Err(failure),
            None if settled => Ok(self),
            None => Err(format!("no answer within {limit:?}")),
        }
    }

    /// What it wrote, if it has ended.
    fn ended(&mut self) -> Option<String> {
        let status = self.shell.try_wait().ok().flatten()?;
        Some(format!("{status}: {}", std::fs::read_to_string(&self.log).unwrap_or_default()))
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.shell.stdin.take() {
            let _ = pipe.write_all(b"stop\n");
        }
        let _ = self.shell.wait();
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
