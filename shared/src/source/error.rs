//! Errors of sources: each says what failed, where, and what to do about it.

/// Closed set of kinds, also a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceErrorKind {
    /// No connection, or it broke.
    Unreachable,
    /// It did not answer before, and is not asked until it does.
    Down,
    /// No connection is free, here or in the server.
    Busy,
    /// The server refused the user or password.
    Denied,
    /// A table, view or column is missing or of a type that cannot be read.
    Schema,
    /// A time limit passed.
    Timeout,
    /// A file cannot be read, or is not what its name says.
    File,
    /// The settings (mapping, address) do not fit.
    Settings,
    /// Anything else the server reported.
    Other,
}

impl SourceErrorKind {
    /// All.
    pub const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::Down,
        Self::Busy,
        Self::Denied,
        Self::Schema,
        Self::Timeout,
        Self::File,
        Self::Settings,
        Self::Other,
    ];

    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Down => "down",
            Self::Busy => "busy",
            Self::Denied => "denied",
            Self::Schema => "schema",
            Self::Timeout => "timeout",
            Self::File => "file",
            Self::Settings => "settings",
            Self::Other => "other",
        }
    }
}

/// A failure of a source, in plain words with the next step.
#[derive(Debug, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct SourceError {
    kind: SourceErrorKind,
    what: String,
    remedy: String,
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SourceError {
    /// A failure: what happened (with place and value) and the remedy.
    pub fn new(kind: SourceErrorKind, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind, what: what.into(), remedy: remedy.into(), cause: None }
    }

    /// With the error behind it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What happened, with place and value.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The next step.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> SourceErrorKind {
        self.kind
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            SourceErrorKind::Unreachable
                | SourceErrorKind::Down
                | SourceErrorKind::Busy
                | SourceErrorKind::Timeout
        )
    }
}
