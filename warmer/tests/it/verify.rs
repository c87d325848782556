//! `warmer verify`: all is well on a set-up that `warmer setup` made; each deliberate fault fails exactly its own check,
//! and what the remedy says makes it right again.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use shared::runtime::now_ms;
use testkit::{KilledOnDrop, PostgresServer, RedisServer, postgres_client, wait_until};

use crate::setup::{Folder, Told, warmer};

const PATIENCE: Duration = Duration::from_secs(60);
const ROWS: &str = "INSERT INTO orders (order_id, store_id, ordered_at, product_name, paid_price) \
     SELECT 'o' || n, 's' || s, timestamp '2026-03-01 10:00' + d * interval '1 day', 'p', 8 \
     FROM generate_series(1, 3) s, generate_series(0, 9) d, generate_series(1, 4) n";
const LEASE_EXISTS: &str = "EXISTS hs:1:{warmer}:lease";
/// What a busy or small machine may make a warning of.
const OF_THE_MACHINE: [&str; 3] = ["host.memory", "host.state", "redis.latency"];

/// Servers that `warmer setup` made ready, settings, and a warmer that runs.
struct Place {
    folder: Folder,
    redis: RedisServer,
    postgres: PostgresServer,
    database: String,
    owner: tokio_postgres::Client,
    running: Option<KilledOnDrop>,
}

impl Place {
    async fn new() -> Self {
        let (folder, redis) = (Folder::new(), RedisServer::start().await);
        let postgres = PostgresServer::start().await;
        let database = postgres.fresh_database().await;
        folder.set_up("redis", &redis.url(), &["--apply"]).await.ok();
        folder.set_up("postgres", &database, &["--mode", "trigger", "--apply"]).await.ok();
        let owner = postgres_client(&database).await;
        let needs = format!("GRANT {} TO hotshelf_warmer, hotshelf_gateway", PostgresServer::PASSWORD_ROLE);
        owner.batch_execute(&needs).await.unwrap();
        owner.batch_execute(ROWS).await.unwrap();
        std::fs::write(folder.path("access-1.log"), "").unwrap();
        let mut place = Self { folder, redis, postgres, database, owner, running: None };
        place.settings("");
        place.start().await;
        place
    }

    /// Writes the settings; `more` is another file on top of them.
    fn settings(&self, more: &str) {
        let (folder, passwords) = (&self.folder, self.folder.text("passwords"));
        let mut text = String::new();
        let redis = self.redis.address();
        let postgres = self.database.replace("postgres@", "hotshelf_warmer@");
        write!(
            text,
            "[redis]\nurl = \"redis://hotshelf_warmer@{redis}\"\npassword_file = \"{passwords}/redis-warmer\"\n\
             command_timeout = \"10s\"\nslow_ping = \"30s\"\n\
             [postgres]\nurl = {postgres:?}\npassword_file = \"{passwords}/postgres-warmer\"\n[changes]\nmode = \"trigger\"\n\
             [warm]\nlease = \"6s\"\nstatus_interval = \"2s\"\ndrain_timeout = \"1s\"\nstate = {:?}\n\
             [admin]\nlisten = \"\"\n[heat]\nlogs = [{:?}]\n",
            folder.text("state"),
            folder.text("access*.log"),
        )
        .unwrap();
        std::fs::write(folder.path("warmer.toml"), text).unwrap();
        std::fs::write(folder.path("more.toml"), more).unwrap();
    }

