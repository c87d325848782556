//! `docs/settings.md`, from the comments of `config/warmer.toml` and `config/gateway.toml`.

use std::fmt::Write as _;

use anyhow::bail;

/// A commented settings file.
pub(crate) struct File {
    program: &'static str,
    pub(crate) sections: Vec<Section>,
}

/// A section with what is written about it.
pub(crate) struct Section {
    name: String,
    comment: String,
    pub(crate) keys: Vec<Key>,
}

/// A key with what is written about it.
pub(crate) struct Key {
    /// With its section: `redis.url`.
    pub(crate) name: String,
    /// As it is written.
    pub(crate) value: String,
    /// Whether it is commented out, as what has no default is.
    pub(crate) is_example: bool,
    comment: String,
}

impl File {
    /// Reads the form that both files have: comments before what they are about; a key right below another one without a
    /// comment of its own shares that one's; what has no default is there as a comment.
    pub(crate) fn parse(program: &'static str, text: &str) -> anyhow::Result<Self> {
        let mut file = Self { program, sections: Vec::new() };
        let (mut comment, mut of_last, mut in_block) = (Vec::new(), String::new(), false);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let commented = line.strip_prefix("# ");
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                let (name, comment) = (name.to_owned(), prose(&std::mem::take(&mut comment)));
                file.sections.push(Section { name, comment, keys: Vec::new() });
                of_last.clear();
                continue;
            }
            if line.is_empty() {
                comment.clear();
                of_last.clear();
                continue;
            }
            let Some(section) = file.sections.last_mut() else { continue };
            let own = |comment: &mut Vec<&str>, of_last: &mut String| {
                if !comment.is_empty() {
                    *of_last = prose(&std::mem::take(comment));
                }
                of_last.clone()
            };
            if commented == Some("[[access.tokens]]") {
                in_block = true;
                let comment = own(&mut comment, &mut of_last);
                let name = "access.tokens".to_owned();
                section.keys.push(Key { name, value: String::new(), is_example: true, comment });
            } else if let Some((key, value)) = assignment(commented.unwrap_or(line)) {
                let (mut name, mut value) = (format!("{}.{key}", section.name), value.trim().to_owned());
                while commented.is_none() && format!("x = {value}").parse::<toml::Table>().is_err() {
                    let Some(next) = lines.next() else { bail!("{name} has no end") };
                    value.push_str(next.trim());
                }
                value = value.replace(",]", "]");
                let comment = match value.split_once(" # ") {
                    Some((before, after)) if in_block => {
                        let after = after.to_owned();
                        name = format!("access.tokens[].{key}");
                        value = before.trim().to_owned();
                        after
                    }
                    _ => own(&mut comment, &mut of_last),
                };
                section.keys.push(Key { name, value, is_example: commented.is_some(), comment });
            } else if let Some(text) = line.strip_prefix('#') {
                in_block = false;
                comment.push(text);
            } else {
                bail!("{line:?} is no line of a settings file as this one has");
            }
        }
        Ok(file)
    }
}

/// Key and value of a line; prose may have an equals sign, but not behind a single word in small letters.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(" = ")?;
    let is_key = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_key.then_some((key, value))
}

/// Lines of a comment as one; a line further in is a command.
fn prose(lines: &[&str]) -> String {
    let line = |line: &&str| match line.strip_prefix("   ") {
        Some(command) => format!("`{}`", command.trim()),
        None => line.trim().to_owned(),
    };
    lines.iter().map(line).collect::<Vec<_>>().join(" ")
}

/// A text with links where it names documents, for a page that lies beside them.
fn linked(text: &str) -> String {
    let mut linked = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("docs/") {
        linked.push_str(before);
        rest = after;
        match after.split_once(".md") {
            Some((name, after)) if name.chars().all(|c| c.is_ascii_lowercase() || c == '-') => {
                let _ = write!(linked, "[{name}.md]({name}.md)");
                rest = after;
            }
            _ => linked.push_str("docs/"),
        }
    }
    linked + rest
}

