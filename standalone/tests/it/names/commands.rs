//! Command lines of the four programs: their commands and options exist.

use clap::{Arg, Args as _, Command};
use shared::runtime::windows_service::ServiceArgs;

use super::documents::Code;
use super::{in_all, none};
use crate::pages::{self, commands::commands};

/// Words before a program that run it.
const RUNNERS: [&str; 6] = ["sudo", "exec", "env", "nohup", "time", "nice"];
/// Options that stand alone in documents and are those of cargo and of scripts.
const FOREIGN: [&str; 4] = ["--release", "--features", "--profile", "--soak"];

/// What is wrong in a piece of code, each with its line.
fn faults(code: &Code, programs: &[Command]) -> Vec<(usize, String)> {
    let mut faults = Vec::new();
    for (line, words) in command_lines(code) {
        if let Some((program, arguments)) = run(&words, programs) {
            faults.extend(wrong(program, arguments).map(|what| (line, what)));
        }
    }
    let option =
        code.text.split([' ', '=']).next().filter(|word| code.block.is_none() && word.starts_with("--"));
    if let Some(option) = option.filter(|option| !FOREIGN.contains(option))
        && !programs.iter().any(|program| has_below(program, option))
    {
        faults.push((code.line, format!("no program has the option {option}")));
    }
    faults
}

fn has_below(command: &Command, option: &str) -> bool {
    find(command, option).is_some() || commands(command).any(|below| has_below(below, option))
}

/// An option of a command.
fn find<'a>(command: &'a Command, option: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|argument| match option.strip_prefix("--") {
        Some(long) => {
            argument.get_long() == Some(long)
                || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&long))
        }
        None => argument.get_short().is_some_and(|short| option == format!("-{short}")),
    })
}

/// The command lines of a block, or of a few words, as words. Where a block has prompts, what stands behind none is output.
fn command_lines(code: &Code) -> Vec<(usize, Vec<String>)> {
    let has_prompts = code.block.is_some() && code.text.lines().any(|line| line.starts_with("$ "));
    let mut found = Vec::new();
    let mut lines = code.text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let behind = line.strip_prefix("$ ");
        let mut line = behind.unwrap_or(line).trim().to_owned();
        while line.ends_with('\\')
            && let Some((_, next)) = lines.next()
        {
            line.pop();
            line.push_str(next.trim());
        }
        if behind.is_some() || !has_prompts {
            found.extend(split(&line).into_iter().map(|words| (code.line + at, words)));
        }
    }
    found
}

/// The commands of a line as a shell takes them apart, roughly.
fn split(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '|' | '&' | ';' | '(' | ')') => {
                words.push(std::mem::take(&mut word));
                all.push(std::mem::take(&mut words));
            }
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (None, '#') if word.is_empty() => break,
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    all.push(words);
    for words in &mut all {
        words.retain(|word| !word.is_empty());
    }
    all
}

/// The program that a command runs, with its arguments.
fn run<'a, 'w>(words: &'w [String], programs: &'a [Command]) -> Option<(&'a Command, &'w [String])> {
    let by_name = |name: &str| programs.iter().find(|program| program.get_name() == name);
    let mut words = words;
    loop {
        let (first, rest) = words.split_first()?;
        if first == "cargo" {
            let package =
                rest.iter().position(|word| word == "-p" || word == "--package" || word == "--bin")?;
            let program = by_name(rest.get(package + 1)?)?;
            let own = rest.iter().position(|word| word == "--");
            let arguments = own.map_or(&rest[..0], |own| &rest[own + 1..]);
            return (rest.first()? == "run").then_some((program, arguments));
        }
        let is_variable = first
            .split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
        if first == "sudo" && rest.first().is_some_and(|word| word == "-u") {
            words = rest.get(2..)?;
        } else if is_variable || RUNNERS.contains(&first.as_str()) {
            words = rest;
        } else {
            return Some((by_name(first.rsplit('/').next()?)?, rest));
        }
    }
}

