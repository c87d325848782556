//! Makes Redis and PostgreSQL ready for Hotshelf: settings, users, table. What would be done is looked up first and shown;
//! nothing is changed unless that is asked for, and what is there already is left alone.

pub mod file;
pub mod password;
pub mod postgres;
pub mod redis;

use std::path::PathBuf;

use shared::cache::CacheError;
use shared::source::SourceError;

/// Why a server was not made ready, with the next step.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Redis.
    #[error(transparent)]
    Redis(#[from] CacheError),
    /// PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] SourceError),
    /// A file.
    #[error(transparent)]
    File(#[from] file::FileError),
    /// A server, or a command line, for which this cannot be done.
    #[error("{what}; {remedy}")]
    Refused {
        /// What is in the way.
        what: String,
        /// What to do about it.
        remedy: String,
    },
}

impl SetupError {
    fn refused(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), remedy: remedy.into() }
    }
}

/// What is to become of what was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aim {
    /// It is shown.
    Show,
    /// It is done.
    Apply,
    /// It is written to a folder or file.
    Write(PathBuf),
}

/// Names of the two users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// Of the warmer.
    pub warmer: String,
    /// Of the gateways.
    pub gateway: String,
}

impl Users {
    /// Checks that they are two, and names that both servers and their files take without quotes.
    ///
    /// # Errors
    /// If not.
    pub fn check(&self) -> Result<(), SetupError> {
        for name in [&self.warmer, &self.gateway] {
            let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
            let fits = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if !begins || !fits || name.len() > 63 || name == "default" {
                return Err(SetupError::refused(
                    format!("{name:?} cannot be the name of a user"),
                    "take small letters, digits and _, beginning with a letter, 63 at most, and not \"default\"",
                ));
            }
        }
        if self.warmer == self.gateway {
            return Err(SetupError::refused(
                format!("{:?} cannot be the user of both", self.warmer),
                "give --warmer-user and --gateway-user two names: the gateway's may only read",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quotes_anywhere() {
        let check = |warmer: &str, gateway: &str| {
            Users { warmer: warmer.to_owned(), gateway: gateway.to_owned() }.check().is_ok()
        };
        assert!(check("hotshelf_warmer", "_g2"));
        for name in ["", "default", "a b", "a\"", "Ä", "A", "1a", "a-b", &"x".repeat(64)] {
            assert!(!check(name, "gateway") && !check("warmer", name), "{name}");
        }
        assert!(!check("one", "one"));
    }
}
