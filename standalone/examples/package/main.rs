//! Writes the manual pages and completions of the packaged programs. Usage: scripts/package (it calls this with a folder)

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap_complete::Shell;

/// Shells, and where Debian has completions of each.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/vendor-completions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).context("name the folder to write into")?);
    for program in [warmer::cli::command(), gateway::cli::command(), loadtest::cli::command()] {
        write(program, &folder).with_context(|| format!("cannot write into {}", folder.display()))?;
    }
    Ok(())
}

/// Into folders as below `/usr/share`.
fn write(program: clap::Command, folder: &Path) -> anyhow::Result<()> {
    for (shell, place) in SHELLS {
        let place = folder.join(place);
        std::fs::create_dir_all(&place)?;
        let name = program.get_name().to_owned();
        let path = clap_complete::generate_to(shell, &mut program.clone(), &name, &place)?;
        // Bash looks a command's completions up by the command's name.
        if shell == Shell::Bash {
            std::fs::rename(path, place.join(name))?;
        }
    }
    let pages = folder.join("man/man1");
    std::fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(program, &pages)?;
    Ok(())
}
