//! Where connections come from: addresses that are bound here, and sockets that the service manager hands over.

use std::io;
use std::net::SocketAddr;

use shared::config::{GatewaySettings, ListenAddress};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use super::tls::Tls;
#[cfg(unix)]
use super::unix_socket::UnixSocket;

/// Why there is nothing to listen on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Whoever reaches the address could read everything.
    #[error(
        "{0} can be reached from other machines, and there are no tokens; listen on 127.0.0.1 behind a proxy, make tokens, or \
         take the risk with --insecure"
    )]
    Open(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}: {cause}; {remedy}")]
    Bind {
        /// Which one.
        address: String,
        /// Why.
        #[source]
        cause: io::Error,
        /// The next step.
        remedy: &'static str,
    },
    /// What the service manager handed over is nothing to listen on.
    #[error(
        "a socket of the service manager cannot be used: {0}; it must be a stream socket that listens (ListenStream=)"
    )]
    HandedOver(String),
}

impl ListenError {
    /// Whether the settings must be changed.
    #[must_use]
    pub fn is_of_settings(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    pub(super) fn bind(address: &ListenAddress, cause: io::Error, reuse_port: bool) -> Self {
        let remedy = match cause.kind() {
            io::ErrorKind::AddrInUse if reuse_port => {
                "whoever listens there must have gateway.reuse_port as well, and the same user"
            }
            io::ErrorKind::AddrInUse => {
                "stop who listens there, choose another with --listen, or set gateway.reuse_port on both to take over"
            }
            io::ErrorKind::PermissionDenied => {
                "choose a port above 1023 or another folder, or let systemd open the socket"
            }
            _ => "check gateway.listen",
        };
        Self::Bind { address: address.to_string(), cause, remedy }
    }
}

/// Whether these addresses may be listened on: without tokens only those that this machine alone reaches, unless the
/// operator says that it is meant so. Unix sockets have rights of their own.
///
/// # Errors
/// The first address that is open to others.
pub fn may_listen(addresses: &[SocketAddr], has_tokens: bool, insecure: bool) -> Result<(), ListenError> {
    let open = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback());
    match open {
        Some(address) if !has_tokens && !insecure => Err(ListenError::Open(*address)),
        _ => Ok(()),
    }
}

/// One listening socket.
#[derive(Debug)]
pub(super) enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    #[cfg(unix)]
    Unix(UnixSocket),
}

/// Everything that is listened on.
#[derive(Debug)]
pub struct Listeners {
    pub(super) sockets: Vec<Listener>,
    pub(super) tls: Option<Tls>,
    /// Somebody else holds these sockets, too: what waits in them is not lost when this process goes.
    pub(super) handed_over: bool,
}

impl From<TcpListener> for Listeners {
    fn from(listener: TcpListener) -> Self {
        Self { sockets: vec![Listener::Tcp(listener)], tls: None, handed_over: false }
    }
}

impl Listeners {
    /// The sockets that the service manager hands over, else those of the settings. To be called once per process.
    ///
    /// # Errors
    /// If one cannot be had, or may not: see [`may_listen`].
    pub async fn open(
        settings: &GatewaySettings,
        has_tokens: bool,
        insecure: bool,
    ) -> Result<Self, ListenError> {
        let may = |addresses: &[SocketAddr]| may_listen(addresses, has_tokens, insecure);
        #[cfg(unix)]
        if let Some(handed_over) = handed_over(&may)? {
            return Ok(handed_over);
        }
        Self::bind(settings, &may).await
    }

    /// Binds the addresses of the settings.
    async fn bind(
        settings: &GatewaySettings,
        may: &impl Fn(&[SocketAddr]) -> Result<(), ListenError>,
    ) -> Result<Self, ListenError> {
        let mut sockets = Vec::new();
        for address in &settings.listen {
            let failed = |cause| ListenError::bind(address, cause, settings.reuse_port);
            sockets.push(match address {
                ListenAddress::Tcp(name) => {
                    let resolved: Vec<SocketAddr> =
                        tokio::net::lookup_host(name).await.map_err(failed)?.collect();
                    may(&resolved)?;
                    Listener::Tcp(bind_first(&resolved, settings).map_err(failed)?)
                }
                #[cfg(unix)]
                ListenAddress::Unix(path) => {
                    Listener::Unix(UnixSocket::bind(path, settings).map_err(failed)?)
                }
                #[cfg(not(unix))]
                ListenAddress::Unix(_) => return Err(failed(io::ErrorKind::Unsupported.into())),
            });
        }
        Ok(Self { sockets, tls: None, handed_over: false })
    }

    /// TLS on every address; Unix sockets stay without, for they do not leave the machine.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// The addresses, with the ports that were chosen for 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let address = |socket: &Listener| match socket {
            Listener::Tcp(listener) => listener.local_addr().map(|address| address.to_string()),
            #[cfg(unix)]
            Listener::Unix(socket) => Ok(socket.name()),
        };
        self.sockets.iter().map(|socket| address(socket).unwrap_or_else(|error| error.to_string())).collect()
    }
}

/// The first of a name's addresses that can be had.
fn bind_first(addresses: &[SocketAddr], settings: &GatewaySettings) -> io::Result<TcpListener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match bind_one(*address, settings) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_one(address: SocketAddr, settings: &GatewaySettings) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // Otherwise [::] would take the port of 0.0.0.0 as well, depending on the machine.
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    {
        // A restart need not wait for old connections to be forgotten.
        socket.set_reuse_address(true)?;
        if settings.reuse_port {
            socket.set_reuse_port(true)?;
        }
    }
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(settings.backlog).unwrap_or(i32::MAX))?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Sockets of the service manager (`sd_listen_fds(3)`); `None` if it handed over none.
#[cfg(unix)]
fn handed_over(
    may: &impl Fn(&[SocketAddr]) -> Result<(), ListenError>,
) -> Result<Option<Listeners>, ListenError> {
    let bad = |error: &dyn std::fmt::Display| ListenError::HandedOver(error.to_string());
    let given = sd_listen_fds::get().map_err(|error| bad(&error))?;
    let mut sockets = Vec::new();
    for (_, descriptor) in given {
        let socket = Socket::from(descriptor.into_std());
        if !socket.is_listener().map_err(|error| bad(&error))? {
            return Err(bad(&"it does not listen"));
        }
        // Programs that this one starts have no use for it.
        socket.set_cloexec(true).and_then(|()| socket.set_nonblocking(true)).map_err(|error| bad(&error))?;
        let address = socket.local_addr().map_err(|error| bad(&error))?;
        sockets.push(match address.as_socket() {
            Some(address) => {
                may(&[address])?;
                Listener::Tcp(TcpListener::from_std(socket.into()).map_err(|error| bad(&error))?)
            }
            None => Listener::Unix(UnixSocket::handed_over(socket).map_err(|error| bad(&error))?),
        });
    }
    Ok((!sockets.is_empty()).then_some(Listeners { sockets, tls: None, handed_over: true }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn without_tokens_only_this_machine() {
        let of = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let own = of(&["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"]);
        assert!(may_listen(&own, false, false).is_ok() && may_listen(&[], false, false).is_ok());
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[2001:db8::1]:1", "[::ffff:10.0.0.1]:1"] {
            let both = of(&["127.0.0.1:1", open]);
            let refused = may_listen(&both, false, false).unwrap_err();
            assert!(refused.is_of_settings() && refused.to_string().contains("--insecure"), "{refused}");
            assert!(may_listen(&both, true, false).is_ok() && may_listen(&both, false, true).is_ok());
        }
    }
}
