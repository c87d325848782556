//! What only the gateway uses.

use std::time::Duration;

use super::checker::{Checker, HOUR, SECOND};
use super::{ListenAddress, listen, listen_address, raw};

/// Settings of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Where it listens.
    pub listen: Vec<ListenAddress>,
    /// Rights of Unix sockets.
    pub socket_mode: u32,
    /// Connections that may wait in the kernel to be accepted.
    pub backlog: u32,
    /// Whether several processes may listen on one address and port.
    pub reuse_port: bool,
    /// Connections at the same time; a further client is told so.
    pub max_connections: usize,
    /// Of them, connections of one address (IPv6: of one /64); 0 = as many as there are.
    pub max_connections_per_address: usize,
    /// Requests of one HTTP/2 connection at the same time.
    pub max_streams: u32,
    /// Pages that may follow the status at the same time.
    pub status_streams: usize,
    /// From a request's first byte to its answer.
    pub request_timeout: Duration,
    /// For reading a request's head.
    pub header_timeout: Duration,
    /// For a connection without a request.
    pub idle_timeout: Duration,
    /// For a client that takes nothing of its answer.
    pub write_timeout: Duration,
    /// For reading a request's body.
    pub body_timeout: Duration,
    /// Bytes of a request's head, the URL included.
    pub max_header_bytes: usize,
    /// Bytes of a request's body.
    pub max_body_bytes: usize,
    /// Time between being asked to stop, and not ready, and taking no more connections.
    pub stop_delay: Duration,
    /// Time in which requests in flight may finish after a stop was asked for.
    pub drain_timeout: Duration,
    /// Threads that serve connections; 0 = one per core.
    pub serving_threads: usize,
    /// Threads that compute; 0 = one per core.
    pub threads: usize,
    /// Computations that may run or wait.
    pub compute_queue: usize,
    /// Store-days that one question may read from the source.
    pub max_source_store_days: usize,
    /// How long a directory read from the source is used.
    pub directory_ttl: Duration,
    /// Most bytes of questions that are kept as they were understood, so that they need not be read again.
    pub known_bytes: u64,
    /// Requests in flight from which on what would have to wait is turned away at once.
    pub max_in_flight: usize,
    /// Requests that take longer are logged.
    pub slow_request: Duration,
    /// Address and port of the gateway's admin listener; `None` = no listener.
    pub admin_listen: Option<String>,
}

const DEFAULT_ADMIN: &str = "127.0.0.1:9181";

pub(super) fn check(gateway: raw::Gateway, checker: &mut Checker) -> GatewaySettings {
    let seconds = Duration::from_secs;
    let max_header_bytes =
        checker.size("gateway.max_header_bytes", gateway.max_header_bytes, 1536 << 10, (8 << 10, 16 << 20));
    let max_body_bytes =
        checker.size("gateway.max_body_bytes", gateway.max_body_bytes, 64 << 10, (1 << 10, 16 << 20));
    let places = (1, 1_000_000);
    GatewaySettings {
        listen: listen::addresses(gateway.listen, checker),
        socket_mode: listen::mode(gateway.socket_mode, checker),
        backlog: checker.number("gateway.backlog", gateway.backlog, 1024, (1, 65_535)),
        reuse_port: gateway.reuse_port.unwrap_or(false),
        max_connections: checker.number("gateway.max_connections", gateway.max_connections, 10_000, places),
        max_connections_per_address: checker.number(
            "gateway.max_connections_per_address",
            gateway.max_connections_per_address,
            0,
            (0, places.1),
        ),
        max_streams: checker.number("gateway.max_streams", gateway.max_streams, 100, (1, 1000)),
        status_streams: checker.number("gateway.status_streams", gateway.status_streams, 100, (1, 10_000)),
        request_timeout: checker.duration(
            "gateway.request_timeout",
            gateway.request_timeout,
            seconds(30),
            (100, 600 * SECOND),
        ),
        header_timeout: checker.duration(
            "gateway.header_timeout",
            gateway.header_timeout,
            seconds(10),
            (100, 600 * SECOND),
        ),
        idle_timeout: checker.duration(
            "gateway.idle_timeout",
            gateway.idle_timeout,
            seconds(75),
            (100, HOUR),
        ),
        write_timeout: checker.duration(
            "gateway.write_timeout",
            gateway.write_timeout,
            seconds(30),
            (100, 600 * SECOND),
        ),
        body_timeout: checker.duration(
            "gateway.body_timeout",
            gateway.body_timeout,
            seconds(10),
            (100, 600 * SECOND),
        ),
        max_header_bytes: usize::try_from(max_header_bytes).unwrap_or(1536 << 10),
        max_body_bytes: usize::try_from(max_body_bytes).unwrap_or(64 << 10),
        stop_delay: checker.duration(
            "gateway.stop_delay",
            gateway.stop_delay,
            Duration::ZERO,
            (0, 600 * SECOND),
        ),
        drain_timeout: checker.duration(
            "gateway.drain_timeout",
            gateway.drain_timeout,
            seconds(20),
            (0, 600 * SECOND),
        ),
        serving_threads: checker.number("gateway.serving_threads", gateway.serving_threads, 0, (0, 1024)),
        threads: checker.number("gateway.threads", gateway.threads, 0, (0, 1024)),
        compute_queue: checker.number("gateway.compute_queue", gateway.compute_queue, 256, (1, 100_000)),
        max_source_store_days: checker.number(
            "gateway.max_source_store_days",
            gateway.max_source_store_days,
            200_000,
            (0, 10_000_000),
        ),
        directory_ttl: checker.duration(
            "gateway.directory_ttl",
            gateway.directory_ttl,
            seconds(10),
            (0, HOUR),
        ),
        known_bytes: checker.size("gateway.known_bytes", gateway.known_bytes, 16 << 20, (1 << 16, 1 << 30)),
        max_in_flight: checker.number("gateway.max_in_flight", gateway.max_in_flight, 1024, (1, 1_000_000)),
        slow_request: checker.duration(
            "gateway.slow_request",
            gateway.slow_request,
            seconds(1),
            (1, 600 * SECOND),
        ),
        admin_listen: listen_address(gateway.admin_listen.as_deref().unwrap_or(DEFAULT_ADMIN))
            .unwrap_or_else(|what| {
                checker.problem("gateway.admin_listen", what);
                None
            }),
    }
}
