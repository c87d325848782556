//! What only the gateway uses.

use std::time::Duration;

use super::checker::{Checker, HOUR, SECOND};
use super::{listen_address, raw};

/// Settings of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewaySettings {
    /// Address and port.
    pub listen: String,
    /// Connections at the same time.
    pub max_connections: usize,
    /// From a request's first byte to its answer.
    pub request_timeout: Duration,
    /// For reading a request's head.
    pub header_timeout: Duration,
    /// Bytes of a request's head, the URL included.
    pub max_header_bytes: usize,
    /// Time in which requests in flight may finish after a stop was asked for.
    pub drain_timeout: Duration,
    /// Threads that compute; 0 = one per core.
    pub threads: usize,
    /// Computations that may run or wait.
    pub compute_queue: usize,
    /// Store-days that one question may read from the source.
    pub max_source_store_days: usize,
    /// How long a directory read from the source is used.
    pub directory_ttl: Duration,
    /// Requests that are answered at the same time; more are turned away at once.
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
    GatewaySettings {
        listen: gateway.listen.unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
        max_connections: checker.number(
            "gateway.max_connections",
            gateway.max_connections,
            10_000,
            (1, 1_000_000),
        ),
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
        max_header_bytes: usize::try_from(max_header_bytes).unwrap_or(1536 << 10),
        drain_timeout: checker.duration(
            "gateway.drain_timeout",
            gateway.drain_timeout,
            seconds(20),
            (0, 600 * SECOND),
        ),
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
