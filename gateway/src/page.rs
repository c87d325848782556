//! The page for people, `/`, and its parts under `/assets/`: files of `gateway/page/`, built into the program, so that they need
//! neither a folder nor the internet. They are compressed once; a browser that has them asks whether they changed (ETag).

mod bundle;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};
use shared::entry;

use crate::body::ResponseBody;
use crate::problem::Problem;
use crate::{conditional, negotiate};

const INDEX: &str = "/";
const PARTS: &str = "/assets/";
/// The module that the page begins with.
const APP: &str = "app.js";
/// The style sheet that the others build upon; all of them are sent as one.
const STYLE: &str = "style.css";
/// Scripts that are no modules: they run before anything is shown.
const SCRIPTS: [&str; 1] = ["early.js"];
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
/// What the page may do: its own files and questions to this gateway, nothing else, and no text ever becomes markup.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
);

/// The files as they are in the repository.
#[derive(RustEmbed)]
#[folder = "page"]
#[exclude = "*LICENSE*"]
struct Files;

/// A file as it is sent.
struct Part {
    content_type: HeaderValue,
    plain: Bytes,
    gzip: Bytes,
    /// Of the compressed one, and of the other.
    tags: [HeaderValue; 2],
}

/// By path.
static PAGE: LazyLock<HashMap<String, Part>> = LazyLock::new(|| {
    files()
        .filter_map(|(path, content_type, content)| Some((path, Part::new(content_type, content)?)))
        .collect()
});

/// Whether a path leads to the page or may lead to a part of it.
#[must_use]
pub fn is_at(path: &str) -> bool {
    path == INDEX || path.starts_with(PARTS)
}

/// Path, content type and content of all that is sent: the modules and the style sheets as one file each, the rest as it is.
fn files() -> impl Iterator<Item = (String, &'static str, Bytes)> {
    let (mut modules, mut styles) = (BTreeMap::new(), String::new());
    let mut files = Vec::new();
    for name in Files::iter() {
        let Some(file) = Files::get(&name) else { continue };
        let text = String::from_utf8_lossy(&file.data);
        let vendored = name.contains('/');
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("html") => {
                files.push((INDEX.to_owned(), "text/html; charset=utf-8", text.into_owned().into()));
            }
            Some("js") if vendored || SCRIPTS.contains(&name.as_ref()) => {
                let text = if vendored { text.into_owned() } else { without_comments(&text) };
                files.push((at(&name), JAVASCRIPT, text.into()));
            }
            Some("js") => {
                modules.insert(name.into_owned(), without_comments(&text));
            }
            // In the order of their names: "style.css" has what the others build upon, and comes first.
            Some("css") if name == STYLE => styles.insert_str(0, &without_comments(&text)),
            Some("css") => styles.push_str(&without_comments(&text)),
            _ => {}
        }
    }
    files.push((at(STYLE), "text/css; charset=utf-8", styles.into()));
    match bundle::bundle(&modules, APP) {
        Ok(app) => files.push((at(APP), JAVASCRIPT, app.into())),
        // A test sees to it that this does not happen.
        Err(error) => tracing::error!(error = %error, "the page cannot be put together; report this"),
    }
    files.into_iter()
}

/// Where a file is found. Folders are for the reader of the repository: what is vendored lies apart.
fn at(name: &str) -> String {
    format!("{PARTS}{}", name.rsplit('/').next().unwrap_or(name))
}

impl Part {
    fn new(content_type: &'static str, plain: Bytes) -> Option<Self> {
        let hash: String = Sha256::digest(&plain).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let tag = |of: &str| HeaderValue::try_from(format!("\"{hash}{of}\"")).ok();
        Some(Self {
            content_type: HeaderValue::from_static(content_type),
            gzip: entry::gzip_small(&plain).ok()?.into(),
            plain,
            tags: [tag("-gzip")?, tag("")?],
        })
    }
}

/// A file without its comments, which are a sixth of it and for readers of the repository only: lines that are nothing but a
/// comment. A test sees to it that no text of several lines is among them.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut within = false;
    for line in text.lines() {
        let line = line.trim();
        let begins = line.starts_with("/*");
        if !within && !begins && !line.starts_with("//") {
            kept.push_str(line);
            kept.push('\n');
        }
        within = (within || begins) && !line.ends_with("*/");
    }
    kept
}

/// The page, or a part of it.
///
/// # Errors
/// 404 if there is no such part.
pub(crate) fn answer(path: &str, request: &HeaderMap) -> Result<Response<ResponseBody>, Problem> {
    let part = PAGE.get(path).ok_or_else(|| Problem::unknown_path(path))?;
    let gzip = negotiate::takes_gzip(request);
    let mut response = Response::new(ResponseBody::default());
    let headers = response.headers_mut();
    // Named the same in every version: a browser asks whether it has this one.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if path == INDEX {
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    }
    let [zipped, plain] = &part.tags;
    let tag = if gzip { zipped } else { plain };
    if let Some(known) = conditional::named(request, &part.tags) {
        headers.insert(ETAG, known.clone());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    headers.insert(ETAG, tag.clone());
    headers.insert(CONTENT_TYPE, part.content_type.clone());
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let body = if gzip { &part.gzip } else { &part.plain };
    *response.body_mut() = ResponseBody::from(body.clone());
    Ok(response)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn all_that_the_page_names_is_there_and_nothing_else() {
        let index = std::str::from_utf8(&PAGE[INDEX].plain).unwrap();
        let mut named: Vec<&str> = index.split(['"', '\'']).filter(|word| word.starts_with(PARTS)).collect();
        named.push(INDEX);
        named.sort_unstable();
        let mut there: Vec<&str> = PAGE.keys().map(String::as_str).collect();
        there.sort_unstable();
        assert_eq!(named, there);
    }

    #[test]
    fn every_module_is_used() {
        let app = PAGE.get("/assets/app.js").expect("the modules are understood; the log says why not");
        let app = std::str::from_utf8(&app.plain).unwrap();
        let modules = Files::iter()
            .filter(|name| name.ends_with(".js") && !name.contains('/') && !SCRIPTS.contains(&name.as_ref()));
        assert_eq!(app.matches(" = (() => {\n").count(), modules.count());
    }

    #[test]
    fn comments_go_and_nothing_else() {
        let text = "/* a\n b */\nconst a = 1; // why\n  // why not\n/** x */\n  if (a) {\n * 2\n}\n";
        assert_eq!(without_comments(text), "const a = 1; // why\nif (a) {\n* 2\n}\n");
        for name in Files::iter().filter(|name| !name.contains('/')) {
            let file = Files::get(&name).unwrap();
            let text = std::str::from_utf8(&file.data).unwrap();
            for (number, line) in text.lines().enumerate() {
                let place = format!("{name}:{}", number + 1);
                // A text of several lines would lose its indentation, or lines that look like comments.
                assert!(line.matches('`').count() % 2 == 0, "{place}: a template of several lines");
                // What follows a comment on its line would be lost.
                let after = line.trim().strip_prefix("/*").and_then(|line| line.split_once("*/"));
                assert!(after.is_none_or(|(_, rest)| rest.is_empty()), "{place}: code behind a comment");
            }
        }
    }

    #[test]
    fn all_of_it_is_small() {
        let bytes: usize = PAGE.values().map(|part| part.gzip.len()).sum();
        assert!(bytes < 100_000, "{bytes}");
    }
}
