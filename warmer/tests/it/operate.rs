//! The operators' commands as they are typed, on real servers.

mod flush;
mod inspect;
mod once;
mod tell;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use shared::cache::{Cache, Fence, Levels, Patience, Read, RedisCache};
use shared::config::Settings;
use shared::keys::{Keys, Slot};
use shared::source::postgres::SCHEMA;
use tempfile::TempDir;
use testkit::{KilledOnDrop, PostgresServer, RedisServer, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);
const PREFIX: &str = "op:1:";

/// 3 stores, 12 days, 6 orders a day; a store id may hold a comma.
const ROWS: &str = "INSERT INTO orders (order_id, store_id, store_name, ordered_at, channel, product_name, quantity, \
     list_price, paid_price, cost, gross_profit, stock) \
     SELECT 'o' || n, s, 'Store ' || s, timestamp '2026-03-01 10:00' + d * interval '1 day', \
     '自营', 'p' || n % 5, 1 + n % 3, 10, 8 + n % 2, 5, 3, n \
     FROM unnest(ARRAY['s1', 's2', 'a,b']) s, generate_series(0, 11) d, generate_series(1, 6) n";

struct Place {
    // Held so that it lives as long as the test.
    _server: RedisServer,
    client: tokio_postgres::Client,
    folder: TempDir,
    redis: RedisCache,
    cache: Cache,
    levels: Levels,
}

impl Place {
    async fn new() -> Self {
        let (url, client) = PostgresServer::shared().await.database_after(&[SCHEMA, ROWS]).await;
        let server = RedisServer::start().await;
        let folder = tempfile::tempdir().unwrap();
        // A cycle comes only when it is asked for, and changes are told by nobody.
        let text = format!(
            "[redis]\nurl = {:?}\nprefix = {PREFIX:?}\nconnect_timeout = \"10s\"\ncommand_timeout = \"10s\"\nbulk_timeout = \"10s\"\n\
             [postgres]\nurl = {url:?}\n[changes]\nmode = \"off\"\n\
             [warm]\ninterval = \"1h\"\nlease = \"3s\"\nhot_share = 0.3\n",
            server.url()
        );
        let file = folder.path().join("warmer.toml");
        std::fs::write(&file, text).unwrap();
        let settings = Settings::load(&[file], &|_| None).unwrap();
        let redis = RedisCache::connect(&settings.redis).unwrap();
        let cache = Cache::Redis(redis.clone());
        let levels = warmer::cli::levels(&settings, cache.clone());
        Self { _server: server, client, folder, redis, cache, levels }
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("warmer.toml")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_warmer"));
        command.arg(args[0]).arg("--config").arg(self.settings()).args(&args[1..]);
        command.env("USER", "tester").env_remove("SUDO_USER").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    async fn run(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// Runs a command that must succeed; what it prints.
    async fn done(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must succeed; the JSON that it prints.
    async fn json(&self, args: &[&str]) -> serde_json::Value {
        let text = self.done(&[args, &["--output", "json"]].concat()).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Runs a command that must fail with this code; what it says.
    async fn refused(&self, args: &[&str], code: i32) -> String {
        let output = self.run(args).await;
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
        stderr(&output)
    }

    /// A daemon that has warmed everything.
    async fn daemon(&self) -> KilledOnDrop {
        let log = std::fs::File::create(self.folder.path().join("daemon.log")).unwrap();
        let mut command = self.command(&["run"]);
        let running = KilledOnDrop(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        wait_until("the first cycle", PATIENCE, async || self.daemon_log().contains("cycle ended")).await;
        running
    }

    fn daemon_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("daemon.log")).unwrap()
    }

    fn keys(&self) -> &Keys {
        self.levels.keys()
    }

    async fn get(&self, key: &str) -> Option<String> {
        let slot = Slot { key: key.to_owned(), field: None };
        match self.cache.read(&[slot], Patience::Bulk).await.pop().unwrap() {
            Read::Hit(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Read::Miss => None,
            Read::Unavailable => panic!("redis does not answer"),
        }
    }

    /// How often a store's data changed, or (`None`) batches were written.
    async fn version(&self, store: Option<&str>) -> u64 {
        let key = store.map_or_else(|| self.keys().fleet_version(), |store| self.keys().store_version(store));
        self.get(&key).await.map_or(0, |text| text.parse().unwrap())
    }

    /// Keys whose name behind the prefix begins with this.
    async fn count(&self, begin: &str) -> usize {
        self.cache.scan(&format!("{PREFIX}{begin}"), 100_000).await.unwrap().len()
    }

    /// Another writer, which has the lease.
    async fn other_writer(&self, time: Duration) -> Fence {
        let (lease_key, fence_key) = self.keys().lease();
        let fence = Fence { lease_key, fence_key, owner: "elsewhere/7/x".to_owned() };
        self.cache.seize(&fence, time).await.unwrap();
        fence
    }

    async fn execute(&self, statement: &str) {
        self.client.batch_execute(statement).await.unwrap();
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
