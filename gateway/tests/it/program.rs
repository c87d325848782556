//! The program itself: what its service manager and its admin listener hear.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{KilledOnDrop, wait_until};

use crate::client;

const LIMIT: Duration = Duration::from_secs(120);

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_servers_it_starts_tells_so_and_stops_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_nonblocking(true).unwrap();
    let (port, admin, nobody) = (free_port(), free_port(), free_port());
    let settings = folder.path().join("gateway.toml");
    let text = format!("[gateway]\nlisten = \"127.0.0.1:{port}\"\nadmin_listen = \"127.0.0.1:{admin}\"\n");
    std::fs::write(&settings, text).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .arg("--config")
        .arg(&settings)
        .args(["--redis", &format!("redis://127.0.0.1:{nobody}"), "--postgres"])
        .arg(format!("postgres://nobody@127.0.0.1:{nobody}/nothing"))
        .env("NOTIFY_SOCKET", &socket)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = KilledOnDrop(child);

    let mut heard = String::new();
    let mut hear = |what: &str| {
        let mut buffer = [0; 4096];
        while let Ok(length) = manager.recv(&mut buffer) {
            heard.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            heard.push('\n');
        }
        heard.contains(what)
    };
    wait_until("READY", LIMIT, async || hear("READY=1")).await;
    let get =
        async |path: &str| client::send(http::Method::GET, &format!("127.0.0.1:{admin}"), path, &[]).await;
    wait_until("the admin listener", LIMIT, async || {
        tokio::net::TcpStream::connect(("127.0.0.1", admin)).await.is_ok()
    })
    .await;
    wait_until("both to be missed", LIMIT, async || get("/readyz").await.status == 503).await;
    assert!(get("/readyz").await.text().starts_with("neither the cache nor the source answers"));
    assert_eq!(get("/livez").await.text(), "alive\n");
    assert!(get("/metrics").await.text().contains("hotshelf_gateway_ready 0\n"));
    assert_eq!(get("/status").await.json()["ready"], false);
    wait_until("the status line", LIMIT, async || hear("STATUS=not ready: neither")).await;

    assert!(Command::new("kill").arg(child.0.id().to_string()).status().unwrap().success());
    wait_until("STOPPING", LIMIT, async || hear("STOPPING=1")).await;
    assert_eq!(child.ended().await, Some(0));
}
