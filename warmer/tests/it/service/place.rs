//! Servers, settings and processes of these tests.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use shared::cache::{Cache, Levels, RedisCache};
use shared::config::Settings;
use shared::keys::Keys;
use shared::runtime::ComputePool;
use shared::source::Source;
use shared::source::postgres::{PostgresSource, SCHEMA};
use tempfile::TempDir;
use testkit::{NotifySocket, PostgresServer, RedisServer, wait_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use warmer::warming::Warming;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// 4 stores, 12 days, 6 orders a day.
const ROWS: &str = "INSERT INTO orders (order_id, store_id, store_name, ordered_at, channel, product_name, quantity, \
     list_price, paid_price, cost, gross_profit, stock) \
     SELECT 'o' || n, 's' || s, 'Store ' || s, timestamp '2026-03-01 10:00' + d * interval '1 day', '', 'p' || n, 1, 10, 8, \
     5, 3, n FROM generate_series(1, 4) s, generate_series(0, 11) d, generate_series(1, 6) n";

/// Servers and a folder of one test.
pub(super) struct Place {
    pub(super) redis: RedisServer,
    postgres: String,
    folder: TempDir,
}

impl Place {
    pub(super) async fn new() -> Self {
        let (postgres, _) = PostgresServer::shared().await.database_after(&[SCHEMA, ROWS]).await;
        Self { redis: RedisServer::start().await, postgres, folder: tempfile::tempdir().unwrap() }
    }

    pub(super) fn manager(&self) -> NotifySocket {
        NotifySocket::new(self.folder.path())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the settings file; `more` comes after it, and overrides.
    pub(super) fn settings(&self, port: u16, more: &str) {
        let redis = self.redis.url();
        let text = format!(
            "[redis]\nurl = \"{redis}\"\ncommand_timeout = \"5s\"\n[postgres]\nurl = \"{}\"\n\
             [changes]\npoll_interval = \"1h\"\n[admin]\nlisten = \"127.0.0.1:{port}\"\n",
            self.postgres
        );
        std::fs::write(self.path("first.toml"), text).unwrap();
        std::fs::write(self.path("then.toml"), more).unwrap();
        std::fs::write(
            self.path("last.toml"),
            "[warm]\nstatus_interval = \"200ms\"\ninterval = \"1h\"\ndrain_timeout = \"5s\"\n",
        )
        .unwrap();
    }

    fn command(&self, command: &str) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_warmer"));
        process.arg(command).stdin(Stdio::null()).env_remove("NOTIFY_SOCKET");
        for name in ["first.toml", "then.toml", "last.toml"] {
            process.arg("--config").arg(self.path(name));
        }
        process
    }

    /// Starts a warmer.
    pub(super) fn start(&self, name: &str, manager: Option<&NotifySocket>) -> Warmer {
        let log = self.path(&format!("{name}.log"));
        let mut process = self.command("run");
        if let Some(manager) = manager {
            process.env("NOTIFY_SOCKET", manager.path()).env("WATCHDOG_USEC", "500000");
        }
        let process = process.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        Warmer { process, log }
    }

    /// Exit code and JSON of `warmer status`.
    pub(super) async fn status(&self) -> (i32, Value) {
        let mut process = self.command("status");
        process.args(["--output", "json"]);
        let output = tokio::task::spawn_blocking(move || process.output().unwrap()).await.unwrap();
        let shown = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), shown)
    }

    /// Settings for a daemon in this process.
    pub(super) fn in_process(&self) -> Settings {
        let mut settings = Settings::load(&[], &|_| None).unwrap();
        settings.redis.url = self.redis.url();
        settings.postgres.url.clone_from(&self.postgres);
        settings
    }

    /// What that daemon works with.
    pub(super) async fn warming(&self) -> Warming {
        let settings = self.in_process();
        let cache = Cache::Redis(RedisCache::connect(&settings.redis).unwrap());
        let rules = settings.rules.fingerprint();
        let levels =
            Levels::new(cache, Keys::new(&settings.prefix), rules, settings.ttl, settings.max_inflated);
        let source = Source::Postgres(PostgresSource::new(&settings.postgres).unwrap());
        Warming::new(&settings, source, levels, ComputePool::new(1, 8).unwrap())
    }
}

/// A warmer's process; killed when dropped.
pub(super) struct Warmer {
    process: Child,
    log: PathBuf,
}

impl Warmer {
    pub(super) fn id(&self) -> u64 {
        self.process.id().into()
    }

    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Sends a signal by name.
    pub(super) fn signal(&mut self, name: &str) {
        let line = format!("kill -{name} {}", self.process.id());
        assert!(Command::new("/bin/sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    }

    /// Its exit code.
    pub(super) async fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        wait_until("the end of the warmer", PATIENCE, async || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap().code()
    }
}

impl Drop for Warmer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(super) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Status and body of a page; `None` if nobody listens.
pub(super) async fn get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
    AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    AsyncReadExt::read_to_string(&mut stream, &mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// The text of `/metrics`; empty if nobody listens.
pub(super) async fn metrics(port: u16) -> String {
    get(port, "/metrics").await.map_or_else(String::new, |(_, text)| text)
}

/// The value of a metric without labels.
pub(super) async fn metric(port: u16, name: &str) -> f64 {
    let text = metrics(port).await;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("hotshelf_warmer_{name} ")));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
}

/// The whole answer of a page, without any runtime.
pub(super) fn get_blocking(port: u16, path: &str) -> String {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// As [`wait_until`], without any runtime.
#[allow(clippy::disallowed_methods, reason = "blocks no runtime: that is the point")]
pub(super) fn wait_blocking(what: &str, condition: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
