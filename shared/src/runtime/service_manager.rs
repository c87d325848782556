//! What systemd is told of a service (`sd_notify(3)`): that it is ready, reloads or stops, what it does, and that it
//! does not hang. Without `NOTIFY_SOCKET` nobody asked, and nothing is told. On Windows its service manager is told that
//! it runs or stops.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How a service is, whenever its manager wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// It can do its work.
    pub ready: bool,
    /// Its loop comes round.
    pub alive: bool,
    /// What it does, for people, in one line.
    pub text: String,
}

/// Something that is told.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Notice {
    Ready,
    Status(String),
    Watchdog,
    Reloading,
    Stopping,
}

/// Time between two looks at the state: how late it is told.
const LOOK: Duration = Duration::from_millis(100);
/// Least time between two lines of status.
const STATUS: Duration = Duration::from_secs(1);
/// Notices that may wait for a manager that does not read; further ones are left out.
const QUEUE: usize = 16;
/// Time in which the last notices may be sent when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Longest line of status in characters.
const MAX_STATUS: usize = 400;

/// What was told, and what follows from it.
#[derive(Debug, Default)]
struct Told {
    /// Between the begin of a reload and its end nothing makes the service ready.
    reloading: bool,
    ready: bool,
    stopping: bool,
    status: Option<(Instant, String)>,
    watchdog: Option<Instant>,
}

impl Told {
    /// What is to be told now. `watchdog` is the time after which a silent service is killed: a sign of life comes
    /// twice as often.
    fn due(&mut self, now: Instant, state: &ServiceState, watchdog: Option<Duration>) -> Vec<Notice> {
        let mut notices = Vec::new();
        if state.ready && !self.ready && !self.reloading && !self.stopping {
            self.ready = true;
            notices.push(Notice::Ready);
        }
        let text = one_line(&state.text);
        let news = self
            .status
            .as_ref()
            .is_none_or(|(at, told)| *told != text && now.saturating_duration_since(*at) >= STATUS);
        if news {
            self.status = Some((now, text.clone()));
            notices.push(Notice::Status(text));
        }
        let due = |period: Duration| {
            self.watchdog.is_none_or(|last| now.saturating_duration_since(last) + LOOK >= period / 2)
        };
        if state.alive && watchdog.is_some_and(due) {
            self.watchdog = Some(now);
            notices.push(Notice::Watchdog);
        }
        notices
    }
}

/// A text without line breaks, which would begin another notice.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_STATUS).collect()
}

/// The manager of this service, if there is one.
#[derive(Debug)]
pub struct ServiceManager {
    told: Mutex<Told>,
    watchdog: Option<Duration>,
    /// To the thread that sends: a manager that does not read keeps only that one waiting.
    queue: Option<SyncSender<Notice>>,
    /// Ends when that thread has sent everything.
    sent: Mutex<Receiver<Infallible>>,
}

impl ServiceManager {
    /// The one that started this process.
    ///
    /// # Errors
    /// If the thread that tells it cannot be started.
    pub fn of_process() -> io::Result<Self> {
        let (end, sent) = sync_channel(1);
        let mut manager = Self {
            told: Mutex::default(),
            watchdog: socket::watchdog(),
            queue: None,
            sent: Mutex::new(sent),
        };
        if socket::is_there() {
            let (queue, notices) = sync_channel(QUEUE);
            let send = move || {
                let _end = end;
                notices.iter().for_each(|notice| socket::tell(&notice));
            };
            std::thread::Builder::new().name("notify".to_owned()).spawn(send)?;
            manager.queue = Some(queue);
        }
        Ok(manager)
    }

    fn told<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        change(&mut self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it will be told.
    fn tell(&self, notice: Notice) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.try_send(notice).is_ok())
    }

    /// The service reads its settings again. It is ready again some time after [`ServiceManager::reloaded`].
    pub fn reloading(&self) {
        self.told(|told| (told.reloading, told.ready) = (true, false));
        self.tell(Notice::Reloading);
    }

    /// The settings are in force, old or new: as soon as the service is ready, its manager hears of it.
    pub fn reloaded(&self) {
        self.told(|told| told.reloading = false);
    }

    /// The service stops.
    pub fn stopping(&self) {
        self.told(|told| told.stopping = true);
        self.tell(Notice::Stopping);
    }

    /// Tells what `state` gives, when it changes, for as long as this is polled.
    pub async fn watch(&self, state: impl Fn() -> ServiceState) -> Infallible {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let state = state();
            self.told(|told| {
                for notice in told.due(Instant::now(), &state, self.watchdog) {
                    let ready = notice == Notice::Ready;
                    // Others are told again anyway.
                    if !self.tell(notice) && ready {
                        told.ready = false;
                    }
                }
            });
        }
    }
}

