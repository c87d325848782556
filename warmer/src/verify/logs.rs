//! Checks of the access logs: found, readable, written by gateways, read by the warmer.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use memchr::memmem;
use shared::config::Settings;
use shared::verify::Report;
use shared::verify::served::Asked;

use shared::published::Warmers;

/// How long a gateway may take to write what it was just asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes at the end of each file in which a question is looked for: some thousand lines.
const END: u64 = 1 << 20;
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes that a warmer may lag behind.
const GOOD_BACKLOG: u64 = 16 << 20;

const FOUND: &str = "log.found";
const ADVANCING: &str = "log.advancing";
const READ: &str = "log.read";

/// Files that the patterns name.
fn files(settings: &Settings) -> Vec<PathBuf> {
    let found = settings.heat.logs.iter().filter_map(|pattern| glob::glob(pattern).ok());
    found.flatten().filter_map(Result::ok).filter(|path| path.is_file()).collect()
}

/// Bytes of all access logs together.
pub(super) fn size(settings: &Settings) -> u64 {
    files(settings).iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// Checks the logs. `before` is how large they were before gateways were asked; `asked` are those that were.
pub(super) async fn check(
    report: &mut Report,
    settings: &Settings,
    before: u64,
    asked: &[Asked],
    warmers: Option<&Warmers>,
) {
    let patterns = settings.heat.logs.join(", ");
    if settings.heat.logs.is_empty() {
        report.warn(
            FOUND,
            "no access log is read, so the largest stores count as hot",
            "set access_log.path for the gateways, and heat.logs to these files for the warmer",
        );
        return report.skip(&[ADVANCING, READ], "no access log is read");
    }
    let mut found = files(settings);
    let start = Instant::now();
    // The first question that a gateway is ever asked makes the file.
    while found.is_empty() && !asked.is_empty() && start.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
        found = files(settings);
    }
    if found.is_empty() {
        report.fail(
            FOUND,
            format!("no file is named {patterns}"),
            "set access_log.path in the gateways' settings to a file that heat.logs names, and restart them",
        );
        return report.skip(&[ADVANCING, READ], "log.found failed");
    }
    let unreadable = found.iter().find_map(|path| {
        let error = std::fs::File::open(path).err()?;
        Some(format!("{}: {error}", path.display()))
    });
    if let Some(what) = unreadable {
        report.fail(
            FOUND,
            what,
            "let the warmer's user read it: a common group, and a folder with its rights (chmod g+rs)",
        );
        return report.skip(&[ADVANCING, READ], "log.found failed");
    }
    report.pass(FOUND, format!("{} files of {patterns}", found.len()));
    let asked: Vec<(&str, &str)> =
        asked.iter().filter_map(|asked| Some((asked.url.as_str(), asked.request_id.as_deref()?))).collect();
    if asked.is_empty() {
        report.skip(&[ADVANCING], "no gateway was asked");
    } else {
        advancing(report, settings, before, &asked).await;
    }
    read(report, warmers);
}

/// Whether each gateway wrote what it was asked, by address and request id. Logs of other servers name no request: of these
/// some one must have grown.
async fn advancing(report: &mut Report, settings: &Settings, before: u64, asked: &[(&str, &str)]) {
    let start = Instant::now();
    loop {
        let ends: Vec<Vec<u8>> = files(settings).iter().filter_map(|path| end(path).ok()).collect();
        let is_in_one = |id: &str| ends.iter().any(|end| memmem::find(end, id.as_bytes()).is_some());
        let silent: Vec<&str> = asked.iter().filter(|(_, id)| !is_in_one(id)).map(|(url, _)| *url).collect();
        let names_requests = ends.iter().any(|end| memmem::find(end, b"\"request_id\":").is_some());
        // A rotation makes them smaller.
        if silent.is_empty() || (!names_requests && size(settings) != before) {
            return report.pass(ADVANCING, "what gateways were asked just now is in it");
        }
        if start.elapsed() > PATIENCE {
            return report.fail(
                ADVANCING,
                format!("what was asked of {} is not in it", silent.join(" and ")),
                "see access_log.path in that gateway's settings, its rights and its disk, and what its log says",
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The last lines of a file.
fn end(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read(report: &mut Report, warmers: Option<&Warmers>) {
    let active = warmers.and_then(|warmers| warmers.warmers.iter().find(|status| status.is_active()));
    let Some(active) = active else { return report.skip(&[READ], "no warmer is active") };
    let (backlog, unreadable) = (active.counts.log_backlog, active.counts.log.unreadable);
    let seen = format!("{backlog} bytes not read yet by {}", active.instance);
    if unreadable > 0 {
        report.fail(
            READ,
            format!("{unreadable} files cannot be read by {}", active.instance),
            "see the warmer's log; its user needs the right to read them",
        );
    } else if backlog > GOOD_BACKLOG {
        report.warn(READ, seen, "it catches up if it has time: see what else uses the processors");
    } else {
        report.pass(READ, seen);
    }
}
