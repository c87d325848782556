//! Passwords of the users: files with nothing else in them, made where they are missing.

use std::path::{Path, PathBuf};

use super::SetupError;
use super::file::{self, FileError, NewFile};

/// Random bytes of a password that is made here: nobody can guess it, so a plain hash of it may lie in a file.
const RANDOM_BYTES: usize = 32;

/// A password and its file.
#[derive(Clone)]
pub struct Password {
    /// The file.
    pub path: PathBuf,
    /// What is in it; `None` while it is missing.
    text: Option<String>,
    /// Whether others than its owner may read it.
    pub is_open: bool,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Password").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Password {
    /// The one in `name` of a folder, if it is there.
    ///
    /// # Errors
    /// If it cannot be read, or holds no password.
    pub fn look(folder: &Path, name: &str) -> Result<Self, SetupError> {
        let path = folder.join(name);
        let text = file::read(&path)?.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
        if text.as_ref().is_some_and(|text| text.is_empty() || text.contains(['\n', '\0'])) {
            return Err(FileError::new(
                format!("{} holds no password", path.display()),
                "write the password into it, in one line and nothing else; or remove it, and one is made",
            )
            .into());
        }
        let is_open = text.is_some() && is_open(&path);
        Ok(Self { path, text, is_open })
    }

    /// What is in the file; `None` while it is missing.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The password, made if the file is missing. Gives whether it was made.
    ///
    /// # Errors
    /// If the file cannot be written, or the system gives no random bytes.
    pub fn make(&mut self) -> Result<bool, SetupError> {
        if self.text.is_some() {
            return Ok(false);
        }
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|error| {
            SetupError::refused(format!("the system gives no random bytes: {error}"), "try again")
        })?;
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(folder) = self.path.parent() {
            file::make_folder(folder)?;
        }
        let new = NewFile { path: self.path.clone(), text: format!("{text}\n"), is_public: false };
        if !file::create(&new)? {
            // Somebody else made it meanwhile; which of the two counts, a second run sees.
            return Err(FileError::new(
                format!("{} was made by somebody else just now", self.path.display()),
                "run this again",
            )
            .into());
        }
        self.text = Some(text);
        Ok(true)
    }

    /// What is to be said of the file.
    pub(super) fn warning(&self) -> Option<String> {
        let path = self.path.display();
        self.is_open
            .then(|| format!("{path} can be read by other users of this machine; run: chmod 600 {path}"))
    }
}

#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|facts| facts.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn one_is_made_once_and_kept() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let mut first = Password::look(&folder, "redis-warmer").unwrap();
        assert_eq!(first.text(), None);
        assert!(!folder.exists());
        assert!(first.make().unwrap());
        let text = first.text().unwrap().to_owned();
        assert_eq!(text.len(), 64);
        assert!(!format!("{first:?}").contains(&text));
        let mut second = Password::look(&folder, "redis-warmer").unwrap();
        assert!(!second.make().unwrap());
        assert_eq!((second.text(), second.is_open), (Some(text.as_str()), false));
        let mut other = Password::look(&folder, "redis-gateway").unwrap();
        other.make().unwrap();
        assert_ne!(other.text(), Some(text.as_str()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
            std::fs::set_permissions(&first.path, std::fs::Permissions::from_mode(0o644)).unwrap();
            let open = Password::look(&folder, "redis-warmer").unwrap();
            assert!(open.warning().unwrap().contains("chmod 600"));
        }
        for bad in ["", "\n", "two\nlines\n"] {
            std::fs::write(folder.join("bad"), bad).unwrap();
            assert!(Password::look(&folder, "bad").unwrap_err().to_string().contains("holds no password"));
        }
    }
}
