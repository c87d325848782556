//! The page for people, `/`, and its parts under `/assets/`: files of `gateway/page/`, built into the program, so that they need
//! neither a folder nor the internet. They are compressed once; a browser that has them asks whether they changed (ETag).

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use rust_embed::RustEmbed;
use shared::entry;

use crate::body::ResponseBody;
use crate::problem::Problem;
use crate::{conditional, negotiate};

const INDEX: &str = "/";
const PARTS: &str = "/assets/";
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
    let named = Files::iter().filter_map(|name| Some((path(&name), Part::of(&name)?)));
    named.collect()
});

/// Whether a path leads to the page or may lead to a part of it.
#[must_use]
pub fn is_at(path: &str) -> bool {
    path == INDEX || path.starts_with(PARTS)
}

/// Where a file is found. Folders are for the reader of the repository: what is vendored lies apart.
fn path(name: &str) -> String {
    match name.rsplit('/').next() {
        Some("index.html") | None => INDEX.to_owned(),
        Some(file) => format!("{PARTS}{file}"),
    }
}

impl Part {
    fn of(name: &str) -> Option<Self> {
        let file = Files::get(name)?;
        let content_type = match name.rsplit('.').next()? {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "application/octet-stream",
        };
        let hash: String =
            file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let tag = |of: &str| HeaderValue::try_from(format!("\"{hash}{of}\"")).ok();
        let vendored = name.contains('/');
        let text = std::str::from_utf8(&file.data).ok().filter(|_| !vendored);
        let plain =
            Bytes::from(text.map_or_else(|| file.data.to_vec(), |text| without_comments(text).into_bytes()));
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
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let texts: Vec<(&String, &str)> =
            PAGE.iter().map(|(path, part)| (path, std::str::from_utf8(&part.plain).unwrap())).collect();
        let mut found = 0;
        for (path, text) in texts {
            let named = text.split(['"', '\'']).filter_map(|word| {
                let name = word.strip_prefix("./").or_else(|| word.strip_prefix(PARTS))?;
                [".js", ".css", ".svg"].iter().any(|end| name.ends_with(end)).then_some(name)
            });
            for name in named {
                found += 1;
                assert!(PAGE.contains_key(&format!("{PARTS}{name}")), "{path} names {name}");
            }
        }
        assert!(found > 20, "{found}");
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
        assert!(bytes < 115_000, "{bytes}");
    }
}