/// The first thing that is wrong in the arguments of a program.
fn wrong(program: &Command, arguments: &[String]) -> Option<String> {
    let mut command = program;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let word = word.trim_matches(['[', ']', ',', '…']);
        let name = command.get_bin_name().unwrap_or(command.get_name());
        if word == "--" {
            return None;
        } else if word.len() > 1 && word.starts_with('-') {
            let (option, value) =
                word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
            if ["--help", "-h", "--version", "-V"].contains(&option) {
                continue;
            }
            let Some(argument) = find(command, option) else {
                return Some(format!("{name} has no option {option}"));
            };
            if argument.get_action().takes_values() && value.is_none() {
                words.next();
            }
        } else if let Some(below) = command.find_subcommand(word) {
            command = below;
        } else if command.has_subcommands() && command.get_positionals().next().is_none() {
            let is_command = word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            // What begins otherwise is prose or a picture, such as the parts of the usage and arrows.
            return is_command.then(|| format!("{name} has no command {word}"));
        }
    }
    None
}

#[test]
fn commands_and_options_that_documents_name_exist() {
    let mut programs = pages::programs();
    for program in programs.iter_mut().filter(|program| ["warmer", "gateway"].contains(&program.get_name())) {
        // Only there on Windows.
        *program = program.clone().subcommand(ServiceArgs::augment_args(Command::new("service")));
    }
    none(&in_all(|document| document.code().iter().flat_map(|code| faults(code, &programs)).collect()));
}

#[test]
fn documents_name_many_options() {
    let without = ["warmer", "gateway", "loadtest", "standalone"].map(Command::new);
    let found = in_all(|document| document.code().iter().flat_map(|code| faults(code, &without)).collect());
    assert!(found.len() > 100, "{} are found", found.len());
}

#[test]
fn every_command_and_option_is_on_the_page_of_commands() {
    let page = std::fs::read_to_string(pages::root().join("docs/commands.md")).unwrap();
    let mut faults = Vec::new();
    let mut open = pages::programs();
    while let Some(command) = open.pop() {
        let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
        let part = page
            .split("\n#")
            .find(|part| part.trim_start_matches('#').lines().next() == Some(&format!(" {name}")));
        let Some(part) = part else {
            faults.push(format!("docs/commands.md has no part on {name}"));
            continue;
        };
        for long in command.get_arguments().filter_map(Arg::get_long) {
            let is_of_all = long == "help" || long == "version";
            if !is_of_all && !part.contains(&format!("`--{long}`")) && !part.contains(&format!("`--{long} "))
            {
                faults.push(format!("docs/commands.md has no --{long} of {name}"));
            }
        }
        open.extend(commands(&command).cloned());
    }
    none(&faults);
}

#[test]
fn a_command_or_option_that_there_is_none_of_is_found() {
    let programs = pages::programs();
    let found = |text: &str, block: Option<&str>| -> Vec<String> {
        let code = Code { line: 1, text: text.to_owned(), block: block.map(str::to_owned) };
        faults(&code, &programs).into_iter().map(|(_, what)| what).collect()
    };
    let block = |text: &str| found(text, Some("")).concat();
    for right in [
        "warmer once --config a --redis=b   # --no",
        "FOO=bar target/release/gateway --listen a:1 \\\n  --redis b | head --no",
        "sudo -u hotshelf /usr/bin/gateway token new --name 'a --no' > warmer",
        "cargo run --release -p standalone -- --orders a",
        "cargo build -p warmer --no",
        "systemctl restart warmer --no",
        "$ loadtest check a --http 2\nwarmer nothing --no",
        "warmer inspect anything -h; warmer completions bash",
        "warmer ─▶ Redis ◀─ gateway",
    ] {
        assert_eq!(block(right), "", "{right}");
    }
    for (wrong, told) in [
        ("warmer once --confg a", "warmer once has no option --confg"),
        ("x | warmer onec", "warmer has no command onec"),
        ("warmer \\\n  hot --redis a", "warmer hot has no option --redis"),
        ("$ gateway token make", "gateway token has no command make"),
        ("cargo run -p standalone -- --order a", "standalone has no option --order"),
        ("loadtest record a -x", "loadtest record has no option -x"),
        ("[Service]\nwarmer run [--admi A]", "warmer run has no option --admi"),
    ] {
        assert_eq!(block(wrong), told, "{wrong}");
    }
    assert_eq!(found("warmer hott", None), ["warmer has no command hott"]);
    assert_eq!(found("--listn ADDRESS", None), ["no program has the option --listn"]);
    assert!(found("--listen", None).is_empty() && found("gateway ×N", None).is_empty());
}
