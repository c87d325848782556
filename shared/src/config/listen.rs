//! Where the gateway listens.

use std::fmt;
use std::path::PathBuf;

use super::checker::Checker;
use super::{listen_address, raw};

/// One place to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Host and port: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`.
    Tcp(String),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

/// What a Unix socket's address begins with.
const UNIX: &str = "unix:";
/// Most addresses.
const MAX_ADDRESSES: usize = 64;
const DEFAULT: &str = "127.0.0.1:8080";
/// Who may connect to a Unix socket by default: its owner and group.
const DEFAULT_MODE: u32 = 0o660;

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

impl std::str::FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix(UNIX) {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(format!("{text:?} has no absolute path; write \"unix:/run/hotshelf/gateway.sock\""))
            };
        }
        match listen_address(text) {
            Ok(Some(address)) => Ok(Self::Tcp(address)),
            _ => Err(format!(
                "{text:?} is not an address with a port; write \"127.0.0.1:8080\", \"[::1]:8080\" or \
                 \"unix:/run/hotshelf/gateway.sock\""
            )),
        }
    }
}

pub(super) fn addresses(written: Option<raw::Names>, checker: &mut Checker) -> Vec<ListenAddress> {
    let texts = match written {
        Some(raw::Names::One(text)) => vec![text],
        Some(raw::Names::Several(texts)) => texts,
        None => vec![DEFAULT.to_owned()],
    };
    if texts.is_empty() || texts.len() > MAX_ADDRESSES {
        let what = format!("{} addresses are outside 1 to {MAX_ADDRESSES}", texts.len());
        checker.problem("gateway.listen", what);
    }
    let mut addresses = Vec::new();
    for text in texts.iter().take(MAX_ADDRESSES) {
        match text.parse::<ListenAddress>() {
            Ok(address) if addresses.contains(&address) => {
                checker.problem("gateway.listen", format!("{text:?} is there twice"));
            }
            Ok(address) => addresses.push(address),
            Err(what) => checker.problem("gateway.listen", what),
        }
    }
    addresses
}

/// Rights of a Unix socket, written in octal.
pub(super) fn mode(text: Option<String>, checker: &mut Checker) -> u32 {
    let Some(text) = text else { return DEFAULT_MODE };
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if mode <= 0o777 => mode,
        _ => {
            let what = format!("{text:?} are no rights in octal; write \"660\" or \"666\"");
            checker.problem("gateway.socket_mode", what);
            DEFAULT_MODE
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::check::tests::settings;

    fn listen(value: &str) -> Result<Vec<String>, String> {
        let settings =
            settings(&format!("[gateway]\nlisten = {value}")).map_err(|error| error.to_string())?;
        Ok(settings.gateway.listen.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn one_address_or_several() {
        assert_eq!(settings("").unwrap().gateway.listen[0].to_string(), "127.0.0.1:8080");
        assert_eq!(listen("\"[::1]:0\"").unwrap(), ["[::1]:0"]);
        let several = "[\"localhost:1\", \"unix:/run/a b.sock\"]";
        assert_eq!(listen(several).unwrap(), ["localhost:1", "unix:/run/a b.sock"]);
        for wrong in ["[]", "\"\"", "\"8080\"", "\"unix:sock\"", "[\"a:1\", \"a:1\"]", "\"1.2.3.4:x\""] {
            assert!(listen(wrong).unwrap_err().contains("gateway.listen"), "{wrong}");
        }
    }

    #[test]
    fn rights_are_octal() {
        let mode = |text: &str| settings(&format!("[gateway]\nsocket_mode = \"{text}\""));
        assert_eq!(mode("0600").unwrap().gateway.socket_mode, 0o600);
        for wrong in ["", "rw", "999", "1777", "-1"] {
            assert!(mode(wrong).is_err(), "{wrong}");
        }
    }
}
