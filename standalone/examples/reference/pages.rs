//! The pages of reference: of the settings from their commented files, of the commands from the programs' own help.

pub(crate) mod commands;
pub(crate) mod settings;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// What a page says of itself.
const MADE: &str = "<!-- Made by scripts/reference; what is changed here is lost. -->\n";

/// A page.
pub(crate) struct Page {
    /// Its file, from the root of the repository.
    pub(crate) path: &'static str,
    pub(crate) text: String,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All of them, as they must be now.
pub(crate) fn all() -> anyhow::Result<Vec<Page>> {
    let settings = settings::page(&settings_files()?)?;
    let commands = commands::page(&programs());
    Ok(vec![
        Page { path: "docs/settings.md", text: format!("{MADE}{settings}") },
        Page { path: "docs/commands.md", text: format!("{MADE}{commands}") },
    ])
}

/// The shipped files that have every setting, each with its program.
pub(crate) fn settings_files() -> anyhow::Result<Vec<settings::File>> {
    let read = |program: &'static str| {
        let path = root().join(format!("config/{program}.toml"));
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        settings::File::parse(program, &text).with_context(|| path.display().to_string())
    };
    ["warmer", "gateway"].map(read).into_iter().collect()
}

/// The command lines of all programs.
pub(crate) fn programs() -> Vec<clap::Command> {
    let mut programs = vec![
        warmer::cli::command(),
        gateway::cli::command(),
        standalone::cli::command(),
        loadtest::cli::command(),
    ];
    for program in &mut programs {
        program.build();
    }
    programs
}
