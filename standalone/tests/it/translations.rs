//! The Chinese pages are kept in step with the English ones: headings of the same levels in the same order, and below each of
//! them the same commands, settings and names. What they say of these is the translator's.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

/// English page and its translation, from the root of the repository.
const PAIRS: [(&str, &str); 5] = [
    ("README.md", "README.zh-CN.md"),
    ("docs/quickstart.md", "docs/zh/quickstart.md"),
    ("docs/operations.md", "docs/zh/operations.md"),
    ("docs/page.md", "docs/zh/page.md"),
    ("docs/loadtest.md", "docs/zh/loadtest.md"),
];

/// Languages of code blocks of which every line is part of a file to write.
const FILES: [&str; 7] = ["toml", "ini", "yaml", "yml", "nginx", "conf", "sql"];
/// Languages of code blocks that hold output only.
const OUTPUTS: [&str; 2] = ["text", "json"];

/// A heading and what stands below it, up to the next one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    /// 1 for `#`; 0 for what stands before the first heading.
    level: usize,
    title: String,
    /// Commands and lines of settings in code blocks, without comments.
    commands: Vec<String>,
    /// Code in the running text that is ASCII: commands, flags, settings, metrics, paths, messages.
    names: BTreeSet<String>,
}

/// The parts of a page.
fn parts(page: &str) -> Vec<Part> {
    let mut parts = vec![Part::default()];
    let mut paragraph = String::new();
    let mut block: Option<(&str, Vec<&str>)> = None;
    for line in page.lines() {
        if let Some((language, mut lines)) = block.take() {
            if line.trim_start().starts_with("```") {
                add(&mut parts, |part| part.commands.extend(commands(language, &lines)));
            } else {
                lines.push(line);
                block = Some((language, lines));
            }
            continue;
        }
        let trimmed = line.trim();
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        let heading = level > 0 && line[level..].starts_with(' ');
        let item = trimmed.starts_with("- ") || trimmed.starts_with('|');
        if trimmed.is_empty() || trimmed.starts_with("```") || heading || item {
            add(&mut parts, |part| part.names.extend(names(&paragraph)));
            paragraph.clear();
        }
        if let Some(language) = trimmed.strip_prefix("```") {
            block = Some((language.trim(), vec![]));
        } else if heading {
            let title = line[level..].trim().to_owned();
            parts.push(Part { level, title, ..Part::default() });
        } else {
            paragraph.push_str(trimmed);
            paragraph.push(' ');
        }
    }
    add(&mut parts, |part| part.names.extend(names(&paragraph)));
    parts
}

/// Adds to the part that is being read.
fn add(parts: &mut [Part], what: impl FnOnce(&mut Part)) {
    if let Some(part) = parts.last_mut() {
        what(part);
    }
}

/// What of a code block must be the same in every language: all lines of a file; of a session the lines after `$ `; else
/// those that begin with a program. Lines that go on after a backslash belong to the one before.
fn commands(language: &str, lines: &[&str]) -> Vec<String> {
    if OUTPUTS.contains(&language) {
        return vec![];
    }
    let file = FILES.contains(&language);
    let session = lines.iter().any(|line| line.starts_with("$ "));
    let mut found: Vec<String> = vec![];
    let mut goes_on = false;
    for line in lines {
        let told = if session { line.strip_prefix("$ ") } else { Some(*line) };
        if goes_on && let Some(last) = found.last_mut() {
            let more = uncommented(line);
            goes_on = more.ends_with('\\');
            last.push(' ');
            last.push_str(more.trim());
            continue;
        }
        let Some(code) = told.map(uncommented).filter(|code| !code.is_empty()) else { continue };
        if file || session || begins_with_program(code) {
            goes_on = !file && code.ends_with('\\');
            found.push(code.trim().to_owned());
        }
    }
    found
}

/// Whether a line of a block without `$ ` is a command: pictures and what is listed below a line are indented, sentences
/// begin with a capital letter.
fn begins_with_program(code: &str) -> bool {
    let word = code.split([' ', '=']).next().unwrap_or_default();
    let first = word.bytes().next().unwrap_or(b' ');
    (first.is_ascii_lowercase() || b"./~\"$".contains(&first) || code.starts_with("PATH="))
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./~\"${}_+-".contains(&byte))
}

/// A line without its comment: `#` outside quotes, at the line's begin or after a blank.
fn uncommented(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (None, '#') if before.is_whitespace() => return line[..at].trim_end(),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
        before = character;
    }
    line.trim_end()
}

/// The code spans of a paragraph that are ASCII, each run of blanks one.
fn names(paragraph: &str) -> Vec<String> {
    let mut found = vec![];
    let mut rest = paragraph;
    while let Some(begin) = rest.find('`') {
        let ticks = rest[begin..].bytes().take_while(|byte| *byte == b'`').count();
        let inside = &rest[begin + ticks..];
        // The end is a run of as many; a longer or shorter one is part of the code.
        let mut end = None;
        let mut at = 0;
        while let Some(next) = inside[at..].find('`') {
            let run = inside[at + next..].bytes().take_while(|byte| *byte == b'`').count();
            if run == ticks {
                end = Some(at + next);
                break;
            }
            at += next + run;
        }
        let Some(end) = end else {
            rest = inside;
            continue;
        };
        let code = inside[..end].split_whitespace().collect::<Vec<_>>().join(" ");
        if code.is_ascii() {
            found.push(code);
        }
        rest = &inside[end + ticks..];
    }
    found
}

