//! `warmer refresh`: asks the warmer that runs to read stores again, or to look for changes now.

use shared::cache::levels::Paused;

use super::request::MOST_STORES;
use super::{Desk, OperateError, OperatorRequest, Writer, stores};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A cycle now.
    Cycle,
    /// These stores, whole.
    Stores(Vec<String>),
    /// All stores, whole.
    All,
}

/// What was asked, and of whom.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Asked {
    /// Stores that are to be read again; 0 for a cycle.
    pub stores: usize,
    /// Who is going to do it; `None` if no warmer runs.
    pub writer: Option<Writer>,
    /// Whether warming is paused.
    pub paused: bool,
}

/// Leaves the request where the warmer takes it.
///
/// # Errors
/// If a store is unknown, or Redis does not answer; then nothing was asked.
pub async fn refresh(desk: &Desk, wanted: &Wanted) -> Result<Asked, OperateError> {
    let ids: Vec<String> = match wanted {
        Wanted::Cycle => Vec::new(),
        Wanted::Stores(wanted) => stores::check(&desk.directory().await?, wanted)?.into_iter().collect(),
        Wanted::All => desk.directory().await?.stores().iter().map(|store| store.store_id.clone()).collect(),
    };
    let requests: Vec<OperatorRequest> = match wanted {
        Wanted::Cycle => vec![OperatorRequest::Cycle],
        _ => ids
            .chunks(MOST_STORES)
            .map(|stores| OperatorRequest::Refresh { stores: stores.to_vec() })
            .collect(),
    };
    let keys = desk.levels.keys();
    let writes = requests.iter().map(|request| request.write(keys)).collect::<Result<Vec<_>, _>>()?;
    desk.levels.cache().transact(writes).await?;
    Ok(Asked {
        stores: ids.len(),
        writer: desk.writer().await?,
        paused: desk.levels.read_paused().await.is_some_and(|paused| paused != Paused::No),
    })
}

impl Asked {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let what = match self.stores {
            0 => "asked for a cycle now".to_owned(),
            1 => "asked to read 1 store again".to_owned(),
            stores => format!("asked to read {stores} stores again"),
        };
        let who = match &self.writer {
            None => "no warmer runs: the request waits in Redis until one does (`warmer run`)".to_owned(),
            Some(_) if self.paused => "warming is paused: it is done after `warmer resume`".to_owned(),
            Some(writer) => format!("{} begins within a second", writer.owner),
        };
        format!("{what}\n{who}")
    }
}
