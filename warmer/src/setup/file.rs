//! Files that appear whole or not at all, and never in place of others.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A file that could not be read or written, with the next step.
#[derive(Debug, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct FileError {
    what: String,
    remedy: String,
    #[source]
    cause: Option<std::io::Error>,
}

impl FileError {
    pub(super) fn new(what: String, remedy: &str) -> Self {
        Self { what, remedy: remedy.to_owned(), cause: None }
    }

    fn of(path: &Path, what: &str, cause: std::io::Error) -> Self {
        Self {
            what: format!("cannot {what} {}: {cause}", path.display()),
            remedy: "check the path and its rights, or give another one".to_owned(),
            cause: Some(cause),
        }
    }
}

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Where.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
    /// Whether others than its owner may read it.
    pub is_public: bool,
}

/// Makes a folder that only its owner may enter, if it is missing.
///
/// # Errors
/// If it cannot be made.
pub(super) fn make_folder(path: &Path) -> Result<(), FileError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| FileError::of(path, "make the folder", error))
}

/// The content of a file; `None` if it is not there.
pub(super) fn read(path: &Path) -> Result<Option<String>, FileError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::of(path, "read", error)),
    }
}

/// Writes a file that must not be there; `false` if it is. Nobody sees a part of it.
pub(super) fn create(file: &NewFile) -> Result<bool, FileError> {
    let failed = |error| FileError::of(&file.path, "write", error);
    let folder = file.path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // Its mode is 0600 from the beginning.
    let mut new = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    new.write_all(file.text.as_bytes()).map_err(failed)?;
    #[cfg(unix)]
    if file.is_public {
        use std::os::unix::fs::PermissionsExt as _;
        new.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    new.as_file().sync_all().map_err(failed)?;
    match new.persist_noclobber(&file.path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error.error)),
    }
}

/// Writes all of the files, or none where another one of such a name is in the way. Gives for each whether it was written;
/// what is there with the same content stays.
pub(super) fn write_all(files: &[NewFile]) -> Result<Vec<bool>, FileError> {
    let mut missing = Vec::new();
    for file in files {
        match read(&file.path)? {
            None => missing.push(true),
            Some(text) if text == file.text => missing.push(false),
            Some(_) => return Err(in_the_way(&file.path)),
        }
    }
    for (file, is_missing) in files.iter().zip(&missing) {
        if *is_missing && !create(file)? {
            return Err(in_the_way(&file.path));
        }
    }
    Ok(missing)
}

fn in_the_way(path: &Path) -> FileError {
    FileError::new(
        format!("{} is there, with another content, and was left as it is", path.display()),
        "compare it with what is shown without --write; move it away, or give another path",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| NewFile {
            path: folder.path().join(name),
            text: text.to_owned(),
            is_public: name == "public",
        };
        let (public, private) = (file("public", "a"), file("private", "b"));
        assert_eq!(write_all(&[public.clone(), private.clone()]).unwrap(), [true, true]);
        assert_eq!(write_all(&[public.clone(), private.clone()]).unwrap(), [false, false]);
        // Nothing is written where one is in the way.
        let told = write_all(&[file("new", "c"), file("public", "d")]).unwrap_err().to_string();
        assert!(told.contains("public is there, with another content") && told.contains("move it"), "{told}");
        assert!(!folder.path().join("new").exists());
        assert!(!create(&private).unwrap());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |file: &NewFile| std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&public), mode(&private)), (0o644, 0o600));
        }
        assert!(write_all(&[file("no/such/folder", "")]).is_err());
    }
}
