//! Where the gateway listens: several addresses, Unix sockets, sockets that are handed over, and gateways that take over
//! from each other.

use std::net::TcpListener as StdListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use gateway::Front;
use gateway::server::{ListenError, Listeners};
use shared::config::{GatewaySettings, ListenAddress};
use testkit::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::client;
use crate::fixture::{self, Gateway};
use crate::process::Process;

const LIMIT: Duration = Duration::from_secs(60);
const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn on(addresses: &[String]) -> GatewaySettings {
    let listen = addresses.iter().map(|address| address.parse::<ListenAddress>().unwrap()).collect();
    GatewaySettings { listen, ..fixture::settings().gateway }
}

async fn open(settings: &GatewaySettings) -> Result<Listeners, ListenError> {
    Listeners::open(settings, false, false).await
}

/// What a Unix socket answers.
async fn over(path: &Path) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(LIVEZ).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn several_addresses_answer_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let unix = format!("unix:{}", path.display());
    let mut settings = on(&["127.0.0.1:0".to_owned(), "localhost:0".to_owned(), unix.clone()]);
    settings.socket_mode = 0o600;
    let listeners = open(&settings).await.unwrap();
    let addresses = listeners.addresses();
    assert_eq!(addresses[2], unix);
    let mut gateway = Gateway::serve(Front::new(), listeners, settings.clone());
    for address in &addresses[..2] {
        assert!(client::raw(address, LIVEZ).await.ends_with("alive\n"), "{address}");
    }
    assert!(over(&path).await.unwrap().ends_with("alive\n"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");

    // In use is told, and nothing of the one that is there is touched.
    for taken in [&addresses[0], &unix] {
        let told = open(&on(std::slice::from_ref(taken))).await.unwrap_err();
        assert!(!told.is_of_settings() && told.to_string().contains("gateway.reuse_port"), "{told}");
    }
    assert!(over(&path).await.unwrap().ends_with("alive\n"));
    gateway.ask_to_stop();
    gateway.stopped().await;
    assert!(!path.exists());

    // The socket of a process that was killed is replaced; any other file is not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(open(&on(std::slice::from_ref(&unix))).await.unwrap());
    std::fs::write(&path, "data").unwrap();
    let told = open(&on(&[unix])).await.unwrap_err().to_string();
    assert!(told.contains("no socket") && path.exists(), "{told}");
}

#[tokio::test]
async fn a_second_gateway_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.sock");
    let port = fixture_port();
    let mut settings = on(&[format!("127.0.0.1:{port}"), format!("unix:{}", path.display())]);
    settings.reuse_port = true;
    let old_front = Front::new();
    let mut old = Gateway::serve(old_front.clone(), open(&settings).await.unwrap(), settings.clone());
    let address = old.address.clone();
    assert!(client::raw(&address, LIVEZ).await.ends_with("alive\n"));

    // All the while somebody connects.
    let (enough, mut stop) = tokio::sync::oneshot::channel::<()>();
    let knocking = tokio::spawn({
        let address = address.clone();
        async move {
            let mut connected = 0;
            while stop.try_recv().is_err() {
                let mut stream = TcpStream::connect(&address).await.expect("never refused");
                connected += 1;
                // The kernel turns away who comes in the instant in which the old socket closes; all others are
                // answered.
                let mut answer = String::new();
                if stream.write_all(LIVEZ).await.is_ok() && stream.read_to_string(&mut answer).await.is_ok() {
                    assert!(answer.ends_with("alive\n"), "{answer}");
                }
            }
            connected
        }
    });
    let new = Gateway::serve(Front::new(), open(&settings).await.unwrap(), settings.clone());
    assert_eq!(new.address, address);
    old.ask_to_stop();
    old.stopped().await;
    for _ in 0..20 {
        assert!(client::raw(&address, LIVEZ).await.ends_with("alive\n"));
        assert!(over(&path).await.unwrap().ends_with("alive\n"), "the new one's socket is there still");
    }
    enough.send(()).unwrap();
    assert!(knocking.await.unwrap() > 20);
}

/// A port that was free a moment ago.
fn fixture_port() -> u16 {
    StdListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn sockets_of_the_service_manager_outlive_the_gateway() {
    // What systemd does: it holds the socket, and hands it to each process as descriptor 3.
    const ACTIVATE: &str = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1;";
    let socket = StdListener::bind(("127.0.0.1", 0)).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let start = || Process::start(ACTIVATE, &[], Some(socket.try_clone().unwrap().into()));

    // Who comes before the gateway waits for it.
    let early = tokio::spawn({
        let address = address.clone();
        async move { client::raw(&address, LIVEZ).await }
    });
    let mut first = start();
    assert!(early.await.unwrap().ends_with("alive\n"));
    assert_eq!(first.address().await, address);
    first.signal("TERM");
    assert_eq!(first.code().await, Some(0));
    // So does who comes between two.
    let between = tokio::spawn({
        let address = address.clone();
        async move { client::raw(&address, LIVEZ).await }
    });
    let _second = start();
    assert!(between.await.unwrap().ends_with("alive\n"));

    // A descriptor that does not listen is told.
    let pair = std::os::unix::net::UnixStream::pair().unwrap();
    let mut wrong = Process::start(ACTIVATE, &[], Some(pair.0.into()));
    assert_eq!(wrong.code().await, Some(1));
    wrong.wrote("ListenStream=").await;
}

#[tokio::test]
async fn other_machines_are_not_let_in_by_chance() {
    let mut open = Process::start("", &["--listen", "0.0.0.0:0"], None);
    assert_eq!(open.code().await, Some(78));
    open.wrote("--insecure").await;
    let meant = Process::start("", &["--listen", "0.0.0.0:0", "--insecure"], None);
    meant.wrote("listening").await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("gateway.toml");
    std::fs::write(&settings, "[gateway]\nlisten = \"127.0.0.1:0\"\nstop_delay = \"10m\"\n").unwrap();
    let mut process = Process::start("", &["--config", settings.to_str().unwrap()], None);
    let address = process.address().await;
    process.signal("TERM");
    process.wrote("not ready any more").await;
    assert!(client::raw(&address, LIVEZ).await.ends_with("alive\n"));
    process.signal("TERM");
    assert_eq!(process.code().await, Some(130));
}

#[tokio::test]
async fn out_of_files_is_told_once_and_over_by_itself() {
    let process = Process::start("ulimit -n 40;", &["--listen", "127.0.0.1:0"], None);
    let address = process.address().await;
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(TcpStream::connect(&address).await.unwrap());
    }
    process.wrote("connections cannot be accepted").await;
    drop(held);
    wait_until("connections to be accepted again", LIMIT, async || {
        assert!(client::raw(&address, LIVEZ).await.ends_with("alive\n"));
        process.log().contains("connections are accepted again")
    })
    .await;
    let log = process.log();
    let told = ["cannot be accepted", "accepted again"].map(|text| log.matches(text).count());
    assert_eq!(told, [1, 1], "once per change, not per attempt: {log}");
}
