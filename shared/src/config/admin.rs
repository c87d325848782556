//! The admin listener, and the name under which a daemon publishes its status.

use std::time::Duration;

use super::checker::{Checker, HOUR, SECOND};
use super::raw;

/// Settings of an admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSettings {
    /// Address and port; `None` = no listener.
    pub listen: Option<String>,
    /// Connections at the same time.
    pub max_connections: usize,
    /// For reading a request's head; a connection, which serves one request, lasts twice that at most.
    pub header_timeout: Duration,
}

/// Longest name of an instance: it is part of a key.
const MAX_INSTANCE_BYTES: usize = 64;
const DEFAULT_LISTEN: &str = "127.0.0.1:9180";

/// An address and port; `None` for the empty text. Names are looked up when they are used: here only the form counts.
///
/// # Errors
/// What is wrong, with examples of what is right.
pub fn listen_address(text: &str) -> Result<Option<String>, String> {
    let fits = match text.rsplit_once(':') {
        Some((host, port)) => {
            let bracketed = host.starts_with('[');
            port.parse::<u16>().is_ok()
                && !host.is_empty()
                && (!bracketed || text.parse::<std::net::SocketAddr>().is_ok())
        }
        None => text.is_empty(),
    };
    if fits {
        return Ok((!text.is_empty()).then(|| text.to_owned()));
    }
    Err(format!(
        "{text:?} is not an address with a port; write \"127.0.0.1:9180\" or \"[::1]:9180\", or \"\" for none"
    ))
}

pub(super) fn check(raw: raw::Admin, checker: &mut Checker) -> AdminSettings {
    let listen = listen_address(raw.listen.as_deref().unwrap_or(DEFAULT_LISTEN)).unwrap_or_else(|what| {
        checker.problem("admin.listen", what);
        None
    });
    AdminSettings {
        listen,
        max_connections: checker.number("admin.max_connections", raw.max_connections, 64, (1, 10_000)),
        header_timeout: checker.duration(
            "admin.header_timeout",
            raw.header_timeout,
            Duration::from_secs(5),
            (100, 600 * SECOND),
        ),
    }
}

pub(super) fn status_interval(text: Option<String>, checker: &mut Checker) -> Duration {
    checker.duration("warm.status_interval", text, Duration::from_secs(5), (100, HOUR))
}

pub(super) fn instance(name: Option<String>, checker: &mut Checker) -> Option<String> {
    if let Some(name) = &name
        && (name.is_empty() || name.len() > MAX_INSTANCE_BYTES || name.chars().any(char::is_control))
    {
        let what = format!("{name:?} must have 1 to {MAX_INSTANCE_BYTES} bytes and no control characters");
        checker.problem("warm.instance", what);
    }
    name
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::check::tests::settings;

    #[test]
    fn addresses_names_and_intervals_are_checked() {
        for listen in ["9180", ":9180", "localhost", "127.0.0.1:http", "[::1:9180", "127.0.0.1:70000"] {
            let error = settings(&format!(
                "[admin]\nlisten = \"{listen}\"\nmax_connections = 0\nheader_timeout = \"1ms\"\n\
                 [warm]\ninstance = \"\"\nstatus_interval = \"1ms\"\n"
            ))
            .unwrap_err();
            let mut places: Vec<&str> = error.problems.iter().map(|problem| problem.place.as_str()).collect();
            places.sort_unstable();
            let expected = [
                "admin.header_timeout",
                "admin.listen",
                "admin.max_connections",
                "warm.instance",
                "warm.status_interval",
            ];
            assert_eq!(places, expected, "{listen}");
        }
        let listen = |text: &str| settings(text).unwrap().admin.listen;
        assert_eq!(listen("").as_deref(), Some("127.0.0.1:9180"));
        assert_eq!(listen("[admin]\nlisten = \"\""), None);
        assert_eq!(listen("[admin]\nlisten = \"[::1]:0\"").as_deref(), Some("[::1]:0"));
        assert_eq!(listen("[admin]\nlisten = \"admin.local:1\"").as_deref(), Some("admin.local:1"));
    }
}