const HEAD: &str = "\
# Settings

Every key, as [config/warmer.toml](../config/warmer.toml) and [config/gateway.toml](../config/gateway.toml) show it. Warmer and
gateway read the same form, so one file can serve both; each uses the keys that its column names. Files are named with
`--config FILE`, which may be given several times: later ones override earlier ones, key by key. A key that is left out has its
default; an unknown one, or a value outside its limits, is refused at start, all of them at once, with exit code 78.
The variables HOTSHELF_REDIS_URL and HOTSHELF_POSTGRES_URL win over `redis.url` and `postgres.url`, and options of the command line
([commands.md](commands.md)) over both; units of systemd name files of passwords by HOTSHELF_REDIS_PASSWORD_FILE and HOTSHELF_POSTGRES_PASSWORD_FILE. What counts in the end, and where it comes from: `warmer config show`, `gateway config show`.

Durations are written \"50ms\", \"15m\" or \"24h\"; sizes \"64MiB\" or \"1GiB\"; amounts \"6.5\".
A key without a default says \"none\", with an example. What to change for how many users of dashboards:
[users-50.toml](../config/users-50.toml), [users-200.toml](../config/users-200.toml), [users-500.toml](../config/users-500.toml).
";

/// The page.
pub(crate) fn page(files: &[File]) -> anyhow::Result<String> {
    let mut page = HEAD.to_owned();
    let mut names: Vec<&str> = Vec::new();
    for section in files.iter().flat_map(|file| &file.sections) {
        if !names.contains(&section.name.as_str()) {
            names.push(&section.name);
        }
    }
    for name in names {
        let of =
            |file: &File| -> Option<usize> { file.sections.iter().position(|section| section.name == name) };
        let sections: Vec<(&str, &Section)> =
            files.iter().filter_map(|file| Some((file.program, file.sections.get(of(file)?)?))).collect();
        write!(page, "\n## {name}\n\n")?;
        let comment = told(sections.iter().map(|(program, section)| (*program, section.comment.as_str())));
        if !comment.is_empty() {
            write!(page, "{}\n\n", linked(&comment))?;
        }
        page.push_str("| key | default | used by | |\n|---|---|---|---|\n");
        let mut done: Vec<&str> = Vec::new();
        for key in sections.iter().flat_map(|(_, section)| &section.keys) {
            if done.contains(&key.name.as_str()) {
                continue;
            }
            done.push(&key.name);
            let same = sections.iter().flat_map(|(program, section)| {
                section.keys.iter().filter(|other| other.name == key.name).map(|other| (*program, other))
            });
            page.push_str(&row(&same.collect::<Vec<_>>()));
        }
    }
    Ok(page)
}

/// The row of a key, as each program's file has it.
fn row(key: &[(&str, &Key)]) -> String {
    let Some((_, first)) = key.first() else { return String::new() };
    let default = match (first.is_example, first.value.is_empty()) {
        (true, true) => "none".to_owned(),
        (true, false) => format!("none (`{}`)", cell(&first.value)),
        (false, _) => format!("`{}`", cell(&first.value)),
    };
    let programs: Vec<&str> = key.iter().map(|(program, _)| *program).collect();
    let comment = told(key.iter().map(|(program, key)| (*program, key.comment.as_str())));
    format!("| `{}` | {default} | {} | {} |\n", first.name, programs.join(", "), cell(&linked(&comment)))
}

/// What the programs' files say: once, if they say the same.
fn told<'a>(comments: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let comments: Vec<(&str, &str)> = comments.filter(|(_, comment)| !comment.is_empty()).collect();
    match &comments[..] {
        [] => String::new(),
        [(_, comment)] => (*comment).to_owned(),
        [(_, first), others @ ..] if others.iter().all(|(_, other)| other == first) => (*first).to_owned(),
        different => {
            let each = different.iter().map(|(program, comment)| format!("*{program}:* {comment}"));
            each.collect::<Vec<_>>().join(" ")
        }
    }
}

/// A text for a cell of a table.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
