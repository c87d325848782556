//! What a running gateway reads again when it is asked to: who may ask, and certificate and key. Connections stay, and what does not
//! fit leaves the old as it was.

use std::convert::Infallible;

use shared::config::diff;
use shared::config::{ListenAddress, Origins, Settings, SettingsError};
use shared::runtime::ReloadSignal;
use shared::runtime::program::SettingsSource;
use shared::runtime::reload::RELOAD;

use crate::Front;
use crate::server::Tls;

/// Where the settings come from, the command line included.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) source: SettingsSource,
    /// Instead of `gateway.listen`, if not empty.
    pub(super) listen: Vec<ListenAddress>,
    pub(super) insecure: bool,
}

impl Origin {
    /// The settings as they are there now.
    ///
    /// # Errors
    /// All that does not fit.
    pub(super) fn load(&self) -> Result<Settings, SettingsError> {
        self.load_with_origins().map(|(settings, _)| settings)
    }

    /// The same, and where each value comes from.
    ///
    /// # Errors
    /// All that does not fit.
    pub(super) fn load_with_origins(&self) -> Result<(Settings, Origins), SettingsError> {
        let (mut settings, mut origins) = self.source.load_with_origins()?;
        if !self.listen.is_empty() {
            settings.gateway.listen.clone_from(&self.listen);
            origins.of_option("gateway.listen", "--listen");
        }
        if self.insecure {
            settings.access.insecure = true;
            origins.of_option("access.insecure", "--insecure");
        }
        Ok((settings, origins))
    }
}

/// Reads again whenever the signal comes; `settings` are those in force.
pub(super) async fn on_signal(
    mut signal: ReloadSignal,
    origin: &Origin,
    mut settings: Settings,
    front: Front,
    tls: Option<Tls>,
) -> Infallible {
    loop {
        signal.next().await;
        certificates(tls.as_ref());
        access(origin, &mut settings, &front);
    }
}

/// Takes a new pair of certificate and key as a whole or not at all.
fn certificates(tls: Option<&Tls>) {
    match tls.map(Tls::reload) {
        None => {}
        Some(Ok(())) => tracing::info!("{RELOAD}: certificate and key were read again"),
        Some(Err(error)) => tracing::error!(error = %error, "{RELOAD}: the old certificate and key stay"),
    }
}

/// Takes the section `access` of settings that fit.
fn access(origin: &Origin, settings: &mut Settings, front: &Front) {
    let new = match origin.load() {
        Ok(new) => new,
        Err(error) => {
            for problem in &error.problems {
                tracing::error!("a setting does not fit: {}: {}", problem.place, problem.what);
            }
            let problems = error.problems.len();
            tracing::error!(problems, "{RELOAD}: the old tokens stay; correct the settings and ask again");
            return;
        }
    };
    // Without tokens everybody may ask for everything: that must not come of a file that is half written.
    if new.access.tokens.is_empty() && !settings.access.tokens.is_empty() {
        tracing::error!(
            "{RELOAD}: the settings name no token, so the old tokens stay; to do without, restart the gateway"
        );
        return;
    }
    for change in diff::changes(settings, &new) {
        if !change.key.starts_with("access.") {
            tracing::warn!("{RELOAD}: {change} takes a restart");
        } else if new.access != settings.access {
            tracing::info!("{RELOAD}: {change}");
        }
    }
    if new.access != settings.access {
        front.replace_access(&new.access);
        settings.access = new.access;
    }
    let tokens = settings.access.tokens.len();
    tracing::info!(tokens, "{RELOAD}: the tokens were read again");
}
