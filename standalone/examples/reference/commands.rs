//! `docs/commands.md`, from the command lines as clap has them.

use std::fmt::Write as _;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};
use shared::config::origins::ADDRESSES;

use super::settings::cell;

const HEAD: &str = "\
# Commands

The four programs with all their commands and options, as `--help` (`-h`) tells them; `--version` (`-V`) says which version it is.
Settings files have many more keys than there are options: [settings.md](settings.md).

Exit codes of all programs: 0 done, or stopped as asked; 1 failed, or what the command says; 64 wrong usage; 78 wrong settings.

| variable | |
|---|---|
| `HOTSHELF_REDIS_URL` | address of Redis, with user and password; wins over `redis.url`, and `--redis` wins over it |
| `HOTSHELF_POSTGRES_URL` | address of PostgreSQL, likewise: `postgres.url`, `--postgres` |
| `HOTSHELF_REDIS_PASSWORD_FILE`, `HOTSHELF_POSTGRES_PASSWORD_FILE` | file that holds the password; wins over `redis.password_file`, `postgres.password_file`, unless the file is blank |
| `HOTSHELF_TOKEN` | bearer token with which `loadtest` asks, where there is no `--token-file` |
";

/// The page.
pub(crate) fn page(programs: &[Command]) -> String {
    let mut page = HEAD.to_owned();
    for program in programs {
        section(&mut page, program, 2);
    }
    page
}

/// A command and those below it.
fn section(page: &mut String, command: &Command, depth: usize) {
    let name = command.get_bin_name().unwrap_or(command.get_name());
    let _ = write!(page, "\n{} {name}\n\n", "#".repeat(depth));
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        let _ = write!(page, "{}.\n\n", about.to_string().trim_end_matches('.'));
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").lines().map(str::trim);
    let _ = write!(page, "```\n{}\n```\n", usage.collect::<Vec<_>>().join("\n"));
    let (positional, options): (Vec<&Arg>, Vec<&Arg>) = command
        .get_arguments()
        .filter(|argument| !is_of_every_command(argument))
        .partition(|argument| argument.is_positional());
    if !(positional.is_empty() && options.is_empty()) {
        page.push_str("\n| option | |\n|---|---|\n");
        for argument in positional.into_iter().chain(options) {
            let _ = writeln!(page, "| {} | {} |", name_of(argument), cell(&what(argument)));
        }
    }
    if let Some(more) = command.get_after_long_help().or(command.get_after_help()) {
        let _ = write!(page, "\n```\n{}\n```\n", more.to_string().trim_end());
    }
    for below in commands(command) {
        section(page, below, depth + 1);
    }
}

/// The commands below a command, as people know them.
pub(crate) fn commands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set())
}

fn is_of_every_command(argument: &Arg) -> bool {
    argument.is_hide_set() || matches!(argument.get_id().as_str(), "help" | "version")
}

fn name_of(argument: &Arg) -> String {
    let takes_value = argument.get_action().takes_values();
    let values = argument.get_value_names().unwrap_or_default();
    let value = values.iter().map(|name| format!("<{name}>")).collect::<Vec<_>>().join(" ");
    let mut names: Vec<String> =
        argument.get_short().map(|short| format!("`-{short}`")).into_iter().collect();
    let longs = argument.get_long().into_iter().chain(argument.get_visible_aliases().unwrap_or_default());
    for long in longs {
        names.push(if takes_value { format!("`--{long} {value}`") } else { format!("`--{long}`") });
    }
    if names.is_empty() {
        names.push(format!("`{value}`"));
    }
    cell(&names.join(", "))
}

/// Help, values, default and variable of an argument.
fn what(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help()).map(StyledStr::to_string).unwrap_or_default();
    let mut parts = vec![format!("{}.", help.trim_end_matches('.'))];
    let values: Vec<String> = argument
        .get_possible_values()
        .iter()
        .filter(|value| argument.get_action().takes_values() && !value.is_hide_set())
        .map(|value| {
            let help = value.get_help().map(|help| format!(" ({help})"));
            format!("`{}`{}", value.get_name(), help.unwrap_or_default())
        })
        .collect();
    if !values.is_empty() {
        parts.push(format!("One of {}.", values.join(", ")));
    }
    if matches!(argument.get_action(), ArgAction::Append)
        && !help.contains("several")
        && !help.contains("repeated")
    {
        parts.push("May be given several times.".to_owned());
    }
    if argument.is_required_set() {
        parts.push("Needed.".to_owned());
    }
    let defaults: Vec<String> =
        argument.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    if argument.get_action().takes_values() && !defaults.is_empty() {
        parts.push(format!("Default: {}.", defaults.join(", ")));
    }
    let address = ADDRESSES.into_iter().find(|address| {
        argument.get_long().is_some_and(|long| address.option.strip_prefix("--") == Some(long))
    });
    let own = argument.get_env().map(|variable| variable.to_string_lossy().into_owned());
    if let Some(variable) = own.or(address.map(|address| address.variable.to_owned())) {
        parts.push(format!("Variable: `{variable}`."));
    }
    parts.join(" ")
}