/// Where a translation is not in step, in words: the heading and the first difference.
fn first_difference(english: &str, chinese: &str) -> Option<String> {
    let (english, chinese) = (parts(english), parts(chinese));
    for (ours, theirs) in english.iter().zip(&chinese) {
        let heading = format!("{:?} (in English {:?})", theirs.title, ours.title);
        let place = format!("under {heading}");
        if ours.level != theirs.level {
            return Some(format!("{heading}: it is of level {}, not {}", theirs.level, ours.level));
        }
        // Alerts are looked up by their names.
        if ours.title.starts_with("Hotshelf") && ours.title != theirs.title {
            return Some(format!("{heading}: the name of an alert is not translated"));
        }
        let most = ours.commands.len().max(theirs.commands.len());
        for number in 0..most {
            let (our, their) = (ours.commands.get(number), theirs.commands.get(number));
            if our != their {
                let show = |command: Option<&String>| {
                    command.map_or("nothing more".to_owned(), |text| format!("`{text}`"))
                };
                return Some(format!(
                    "{place}: command {}: {}, in English {}",
                    number + 1,
                    show(their),
                    show(our)
                ));
            }
        }
        if let Some(name) = ours.names.difference(&theirs.names).next() {
            return Some(format!("{place}: `{name}` is missing"));
        }
        if let Some(name) = theirs.names.difference(&ours.names).next() {
            return Some(format!("{place}: `{name}` is not in the English page there"));
        }
    }
    if let Some(missing) = english.get(chinese.len()) {
        return Some(format!("at the end: the heading {:?} is missing", missing.title));
    }
    chinese
        .get(english.len())
        .map(|more| format!("at the end: the heading {:?} is not in the English page", more.title))
}

/// A file of the repository.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display())).unwrap()
}

#[test]
fn chinese_pages_have_the_headings_commands_and_names_of_the_english_ones() {
    let differences: Vec<String> = PAIRS
        .iter()
        .filter_map(|(english, chinese)| {
            let difference = first_difference(&read(english), &read(chinese))?;
            Some(format!("{chinese} is not in step with {english}: {difference}"))
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn each_page_leads_to_the_other_language() {
    for (english, chinese) in PAIRS {
        let from_english = chinese.strip_prefix("docs/").unwrap_or(chinese);
        let from_chinese = if chinese.starts_with("docs/zh/") {
            english.replacen("docs/", "../", 1)
        } else {
            english.to_owned()
        };
        let head = |path: &str| read(path).lines().take(4).collect::<Vec<_>>().join("\n");
        let (ours, theirs) = (head(english), head(chinese));
        assert!(
            ours.contains(&format!("[中文]({from_english})")),
            "{english} does not lead to {chinese}:\n{ours}"
        );
        assert!(
            theirs.contains(&format!("[English]({from_chinese})")),
            "{chinese} does not lead to {english}:\n{theirs}"
        );
    }
}

const ENGLISH: &str = "# Page

Say `warmer status`, and set `warm.interval` or
`warm.lease`.

```
warmer status --output json   # who writes
redis-cli --scan --pattern 'a#b #c' \\
  --count 5
```

## Second

```toml
# comment
[redis]
prefix = \"hs:1:\"   # ends with a colon
```

```
$ warmer once
30 stores
```

### HotshelfSlow
";

const CHINESE: &str = "# 页面

执行 `warmer status`，设置 `warm.interval` 或 `warm.lease`，例如 `门店`。

```
warmer status --output json   # 谁在写
redis-cli --scan --pattern 'a#b #c' \\
  --count 5
```

## 第二节

```toml
[redis]
prefix = \"hs:1:\"   # 以冒号结尾
```

```
$ warmer once
30 家门店
```

### HotshelfSlow
";

#[test]
fn text_comments_and_output_may_differ() {
    assert_eq!(first_difference(ENGLISH, CHINESE), None);
    let parts = parts(ENGLISH);
    assert_eq!(parts.iter().map(|part| part.level).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(
        parts[1].commands,
        ["warmer status --output json", "redis-cli --scan --pattern 'a#b #c' \\ --count 5"]
    );
    assert_eq!(parts[2].commands, ["[redis]", "prefix = \"hs:1:\"", "warmer once"]);
}

#[test]
fn a_difference_is_told_with_its_heading() {
    let told = |from: &str, to: &str| {
        assert!(CHINESE.contains(from), "{from}");
        first_difference(ENGLISH, &CHINESE.replacen(from, to, 1)).unwrap_or_default()
    };
    let missing = told("$ warmer once\n", "");
    assert!(
        missing.contains("第二节") && missing.contains("Second") && missing.contains("`warmer once`"),
        "{missing}"
    );
    assert!(told("--output json", "--output text").contains("`warmer status --output text`"));
    assert!(told("  --count 5", "  --count 6").contains("--count 6"));
    assert!(told("prefix = ", "prefixes = ").contains("prefixes"));
    assert!(told("`warm.lease`", "租约").contains("`warm.lease` is missing"));
    assert!(told("`warmer status`", "`warmer status --all`").contains("`warmer status` is missing"));
    assert!(told("`门店`", "`warm.floor`").contains("`warm.floor` is not in the English page"));
    assert!(told("## 第二节", "### 第二节").contains("level 3, not 2"));
    assert!(told("### HotshelfSlow\n", "").contains("\"HotshelfSlow\" is missing"));
    assert!(told("### HotshelfSlow", "### 太慢").contains("not translated"));
    assert!(told("### HotshelfSlow", "### HotshelfSlow\n### 多余").contains("多余"));
}
