//! Where the server programs are.

use std::path::PathBuf;

/// Where servers are that are not on the `PATH` of whoever is not root.
const OF_SERVERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The path of a program, from `PATH`, from the folders of servers, or from those in which Debian keeps PostgreSQL's (newest
/// version first).
///
/// # Panics
/// When it is nowhere; the message says which package has it.
#[must_use]
pub fn find(program: &str, package: &str) -> PathBuf {
    look_for(program).unwrap_or_else(|| {
        panic!(
            "{program} was not found in PATH, /usr/sbin or /usr/lib/postgresql/*/bin: this test needs it. \
             Install it with `apt-get install {package}` (or put it into PATH) and run the tests again"
        )
    })
}

/// As [`find`], or `None` when it is nowhere.
pub(crate) fn look_for(program: &str) -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "tests look programs up as the shell does")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    std::env::split_paths(&path)
        .chain(OF_SERVERS.map(PathBuf::from))
        .chain(versions.into_iter().map(|(_, folder)| folder))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
