//! Files to start a Redis with: its settings, and its users.

use std::path::Path;

use shared::cache::acl_user_words;

use super::report::Report;
use super::settings::Wanted;
use super::{Login, make_passwords};
use crate::setup::SetupError;
use crate::setup::file::{self, NewFile};

/// Writes both into a folder, which is made if it is missing.
pub(super) fn write(
    folder: &Path,
    wanted: &[Wanted],
    logins: &mut [Login; 2],
    others: &[String],
    report: &mut Report,
) -> Result<(), SetupError> {
    file::make_folder(folder)?;
    // The server may run in another folder.
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let (settings, users) = (folder.join("redis.conf"), folder.join("users.acl"));
    make_passwords(logins, &mut report.done)?;
    let files = [
        NewFile { path: settings.clone(), text: settings_text(wanted, &settings, &users), is_public: true },
        NewFile { path: users.clone(), text: users_text(logins, others, report), is_public: false },
    ];
    let written = file::write_all(&files)?;
    for (file, written) in files.iter().zip(written) {
        let what = if written { "wrote" } else { "is there already:" };
        report.done.push(format!("{what} {}", file.path.display()));
    }
    report.done.push(format!(
        "to use them: give {users} to the user that redis runs as (chown redis {users}), write the line \"include {settings}\" at the \
         end of its own file of settings, and restart it",
        users = users.display(),
        settings = settings.display()
    ));
    Ok(())
}

fn settings_text(wanted: &[Wanted], own: &Path, users: &Path) -> String {
    let mut text = format!(
        "# Redis as Hotshelf's cache; by `warmer setup redis --write`. Start a server with this file, or name it at the end of the\n\
         # server's own, where it wins over what comes before:\n#   include {}\n",
        own.display()
    );
    for setting in wanted {
        text.push_str(&format!("\n# {}\n{}", setting.why, setting.lines()));
    }
    text.push_str(&format!(
        "\n# The users of warmer and gateway, and all that this server had. With it, lines `user` in other files of settings are refused.\n\
         aclfile {}\n",
        quoted(users)
    ));
    text
}

/// A path as one word.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    if path.contains([' ', '"', '\'']) { format!("{path:?}") } else { path }
}

/// The users that the server has, ours anew. Without the line of `default`, Redis lets everybody in without a password, too;
/// so it stands there to be seen.
fn users_text(logins: &[Login; 2], others: &[String], report: &Report) -> String {
    let is_ours = |line: &str| {
        let name = line.split(' ').nth(1);
        logins.iter().any(|login| Some(login.name.as_str()) == name)
    };
    let mut lines: Vec<String> = others.iter().filter(|line| !is_ours(line)).cloned().collect();
    if !lines.iter().any(|line| line.starts_with("user default ")) {
        lines.insert(0, "user default on nopass ~* +@all".to_owned());
    }
    for (login, row) in logins.iter().zip(&report.users) {
        let rules: Vec<String> = row.rules.split(' ').map(str::to_owned).collect();
        let words = acl_user_words(&rules, login.password.text().unwrap_or_default());
        lines.push(format!("user {} {}", login.name, words.join(" ")));
    }
    lines.join("\n") + "\n"
}