impl Drop for ServiceManager {
    /// Gives what is queued a moment to be sent.
    fn drop(&mut self) {
        if self.queue.take().is_some() {
            let sent = self.sent.get_mut().unwrap_or_else(PoisonError::into_inner);
            let _ = sent.recv_timeout(LAST_WORDS);
        }
    }
}

#[cfg(unix)]
mod socket {
    use std::time::Duration;

    use sd_notify::NotifyState;

    use super::Notice;
    use crate::config::process_environment;

    pub(super) fn is_there() -> bool {
        process_environment("NOTIFY_SOCKET").is_some()
    }

    pub(super) fn watchdog() -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }

    pub(super) fn tell(notice: &Notice) {
        send(&[match notice {
            Notice::Ready => NotifyState::Ready,
            Notice::Status(text) => NotifyState::Status(text),
            Notice::Watchdog => NotifyState::Watchdog,
            Notice::Stopping => NotifyState::Stopping,
            Notice::Reloading => {
                // systemd tells by the time that this answers its signal, and not an earlier one.
                let now = NotifyState::monotonic_usec_now();
                return send(
                    &now.map_or(vec![NotifyState::Reloading], |now| vec![NotifyState::Reloading, now]),
                );
            }
        }]);
    }

    fn send(states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            tracing::debug!(error = %error, "the service manager could not be told");
        }
    }
}

#[cfg(not(unix))]
mod socket {
    use super::Notice;
    use crate::runtime::windows_service;

    pub(super) fn is_there() -> bool {
        windows_service::is_service()
    }

    pub(super) fn watchdog() -> Option<std::time::Duration> {
        None
    }

    pub(super) fn tell(notice: &Notice) {
        match notice {
            // Whoever has something to tell runs. Windows cannot stop what only starts, and Redis may be long in coming.
            Notice::Ready | Notice::Status(_) | Notice::Watchdog => windows_service::running(),
            Notice::Stopping => windows_service::stopping(),
            Notice::Reloading => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn state(ready: bool, alive: bool, text: &str) -> ServiceState {
        ServiceState { ready, alive, text: text.to_owned() }
    }

    fn status(text: &str) -> Notice {
        Notice::Status(text.to_owned())
    }

    #[test]
    fn readiness_is_told_once_and_again_after_a_reload() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert_eq!(told.due(now, &state(false, true, "starting"), None), [status("starting")]);
        assert_eq!(told.due(now, &state(true, true, "starting"), None), [Notice::Ready]);
        assert_eq!(told.due(now, &state(true, true, "starting"), None), []);
        assert_eq!(told.due(now, &state(false, true, "starting"), None), [], "READY cannot be taken back");
        (told.reloading, told.ready) = (true, false);
        assert_eq!(told.due(now, &state(true, true, "starting"), None), [], "the old settings are in force");
        told.reloading = false;
        assert_eq!(told.due(now, &state(false, true, "starting"), None), []);
        assert_eq!(told.due(now, &state(true, true, "starting"), None), [Notice::Ready]);
    }

    #[test]
    fn status_is_told_on_change_and_once_a_second_at_most() {
        let (mut told, now) = (Told::default(), Instant::now());
        assert_eq!(told.due(now, &state(false, true, "a"), None), [status("a")]);
        assert_eq!(told.due(now + SECOND / 2, &state(false, true, "b"), None), []);
        assert_eq!(told.due(now + SECOND, &state(false, true, "b"), None), [status("b")]);
        assert_eq!(told.due(now + 5 * SECOND, &state(false, true, "b"), None), []);
        assert_eq!(
            told.due(now + 6 * SECOND, &state(false, true, "c\nREADY=1"), None),
            [status("c READY=1")]
        );
        let long = "é".repeat(1000);
        assert_eq!(
            told.due(now + 7 * SECOND, &state(false, true, &long), None),
            [status(&long[..2 * MAX_STATUS])]
        );
    }

    #[test]
    fn the_watchdog_is_fed_at_half_its_time_while_the_loop_lives() {
        let (mut told, now, limit) = (Told::default(), Instant::now(), Some(4 * SECOND));
        let mut fed = |after: Duration, alive| {
            told.due(now + after, &state(false, alive, ""), limit).contains(&Notice::Watchdog)
        };
        assert!(fed(Duration::ZERO, true));
        assert!(!fed(SECOND, true));
        assert!(fed(2 * SECOND, true));
        assert!(!fed(4 * SECOND, false) && !fed(8 * SECOND, false), "a loop that hangs is not covered up");
        assert!(fed(9 * SECOND, true));
        assert_eq!(Told::default().due(now, &state(false, true, ""), None), [status("")], "nobody asked");
    }
}
