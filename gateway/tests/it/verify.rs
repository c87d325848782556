//! `gateway verify`: all is well with the rights that are documented; each fault fails its check and no other.

use std::collections::BTreeSet;

use gateway::verify::{Asking, verify};
use shared::cache::{AclRole, ServerVersion, acl_rules};
use shared::config::Settings;
use shared::keys::DEFAULT_PREFIX;
use shared::model::Money;
use shared::verify::{Outcome, Report};
use tempfile::TempDir;
use testkit::{PostgresServer, RedisServer};

use crate::fixture::{self, Gateway};

const USER: &str = "verify_gateway";

/// Servers, a gateway's settings, and the gateway.
struct Place {
    redis: RedisServer,
    database: String,
    folder: TempDir,
    settings: Settings,
    gateway: Gateway,
}

impl Place {
    async fn new() -> Self {
        let redis =
            RedisServer::start_with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).await;
        let server = PostgresServer::shared().await;
        let database = server.fresh_database().await;
        let source = fixture::postgres(&database).await;
        let mut settings = Settings::load(&[], &|_| None).unwrap();
        settings.redis.command_timeout = std::time::Duration::from_secs(10);
        settings.redis.slow_ping = std::time::Duration::from_secs(30);
        settings.gateway.max_connections = 50;
        let rules = settings.rules.fingerprint();
        let levels = shared::cache::Levels::new(
            fixture::redis(&redis.url()),
            shared::keys::Keys::new(DEFAULT_PREFIX),
            rules,
            settings.ttl,
            settings.max_inflated,
        );
        fixture::warm(&source, &levels).await;
        let role = format!(
            "DO $$ BEGIN CREATE ROLE {USER} LOGIN IN ROLE hotshelf_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        );
        server.execute("postgres", &role).await;
        let gateway = Gateway::start(source, levels).await;
        let folder = tempfile::tempdir().unwrap();
        settings.redis.url = format!("redis://hotshelf_gateway:secret@{}/", redis.address());
        settings.postgres.url = database.replace("postgres@", &format!("{USER}@"));
        settings.access_log.path = Some(folder.path().join("access.log"));
        let place = Self { redis, database, folder, settings, gateway };
        place.give_rights().await;
        place
    }

    async fn give_rights(&self) {
        let rules = acl_rules(AclRole::Gateway, DEFAULT_PREFIX, ServerVersion(7, 0, 0)).join(" ");
        self.redis_does(&format!("ACL SETUSER hotshelf_gateway reset on >secret {rules}")).await;
    }

    async fn redis_does(&self, command: &str) {
        assert_eq!(self.redis.says(&[command]).await, ["+OK"], "{command}");
    }

    async fn verify(&self, settings: &Settings) -> Report {
        let urls = vec![format!("http://{}", self.gateway.address)];
        verify(settings, Asking { urls, ..Asking::default() }).await
    }

    async fn all_is_well(&self, after: &str) {
        let report = self.verify(&self.settings).await;
        assert!(report.holds(), "{after}: {report}");
    }
}

/// Whether exactly this check failed, with a remedy that holds these words.
#[track_caller]
fn fails(report: &Report, name: &str, remedy: &str) {
    let failed = report.checks().iter().filter(|check| check.outcome == Outcome::Fail);
    let names: BTreeSet<&str> = failed.clone().map(|check| check.name).collect();
    assert_eq!(names, [name].into(), "{report}");
    assert!(
        failed.clone().all(|check| check.remedy.as_ref().unwrap().contains(remedy)),
        "{remedy:?}: {report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_fails_its_check_and_no_other() {
    let place = Place::new().await;
    place.all_is_well("the documented rights").await;
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = place.settings.clone();
        change(&mut settings);
        settings
    };

    let writes = with(&|settings| settings.redis.url = place.redis.url());
    fails(&place.verify(&writes).await, "redis.read_only", "warmer setup redis --apply");
    let writes = with(&|settings| settings.postgres.url.clone_from(&place.database));
    fails(&place.verify(&writes).await, "postgres.read_only", "warmer setup postgres --apply");

    place.redis_does("ACL SETUSER hotshelf_gateway -client|tracking").await;
    fails(&place.verify(&place.settings).await, "redis.tracking", "+client|tracking");
    place.give_rights().await;
    place.all_is_well("the right to track").await;

    let rules = with(&|settings| settings.rules.high_delivery = Money::parse("7").unwrap());
    fails(&place.verify(&rules).await, "redis.warm", "the same [rules]");

    let file = place.folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let elsewhere = with(&|settings| settings.access_log.path = Some(file.join("access.log")));
    fails(&place.verify(&elsewhere).await, "log.folder", "access_log.path");
    let many = with(&|settings| settings.gateway.max_connections = 1_000_000_000);
    fails(&place.verify(&many).await, "host.open_files", "LimitNOFILE=");

    let nobody = Asking { urls: vec!["http://127.0.0.1:9".to_owned()], ..Asking::default() };
    fails(&verify(&place.settings, nobody).await, "gateway.reachable", "start the gateway");
    place.redis.flush_all().await;
    let report = place.verify(&place.settings).await;
    let failed: Vec<&str> = report
        .checks()
        .iter()
        .filter(|check| check.outcome == Outcome::Fail)
        .map(|check| check.name)
        .collect();
    // What the gateway keeps near went with it.
    assert_eq!(failed, ["redis.warm", "gateway.warm"], "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_runs_with_these_settings_is_found() {
    let place = Place::new().await;
    let mut settings = place.settings.clone();
    settings.gateway.listen = vec![place.gateway.address.parse().unwrap()];
    let seen = |report: &Report| {
        let check = report.checks().iter().find(|check| check.name == "gateway.reachable").unwrap();
        (check.outcome, check.seen.clone())
    };
    let report = verify(&settings, Asking::default()).await;
    assert_eq!(seen(&report), (Outcome::Pass, format!("http://{}", place.gateway.address)));
    settings.gateway.listen = vec!["127.0.0.1:9".parse().unwrap()];
    let report = verify(&settings, Asking::default()).await;
    assert_eq!(seen(&report).0, Outcome::Skip, "one that does not run yet is no fault: {report}");
    assert!(report.holds(), "{report}");
}
