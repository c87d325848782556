//! A TCP proxy that misbehaves on demand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    /// Forwards each piece after a delay.
    Up { delay: Duration },
    /// Takes connections and bytes, and forwards nothing.
    Silent,
    /// Closes every connection, old and new.
    Broken,
}

/// A proxy on a free port of 127.0.0.1 in front of a server, for tests of what a bad network does. It starts out forwarding
/// and ends when dropped.
///
/// | call | connections that are open | new ones |
/// |---|---|---|
/// | [`ChaosProxy::break_off`] | are closed | are closed at once |
/// | [`ChaosProxy::silence`] | stay, and nothing more comes through, as when a cable is cut or a firewall forgets them | the same |
/// | [`ChaosProxy::delay`] | each piece of bytes comes so much later, in both directions | the same |
/// | [`ChaosProxy::restore`] | go on; what was kept back comes now | work |
#[derive(Debug)]
pub struct ChaosProxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    connections: Arc<watch::Sender<usize>>,
    _accepting: JoinSet<()>,
}

impl ChaosProxy {
    /// Starts one in front of `target`, such as `"127.0.0.1:5432"`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(target: impl Into<String>) -> Self {
        let target = target.into();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (network, state) = watch::channel(Network::Up { delay: Duration::ZERO });
        let connections = Arc::new(watch::channel(0).0);
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, target, state, Arc::clone(&connections)));
        Self { address, network, connections, _accepting: accepting }
    }

    /// Its port of 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `127.0.0.1:port`
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.connections.borrow()
    }

    /// Closes every connection, old and new.
    pub fn break_off(&self) {
        self.network.send_replace(Network::Broken);
    }

    /// Keeps every connection and forwards nothing.
    pub fn silence(&self) {
        self.network.send_replace(Network::Silent);
    }

    /// Forwards each piece of bytes so much later.
    pub fn delay(&self, delay: Duration) {
        self.network.send_replace(Network::Up { delay });
    }

    /// Forwards again, at once, also what was kept back.
    pub fn restore(&self) {
        self.delay(Duration::ZERO);
    }
}

async fn accept(
    listener: TcpListener,
    target: String,
    network: watch::Receiver<Network>,
    connections: Arc<watch::Sender<usize>>,
) {
    let mut tasks = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        while tasks.try_join_next().is_some() {}
        let (target, network, connections) = (target.clone(), network.clone(), Arc::clone(&connections));
        tasks.spawn(async move {
            connections.send_modify(|open| *open += 1);
            forward(client, &target, network).await;
            connections.send_modify(|open| *open -= 1);
        });
    }
}

/// Carries one connection until one side closes it or the network breaks.
async fn forward(mut client: TcpStream, target: &str, network: watch::Receiver<Network>) {
    let carry = async {
        // A server is not even reached while nothing is forwarded.
        let mut state = network.clone();
        let Ok(_) = state.wait_for(|state| matches!(state, Network::Up { .. })).await else { return };
        let Ok(mut server) = TcpStream::connect(target).await else { return };
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        tokio::select! {
            () = pump(&mut from_client, &mut to_server, network.clone()) => {}
            () = pump(&mut from_server, &mut to_client, network.clone()) => {}
        }
    };
    let mut broken = network.clone();
    tokio::select! {
        () = carry => {}
        _ = broken.wait_for(|state| *state == Network::Broken) => {}
    }
}

async fn pump(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    mut network: watch::Receiver<Network>,
) {
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        // The proxy is gone when nobody can say what the network does.
        let up = network.wait_for(|state| matches!(state, Network::Up { .. })).await.map(|state| *state);
        let Ok(Network::Up { delay }) = up else { return };
        tokio::time::sleep(delay).await;
        // An end is news, too, and is kept back like other news.
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;

    const LIMIT: Duration = Duration::from_secs(10);

    /// A server that sends back what it gets.
    async fn echo() -> (String, JoinSet<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut clients = JoinSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                clients.spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        (address, tasks)
    }

    async fn ask(stream: &mut TcpStream, word: &[u8; 4]) -> std::io::Result<[u8; 4]> {
        stream.write_all(word).await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn forwards_keeps_back_and_breaks_off() {
        let (target, _server) = echo().await;
        let proxy = ChaosProxy::start(target).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(&ask(&mut stream, b"ping").await.unwrap(), b"ping");

        proxy.silence();
        stream.write_all(b"late").await.unwrap();
        let mut answer = [0; 4];
        let silent = tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut answer)).await;
        assert!(silent.is_err(), "nothing comes through");
        proxy.restore();
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"late");

        proxy.delay(Duration::from_millis(1));
        assert_eq!(&ask(&mut stream, b"slow").await.unwrap(), b"slow");

        proxy.break_off();
        assert!(ask(&mut stream, b"gone").await.is_err());
        wait_until("the old connection is closed", LIMIT, async || proxy.connections() == 0).await;
        let refused = async {
            let mut stream = TcpStream::connect(proxy.address()).await?;
            ask(&mut stream, b"none").await
        };
        assert!(refused.await.is_err());
        proxy.restore();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(&ask(&mut stream, b"back").await.unwrap(), b"back");
    }

    #[tokio::test]
    async fn an_end_of_the_server_is_passed_on() {
        let (target, server) = echo().await;
        let proxy = ChaosProxy::start(target).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(&ask(&mut stream, b"ping").await.unwrap(), b"ping");
        drop(server);
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap_or(0), 0);
    }
}
