//! `systemd/gateway@.service` and its socket: systemd takes them, and their commands do what the units say with the
//! settings of the package.

use std::process::{Command, Stdio};
use std::time::Duration;

use shared::config::Settings;
use testkit::{
    KilledOnDrop, NotifySocket, PostgresServer, RedisServer, Unit, find_program, postgres_client, wait_until,
};

use crate::client;

const LIMIT: Duration = Duration::from_secs(60);
const SERVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/gateway@.service");
const SOCKET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../systemd/gateway@.socket");
const GATEWAYS: &str = include_str!("../../../config/package/gateway.toml");
const FIRST: &str = include_str!("../../../config/package/gateway-1.toml");
const SECOND: &str = include_str!("../../../config/package/gateway-2.toml");
const PROGRAM: (&str, &str) = ("/usr/bin/gateway", env!("CARGO_BIN_EXE_gateway"));

#[test]
fn systemd_takes_the_units_and_finds_little_exposed() {
    let service = Unit::read(SERVICE).instance("1").with(&[PROGRAM]);
    Unit::check(&[service, Unit::read(SOCKET).instance("1")]);
}

#[test]
fn the_unit_waits_for_the_gateway_and_tries_no_wrong_settings_again() {
    let (unit, settings) = (Unit::read(SERVICE), Settings::load(&[], &|_| None).unwrap());
    let time = |key: &str| humantime::parse_duration(unit.value(key)).unwrap();
    let drain = settings.gateway.stop_delay + settings.gateway.drain_timeout;
    assert!(time("TimeoutStopSec") >= 2 * drain);
    assert!(time("WatchdogSec") >= Duration::from_secs(10));
    let check = format!("{} --check-config", unit.value("ExecStart"));
    assert_eq!(unit.values("ExecStartPre"), [check.as_str()]);
    let as_root = format!("+env -u HOTSHELF_REDIS_PASSWORD_FILE -u HOTSHELF_POSTGRES_PASSWORD_FILE {check}");
    assert_eq!(unit.values("ExecReload"), [as_root.as_str(), "kill -HUP $MAINPID"]);
    assert_eq!(unit.value("RestartPreventExitStatus"), "64 78");
    let files: usize = unit.value("LimitNOFILE").parse().unwrap();
    assert!(files > gateway::verify::open_files(&settings), "{files}");
}

#[test]
fn gateways_of_one_machine_differ_in_what_must_be_their_own() {
    let own = [
        ("gateway 1", "gateway 2"),
        ("gateway-1", "gateway-2"),
        ("gateway@1", "gateway@2"),
        ("81\"", "82\""),
        ("-8081", "-8082"),
    ];
    assert_eq!(own.iter().fold(FIRST.to_owned(), |text, (one, other)| text.replace(one, other)), SECOND);
    for (instance, settings) in [("1", FIRST), ("2", SECOND)] {
        let socket = Unit::read(SOCKET).instance(instance);
        assert!(settings.contains(&format!("listen = \"{}\"\n", socket.value("ListenStream"))));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn systemd_holds_the_socket_gives_the_passwords_and_hears_of_the_gateway() {
    let (redis, postgres) = (RedisServer::start().await, PostgresServer::start().await);
    redis.says(&["ACL SETUSER hotshelf_gateway on >of-redis ~* &* +@all"]).await;
    let database = postgres.fresh_database().await;
    let role = format!(
        "CREATE ROLE hotshelf_gateway LOGIN PASSWORD 'of-postgres' IN ROLE {}",
        PostgresServer::PASSWORD_ROLE
    );
    postgres_client(&database).await.batch_execute(&role).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (port, admin) = (free_port(), free_port());
    let of_all = GATEWAYS.replace("127.0.0.1:6379", &redis.address()).replace(
        "postgres://hotshelf_gateway@127.0.0.1/hotshelf",
        &database.replace("postgres@", "hotshelf_gateway@"),
    );
    let own = FIRST
        .replace("127.0.0.1:9181", &format!("127.0.0.1:{admin}"))
        .replace("/var/log/hotshelf", &path("logs"));
    std::fs::write(path("gateway.toml"), of_all).unwrap();
    std::fs::write(path("gateway-1.toml"), own).unwrap();
    std::fs::create_dir(path("credentials")).unwrap();
    std::fs::write(path("credentials/redis"), "of-redis\n").unwrap();
    std::fs::write(path("credentials/postgres"), "of-postgres\n").unwrap();
    let unit = Unit::read(SERVICE).instance("1").with(&[
        PROGRAM,
        ("/etc/hotshelf", folder.path().to_str().unwrap()),
        ("%d", &path("credentials")),
    ]);
    assert!(unit.command(unit.value("ExecStartPre")).stdout(Stdio::null()).status().unwrap().success());

    let manager = NotifySocket::new(folder.path());
    let watchdog = humantime::parse_duration(unit.value("WatchdogSec")).unwrap().as_micros();
    // It holds the socket, and starts the program when somebody connects.
    let mut activate = Command::new(find_program("systemd-socket-activate", "systemd"));
    activate.args(["-l", &format!("127.0.0.1:{port}")]);
    activate.arg("-E").arg(format!("NOTIFY_SOCKET={}", manager.path().display()));
    activate.arg("-E").arg(format!("WATCHDOG_USEC={watchdog}"));
    for variable in unit.values("Environment") {
        activate.args(["-E", variable]);
    }
    activate.args(unit.value("ExecStart").split(' '));
    let log = std::fs::File::create(path("log")).unwrap();
    let mut gateway = KilledOnDrop(activate.stderr(log).spawn().unwrap());
    wait_until("the socket", LIMIT, async || {
        std::fs::read_to_string(path("log")).unwrap().contains(&format!("Listening on 127.0.0.1:{port}"))
    })
    .await;

    let get =
        async |path: &str| client::send(http::Method::GET, &format!("127.0.0.1:{port}"), path, &[]).await;
    assert_eq!(get("/livez").await.text(), "alive\n");
    manager.hears("READY=1").await;
    manager.hears("WATCHDOG=1").await;
    // Ready without a warning: both servers took the passwords.
    wait_until("both servers", LIMIT, async || get("/readyz").await.text() == "ready\n").await;
    assert!(Command::new("kill").arg(gateway.0.id().to_string()).status().unwrap().success());
    manager.hears("STOPPING=1").await;
    let ended = gateway.ended().await;
    assert_eq!(ended, Some(0), "{}", std::fs::read_to_string(path("log")).unwrap());
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
