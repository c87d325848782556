//! A private Chromium without a window.
//!
//! It is driven over the DevTools protocol through two pipes, so that no port is open, and it ends when the pipes do. The
//! few commands that tests need are written out here; libraries for all of the protocol bring 5 MB of generated types, an
//! HTTP client and a WebSocket, and types that are older than the browser that is installed.

mod accessibility;
mod cdp;
mod findings;
mod hands;
mod keys;
mod page;
mod record;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::unix::pipe;
use tokio::task::JoinSet;

pub use accessibility::Barrier;
pub use page::Page;
pub use record::{Fault, FaultKind, Request};

use crate::process::Supervised;
use cdp::Connection;

const START_LIMIT: Duration = Duration::from_secs(60);
/// Ubuntu's `chromium-browser` may be nothing but the advice to install another package, so it comes last.
const PROGRAMS: [&str; 4] = ["chromium", "google-chrome", "google-chrome-stable", "chromium-browser"];
/// Chromium reads commands from 3 and writes to 4. Whoever opens 3 for writing finds that 4 is open already. Its processes are
/// a session of their own, because some would outlive the first, and go on writing into its profile.
const LAUNCH: &str = r#"
cd "$1" && shift && mkdir home && mkfifo asked told || exit
export HOME="$PWD/home" TMPDIR="$PWD/home"
setsid "$@" 4>told 3<asked &
browser=$!
end() { kill -s KILL -- "-$browser" "$browser" 2>/dev/null; }
trap end TERM
wait "$browser"
status=$?
end
for try in 1 2 3 4 5; do
  rm -rf profile home 2>/dev/null && break
  sleep 0.05
done
exit $status
"#;
/// A profile of nobody, that calls nobody, on a machine that others use as well.
const FLAGS: [&str; 20] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-component-extensions-with-background-pages",
    "--disable-extensions",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider",
    // Pages in the background are as fast as that in front.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    // As on phones, where they take no room.
    "--hide-scrollbars",
    "--password-store=basic",
    // What a page asks of others fails the same way everywhere, and nobody hears of it.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// Who looks at a page, and through what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Of the window's content, in CSS pixels.
    pub width: u32,
    /// Of the window's content, in CSS pixels.
    pub height: u32,
    /// Whether the system is set to dark.
    pub dark: bool,
    /// Whether the system is set to little motion.
    pub reduced_motion: bool,
    /// The languages, the first preferred, as in `Accept-Language`: `"en-US"`, `"zh-CN,zh"`.
    pub language: &'static str,
}

/// Of a desk, in English, bright.
impl Default for Visitor {
    fn default() -> Self {
        Self { width: 1280, height: 800, dark: false, reduced_motion: false, language: "en-US" }
    }
}

/// A Chromium of one test, without a window, with an empty profile. It ends when dropped.
///
/// Nothing outside of this machine can be reached from it: names do not resolve, other addresses neither.
#[derive(Debug)]
pub struct Browser {
    connection: Arc<Connection>,
    user_agent: String,
    pages: std::sync::atomic::AtomicUsize,
    _tasks: JoinSet<()>,
    _process: Supervised,
    folder: TempDir,
}

impl Browser {
    /// Starts one. It belongs to the runtime that it was started in.
    ///
    /// # Panics
    /// When Chromium is not installed or does not start.
    pub async fn start() -> Self {
        let folder = TempDir::with_prefix("hotshelf-browser-").expect("a temp folder");
        let program = PROGRAMS.iter().find_map(|name| crate::binary::look_for(name));
        let program = program.unwrap_or_else(|| crate::binary::find(PROGRAMS[0], "chromium"));
        let args = arguments(folder.path(), &program);
        let process = Supervised::start(Path::new("/bin/sh"), &args, folder.path(), "TERM", None);
        let mut pipes = None;
        let process = process.ready(START_LIMIT, async || connect(folder.path(), &mut pipes).await).await;
        let process = process.unwrap_or_else(|failure| panic!("chromium does not start: {failure}"));
        let Some(Pipes { told, asked: Some(asked) }) = pipes else { panic!("chromium reads no commands") };
        let mut tasks = JoinSet::new();
        let connection = Connection::new(asked, told, folder.path().join("log"), &mut tasks);
        let version = connection.call("", "Browser.getVersion", json!({})).await;
        let version = version.unwrap_or_else(|failure| panic!("chromium does not start: {failure}"));
        let user_agent = version["userAgent"].as_str().unwrap_or_default().to_owned();
        let pages = std::sync::atomic::AtomicUsize::new(0);
        Self { connection, user_agent, pages, _tasks: tasks, _process: process, folder }
    }

    /// Where its profile is, which goes with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A page of its own: it shares no storage, no cache and no connections with others.
    ///
    /// # Panics
    /// When the browser does not answer.
    pub async fn page(&self, visitor: &Visitor) -> Page {
        let number = self.pages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let downloads = self.folder.path().join(format!("downloads-{number}"));
        let page = Page::open(Arc::clone(&self.connection), visitor, &self.user_agent, downloads).await;
        page.unwrap_or_else(|failure| panic!("no page: {failure}"))
    }
}

fn arguments(folder: &Path, program: &Path) -> Vec<String> {
    let mut args = vec!["-c".to_owned(), LAUNCH.to_owned(), "browser".to_owned()];
    args.extend([folder, program].map(|path| path.display().to_string()));
    args.extend(FLAGS.map(str::to_owned));
    args.push(format!("--user-data-dir={}", folder.join("profile").display()));
    // Chromium's sandbox does not work for root.
    if std::fs::metadata(folder).is_ok_and(|folder| folder.uid() == 0) {
        args.push("--no-sandbox".to_owned());
    }
    args
}

/// The test's ends.
struct Pipes {
    told: pipe::Receiver,
    asked: Option<pipe::Sender>,
}

/// Opens first the one, then the other, as soon as each is there; whether both are open.
async fn connect(folder: &Path, pipes: &mut Option<Pipes>) -> bool {
    let open = pipe::OpenOptions::new();
    if pipes.is_none() {
        *pipes = open.open_receiver(folder.join("told")).ok().map(|told| Pipes { told, asked: None });
    }
    let Some(pipes) = pipes else { return false };
    if pipes.asked.is_none() {
        pipes.asked = open.open_sender(folder.join("asked")).ok();
    }
    pipes.asked.is_some()
}