    /// Starts a warmer, and waits until all is warm.
    async fn start(&mut self) {
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_warmer"));
        daemon.args(["run", "--config", &self.folder.text("warmer.toml")]);
        daemon.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::null());
        let log = File::create(self.folder.path("warmer.log")).unwrap();
        self.running = Some(KilledOnDrop(daemon.stderr(log).spawn().unwrap()));
        self.warm().await;
    }

    /// Waits until a warmer writes and has all stores ready.
    async fn warm(&self) {
        self.warm_since(0).await;
    }

    /// The same, by a cycle that began later than this, milliseconds since 1970.
    async fn warm_since(&self, time: i64) {
        let config = self.folder.text("warmer.toml");
        wait_until("a warm cache", PATIENCE, async || {
            let told = warmer(&["status", "--output", "json", "--config", &config]).await;
            let counts =
                if told.code == 0 { told.json()["warmers"][0]["counts"].clone() } else { Value::Null };
            let began = counts["last_cycle"]["began"].as_i64();
            began > Some(time) && counts["stores_ready"] == 3 && counts["waiting"] == 0
        })
        .await;
    }

    /// Stops it, and waits until nobody writes.
    async fn stop(&mut self) {
        self.running = None;
        let ended = async || self.redis.says(&[LEASE_EXISTS]).await == [":0"];
        wait_until("the end of the lease", PATIENCE, ended).await;
    }

    async fn sql(&self, statement: &str) {
        self.owner.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }

    async fn redis_does(&self, command: &str) {
        assert_eq!(self.redis.says(&[command]).await, ["+OK"], "{command}");
    }

    fn arguments(&self) -> [String; 7] {
        let (first, more) = (self.folder.text("warmer.toml"), self.folder.text("more.toml"));
        ["verify", "--output", "json", "--config", &first, "--config", &more].map(str::to_owned)
    }

    async fn verify(&self) -> Told {
        let arguments = self.arguments();
        warmer(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// The same, in a process that a shell makes ready: `"$@"` is the command.
    async fn verify_under(&self, shell: &str) -> Told {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", shell, "sh", env!("CARGO_BIN_EXE_warmer")])
            .args(self.arguments())
            .stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        Told {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn all_is_well(&self, after: &str) {
        let mut told = self.verify().await;
        // The warmer may have met the fault, too; then a cycle that goes well leaves it behind.
        if told.code == 0 && names(&told, "warn").contains("warmer.failures") {
            let since = now_ms();
            warmer(&["refresh", "--config", &self.folder.text("warmer.toml")]).await.ok();
            self.warm_since(since).await;
            told = self.verify().await;
        }
        assert!(is_well(&told), "{after}: {}", told.out);
    }
}

fn checks(told: &Told) -> Vec<Value> {
    told.json()["checks"].as_array().unwrap().clone()
}

/// Names of the checks that came out so.
fn names(told: &Told, outcome: &str) -> BTreeSet<String> {
    let checks = checks(told);
    let found = checks.iter().filter(|check| check["outcome"] == outcome);
    found.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

/// Whether nothing failed, and nothing is to be looked at that is not the machine's.
fn is_well(told: &Told) -> bool {
    let warns = names(told, "warn").into_iter().any(|name| !OF_THE_MACHINE.contains(&name.as_str()));
    told.code == 0 && names(told, "fail").is_empty() && !warns
}

/// Whether exactly this check failed, with a remedy that holds these words.
#[track_caller]
fn fails(told: &Told, name: &str, remedy: &str) {
    assert_eq!(told.code, 1, "{name}: {}\n{}", told.out, told.error);
    assert_eq!(names(told, "fail"), [name.to_owned()].into(), "{}", told.out);
    let check = checks(told).into_iter().find(|check| check["outcome"] == "fail").unwrap();
    assert!(check["remedy"].as_str().unwrap().contains(remedy), "{remedy:?} is not the remedy of {check}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_redis_fail_their_check_and_no_other() {
    let mut place = Place::new().await;
    place.all_is_well("setup").await;
    let (url, apply) = (place.redis.url(), ["--apply"]);

    let password = place.folder.path("passwords/redis-warmer");
    let right = std::fs::read(&password).unwrap();
    std::fs::write(&password, "wrong").unwrap();
    fails(&place.verify().await, "redis.reachable", "check user and password in redis.url");
    std::fs::write(&password, right).unwrap();
    place.all_is_well("the right password").await;

    for (fault, check, remedy) in [
        ("CONFIG SET maxmemory-policy noeviction", "redis.policy", "CONFIG SET maxmemory-policy allkeys-lru"),
        ("CONFIG SET maxmemory 0", "redis.memory", "CONFIG SET maxmemory 1gb"),
    ] {
        place.redis_does(fault).await;
        fails(&place.verify().await, check, remedy);
        place.redis_does(remedy).await;
        place.all_is_well(remedy).await;
    }
    for (fault, check) in [
        ("ACL SETUSER hotshelf_gateway +set", "redis.gateway_rights"),
        ("ACL SETUSER hotshelf_gateway -mget", "redis.gateway_rights"),
        ("ACL SETUSER hotshelf_warmer -hset", "redis.rights"),
    ] {
        place.redis_does(fault).await;
        fails(&place.verify().await, check, "warmer setup redis --apply");
        place.folder.set_up("redis", &url, &apply).await.ok();
        place.all_is_well("warmer setup redis --apply").await;
    }

    // Its primary does not answer: it keeps what it has, and takes no writes.
    place.redis_does("REPLICAOF 127.0.0.1 1").await;
    fails(&place.verify().await, "redis.mode", "REPLICAOF NO ONE");
    place.redis_does("REPLICAOF NO ONE").await;
    // The lease could not be renewed, and may end any moment: without it, the next renewal is waited for.
    place.redis.says(&["DEL hs:1:{warmer}:lease"]).await;
    wait_until("the lease", PATIENCE, async || place.redis.says(&[LEASE_EXISTS]).await == [":1"]).await;
    place.warm().await;
    place.all_is_well("REPLICAOF NO ONE").await;

    place.redis.stop();
    fails(&place.verify().await, "redis.reachable", "check that redis-server runs");
    let back = now_ms();
    place.redis.start_again().await;
    // It forgot all that was set by command.
    place.folder.set_up("redis", &url, &apply).await.ok();
    // Until the warmer has noticed, it tells what was; then a cycle begins.
    place.warm_since(back).await;
    place.all_is_well("redis-server runs again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_postgres_fail_their_check_and_no_other() {
    let place = Place::new().await;
    let again = async || {
        place.folder.set_up("postgres", &place.database, &["--mode", "trigger", "--apply"]).await.ok();
    };
    place.all_is_well("setup").await;

    let password = place.folder.path("passwords/postgres-warmer");
    let right = std::fs::read(&password).unwrap();
    std::fs::write(&password, "wrong").unwrap();
    fails(&place.verify().await, "postgres.reachable", "check user and password in postgres.url");
    std::fs::write(&password, right).unwrap();

    for (fault, check, remedy) in [
        ("DROP INDEX orders_store_time", "postgres.index", "warmer setup postgres --apply"),
        (
            "DROP TRIGGER hotshelf_update ON orders_default",
            "postgres.changes",
            "warmer setup postgres --apply",
        ),
        (
            "ALTER TABLE orders DISABLE TRIGGER hotshelf_insert",
            "postgres.changes",
            "warmer setup postgres --apply",
        ),
        (
            "REVOKE SELECT ON orders FROM hotshelf_reader, hotshelf_warmer",
            "postgres.rights",
            "warmer setup postgres --apply",
        ),
    ] {
        place.sql(fault).await;
        fails(&place.verify().await, check, remedy);
        again().await;
        place.all_is_well(remedy).await;
    }

    place.sql("GRANT INSERT ON orders TO hotshelf_gateway").await;
    let revoke = "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON orders FROM hotshelf_gateway";
    fails(&place.verify().await, "postgres.gateway_rights", revoke);
    place.sql(revoke).await;
    place.all_is_well(revoke).await;

    place.settings("[postgres]\ncolumns = { cost = \"no such column\" }\n");
    fails(&place.verify().await, "postgres.table", "name the right column under [postgres.columns]");
    place.settings("");
    place.all_is_well("the right column").await;
    drop(place.postgres);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_the_warmer_and_its_host_fail_their_check_and_no_other() {
    let mut place = Place::new().await;
    place.all_is_well("setup").await;

    place.stop().await;
    fails(&place.verify().await, "warmer.active", "warmer run");
    place.start().await;
    place.all_is_well("warmer run").await;

    place.settings("[rules]\nhigh_delivery = \"7\"\n");
    fails(&place.verify().await, "warmer.rules", "the same [rules]");
    place.settings("");

    let (log, moved) = (place.folder.path("access-1.log"), place.folder.path("elsewhere"));
    std::fs::rename(&log, &moved).unwrap();
    fails(&place.verify().await, "log.found", "a file that heat.logs names");
    std::fs::rename(&moved, &log).unwrap();

    fails(&place.verify_under("ulimit -n 64; exec \"$@\"").await, "host.open_files", "ulimit -n");
    let raised = place.verify_under("ulimit -n 1024; exec \"$@\"").await;
    assert_eq!(raised.code, 0, "{}", raised.out);

    // A mount of its own needs a namespace of its own, which any user may have.
    let state = place.folder.text("state");
    let on_disk = |size: &str| {
        let mount = format!("mount -t tmpfs -o size={size} none {state} && exec \"$@\"");
        format!("unshare --user --map-root-user --mount sh -c '{mount}' sh \"$@\"")
    };
    fails(&place.verify_under(&on_disk("32k")).await, "host.state", "make room");
    let larger = place.verify_under(&on_disk("256m")).await;
    assert_eq!(larger.code, 0, "{}\n{}", larger.out, larger.error);

    let faketime = testkit::find_program("faketime", "faketime");
    let skewed = format!("exec {} -f +1h \"$@\"", faketime.display());
    fails(&place.verify_under(&skewed).await, "host.clock", "follow one time server");
    place.all_is_well("the right time").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_leaves_nothing_and_says_all_to_people_too() {
    let place = Place::new().await;
    let before = place.redis.says(&["DBSIZE"]).await;
    place.verify().await;
    assert_eq!(place.redis.says(&["DBSIZE"]).await, before);
    let config = place.folder.text("warmer.toml");
    let told = warmer(&["verify", "--config", &config]).await.ok();
    for line in ["pass  settings ", "pass  cache.orders ", "skip  gateway.reachable ", "0 failed"] {
        assert!(told.out.contains(line), "{line}: {}", told.out);
    }
    assert!(told.out.contains(": 1)"), "compression ratios: {}", told.out);
    let asked = ["verify", "--config", &config, "--gateway", "http://127.0.0.1:9", "--output", "json"];
    fails(&warmer(&asked).await, "gateway.reachable", "start the gateway");
}
