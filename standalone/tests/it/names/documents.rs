//! The documents that people read, and what in them is code.

use std::path::Path;

use crate::pages;

/// A document.
pub(super) struct Document {
    /// From the root of the repository.
    pub(super) path: String,
    pub(super) text: String,
}

/// A piece of code in a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// Line of the document in which it begins, from 1.
    pub(super) line: usize,
    pub(super) text: String,
    /// Of a block: its language, empty if none is named. `None` = a few words within a line.
    pub(super) block: Option<String>,
}

/// All of them; the changelog tells of what once was.
pub(super) fn documents() -> Vec<Document> {
    let root = pages::root();
    let mut paths: Vec<String> =
        ["README.md", "README.zh-CN.md", "ARCHITECTURE.md"].map(str::to_owned).to_vec();
    for (folder, extensions) in [
        ("docs", &["md"][..]),
        ("config", &["toml", "yml", "json", "conf"]),
        ("systemd", &["service", "socket", "timer", "conf", "md"]),
    ] {
        files(&root, folder, extensions, &mut paths);
    }
    let read = |path: String| Some(Document { text: std::fs::read_to_string(root.join(&path)).ok()?, path });
    let documents: Vec<Document> = paths.into_iter().filter_map(read).collect();
    assert!(documents.len() > 15, "the documents are not found");
    documents
}

fn files(root: &Path, folder: &str, extensions: &[&str], paths: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return };
    let mut names: Vec<String> =
        entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy())).collect();
    names.sort_unstable();
    for name in names {
        if root.join(&name).is_dir() {
            files(root, &name, extensions, paths);
        } else if extensions.iter().any(|extension| name.ends_with(&format!(".{extension}"))) {
            paths.push(name);
        }
    }
}

impl Document {
    fn is_markdown(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "md")
    }

    /// Its code. Of files that are not Markdown: what stands in backticks, what is further in within comments, and lines
    /// that systemd runs.
    pub(super) fn code(&self) -> Vec<Code> {
        if self.is_markdown() { of_markdown(&self.text) } else { of_config(&self.text) }
    }

    /// Where settings are named: the code of Markdown, the whole of other files but for JSON.
    pub(super) fn names_settings(&self) -> Vec<Code> {
        if self.is_markdown() {
            return self.code();
        }
        let lines = if self.path.ends_with(".json") { "" } else { &self.text };
        let line = |(at, text): (usize, &str)| Code { line: at + 1, text: text.to_owned(), block: None };
        lines.lines().enumerate().map(line).collect()
    }
}

fn of_markdown(text: &str) -> Vec<Code> {
    let mut found = Vec::new();
    let mut paragraph: Vec<&str> = Vec::new();
    let mut block: Option<Code> = None;
    for (at, line) in text.lines().chain([""]).enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut block, fence) {
            (Some(_), Some(_)) => found.extend(block.take()),
            (Some(code), None) => code.text += &format!("{line}\n"),
            (None, Some(language)) => {
                spans(&std::mem::take(&mut paragraph), at, &mut found);
                let language = language.trim().to_owned();
                block = Some(Code { line: at + 2, text: String::new(), block: Some(language) });
            }
            (None, None) if line.trim().is_empty() => spans(&std::mem::take(&mut paragraph), at, &mut found),
            (None, None) => paragraph.push(line),
        }
    }
    found.extend(block);
    found
}

/// What stands in backticks in a paragraph that ends before the line `end`.
fn spans(paragraph: &[&str], end: usize, found: &mut Vec<Code>) {
    let text = paragraph.join("\n");
    let mut at = 0;
    while let Some(open) = text[at..].find('`').map(|open| at + open) {
        let ticks = text[open..].bytes().take_while(|byte| *byte == b'`').count();
        let begin = open + ticks;
        let Some(length) = text[begin..].find(&"`".repeat(ticks)) else { return };
        let line = end + 1 - paragraph.len() + text[..open].matches('\n').count();
        found.push(Code { line, text: text[begin..begin + length].replace('\n', " "), block: None });
        at = begin + length + ticks;
    }
}

fn of_config(text: &str) -> Vec<Code> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        spans(&[line], at + 1, &mut found);
        let further_in = line.trim_start().strip_prefix("#   ");
        let runs =
            line.strip_prefix("Exec").and_then(|line| line.split_once('=')).map(|(_, command)| command);
        if let Some(command) = further_in.or(runs) {
            let text = command.trim_start_matches(['-', '@', ':', '+', '!', ' ']).to_owned();
            found.push(Code { line: at + 1, text, block: Some(String::new()) });
        }
    }
    found
}

#[test]
fn code_is_found_with_its_line() {
    let text = "a `b\nc` d\n\n```toml\nx = 1\ny\n```\n- ``e`f`` g\n";
    let code = |line, text: &str, block: Option<&str>| Code {
        line,
        text: text.to_owned(),
        block: block.map(str::to_owned),
    };
    let expected = [code(1, "b c", None), code(5, "x = 1\ny\n", Some("toml")), code(8, "e`f", None)];
    assert_eq!(of_markdown(text), expected);
    let text = "# see `a`\n#   b --c\nExecStartPre=-/usr/bin/d e\nf = 1\n";
    let expected = [code(1, "a", None), code(2, "b --c", Some("")), code(3, "/usr/bin/d e", Some(""))];
    assert_eq!(of_config(text), expected);
}
