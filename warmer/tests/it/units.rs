//! `systemd/warmer.service`: systemd takes it, and its commands do what the unit says with the settings of the package.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use shared::config::Settings;
use testkit::{KilledOnDrop, NotifySocket, PostgresServer, RedisServer, Unit, postgres_client};

use crate::setup::Folder;

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/warmer.service");
const SETTINGS: &str = include_str!("../../../config/package/warmer.toml");

#[test]
fn systemd_takes_the_unit_and_finds_little_exposed() {
    Unit::check(&[Unit::read(UNIT).with(&[("/usr/bin/warmer", env!("CARGO_BIN_EXE_warmer"))])]);
}

#[test]
fn the_unit_waits_for_the_daemon_and_tries_no_wrong_settings_again() {
    let (unit, settings) = (Unit::read(UNIT), Settings::load(&[], &|_| None).unwrap());
    let time = |key: &str| humantime::parse_duration(unit.value(key)).unwrap();
    assert!(time("TimeoutStopSec") >= 2 * settings.warm.drain_timeout);
    assert!(time("WatchdogSec") >= 2 * settings.redis.connect_timeout);
    let check = format!("{} --check-config", unit.value("ExecStart"));
    assert_eq!(unit.values("ExecStartPre"), [check.as_str()]);
    let as_root = format!("+env -u HOTSHELF_REDIS_PASSWORD_FILE -u HOTSHELF_POSTGRES_PASSWORD_FILE {check}");
    assert_eq!(unit.values("ExecReload"), [as_root.as_str(), "kill -HUP $MAINPID"]);
    assert_eq!(unit.value("RestartPreventExitStatus"), "64 78");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_come_as_credentials_and_the_journal_hears_how_grave_a_line_is() {
    let (folder, redis, postgres) =
        (Folder::new(), RedisServer::start().await, PostgresServer::start().await);
    let database = postgres.fresh_database().await;
    folder.set_up("redis", &redis.url(), &["--apply"]).await.ok();
    folder.set_up("postgres", &database, &["--apply"]).await.ok();
    let needs = format!("GRANT {} TO hotshelf_warmer", PostgresServer::PASSWORD_ROLE);
    postgres_client(&database).await.batch_execute(&needs).await.unwrap();
    let settings = SETTINGS
        .replace("127.0.0.1:6379", &redis.address())
        .replace(
            "postgres://hotshelf_warmer@127.0.0.1/hotshelf",
            &database.replace("postgres@", "hotshelf_warmer@"),
        )
        .replace("/var/lib/hotshelf", &folder.text("state"))
        .replace("/var/log/hotshelf", &folder.text("logs"))
        + "[admin]\nlisten = \"\"\n";
    std::fs::write(folder.path("warmer.toml"), settings).unwrap();

    let credentials = folder.path("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let unit = Unit::read(UNIT).with(&[
        ("/usr/bin/warmer", env!("CARGO_BIN_EXE_warmer")),
        ("/etc/hotshelf", &folder.text("")),
        ("%d", &folder.text("credentials")),
    ]);
    let check = async || {
        let mut command = unit.command(unit.value("ExecStartPre"));
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    };
    // Nobody made passwords yet: what SetCredential= gives is none, and what the settings name is not there.
    for name in ["redis", "postgres"] {
        assert!(unit.values("SetCredential").contains(&format!("{name}:\\n").as_str()));
        std::fs::write(credentials.join(name), "\n").unwrap();
    }
    let told = check().await;
    let error = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(78), "{error}");
    assert!(error.contains("redis.password_file: /etc/hotshelf/passwords/redis-warmer"), "{error}");

    for name in ["redis", "postgres"] {
        std::fs::write(credentials.join(name), folder.password(&format!("{name}-warmer"))).unwrap();
    }
    let told = check().await;
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));

    let manager = NotifySocket::new(&credentials);
    let journal = File::create(folder.path("journal")).unwrap();
    let stream = journal.metadata().unwrap();
    let watchdog = humantime::parse_duration(unit.value("WatchdogSec")).unwrap();
    let mut command = unit.command(unit.value("ExecStart"));
    command
        .env("NOTIFY_SOCKET", manager.path())
        .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
        .env("JOURNAL_STREAM", format!("{}:{}", stream.dev(), stream.ino()))
        .stdin(Stdio::null())
        .stderr(journal);
    let mut warmer = KilledOnDrop(command.spawn().unwrap());
    manager.hears("READY=1").await;
    manager.hears("WATCHDOG=1").await;
    assert!(Command::new("kill").arg(warmer.0.id().to_string()).status().unwrap().success());
    manager.hears("STOPPING=1").await;
    let ended = warmer.ended().await;
    let journal = std::fs::read_to_string(folder.path("journal")).unwrap();
    assert_eq!(ended, Some(0), "{journal}");
    assert!(journal.contains("<6>this warmer writes now"), "{journal}");
    assert!(journal.lines().all(|line| ["<4>", "<6>"].contains(&&line[..3])), "{journal}");
}
