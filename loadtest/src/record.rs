//! Records what a running gateway answers, for `loadtest check` after an upgrade.

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::client::Gateway;
use crate::recording::Recorded;

/// Fields of `meta` that are recorded: the others may change with the version of the gateway.
const META: [&str; 4] = ["stores", "from", "to", "as_of"];

/// The paths of a list: one per line, without blank lines and those that begin with `#`.
#[must_use]
pub fn paths(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// Asks a gateway, in JSON, for every path and keeps the answers in the order of the list.
///
/// # Errors
/// At the first request that has no document as its answer.
pub async fn record(
    gateway: &Gateway,
    paths: &[&str],
    parallel: usize,
    mut progress: impl FnMut(),
) -> anyhow::Result<Vec<Recorded>> {
    futures_util::stream::iter(paths)
        .map(|path| record_one(gateway, path))
        .buffered(parallel.max(1))
        .inspect_ok(|_| progress())
        .try_collect()
        .await
}

async fn record_one(gateway: &Gateway, path: &str) -> anyhow::Result<Recorded> {
    if !path.starts_with('/') {
        bail!("the path {path:?} does not start with a slash");
    }
    let answer = gateway.get(path).await.with_context(|| path.to_owned())?;
    if answer.status != StatusCode::OK {
        bail!("{path}: status {}: {}; only successful answers are recorded", answer.status, answer.problem());
    }
    let body = answer.plain().with_context(|| path.to_owned())?;
    let envelope: Value =
        serde_json::from_slice(&body).with_context(|| format!("{path}: the body is not JSON"))?;
    let Some(data) = envelope.get("data") else {
        bail!("{path}: the body has no field `data`; is this a Hotshelf gateway?");
    };
    let given = envelope.get("meta");
    let meta: Map<String, Value> =
        META.iter().filter_map(|name| Some(((*name).to_owned(), given?.get(name)?.clone()))).collect();
    Ok(Recorded { path: path.to_owned(), meta, data: data.clone() })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_list_of_paths_may_have_comments() {
        let text = "# diagnosis\n/v1/diagnosis\n\n  /v1/stores?x=%23  \r\n";
        assert_eq!(super::paths(text), ["/v1/diagnosis", "/v1/stores?x=%23"]);
    }
}
