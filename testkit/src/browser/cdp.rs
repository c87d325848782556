//! The DevTools protocol over two pipes: commands, their answers, and what the browser tells meanwhile.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::record::Record;

/// Far beyond what any command takes: a page that does not answer fails its test instead of hanging it.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Messages end with it.
const END: u8 = 0;
/// Commands that wait for the pipe.
const QUEUE: usize = 64;
/// What is recorded of a page, and of the workers and frames that have a session of their own.
const RECORDED: [&str; 4] = ["Runtime.enable", "Log.enable", "Network.enable", "Audits.enable"];

/// The answer to a command, or why there is none.
type Answer = Result<Value, String>;

/// A connection to a browser.
#[derive(Debug)]
pub(super) struct Connection {
    queue: mpsc::Sender<Vec<u8>>,
    next: AtomicU64,
    /// Who waits for which answer; `None` once the browser is gone.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Answer>>>>,
    /// Where what is told in a session is recorded.
    records: Mutex<HashMap<String, Arc<Record>>>,
    /// What the browser writes.
    log: PathBuf,
}

#[derive(Deserialize)]
struct Message {
    id: Option<u64>,
    #[serde(default)]
    method: String,
    #[serde(default)]
    params: Value,
    #[serde(default)]
    result: Value,
    error: Option<Failure>,
    #[serde(rename = "sessionId", default)]
    session: String,
}

#[derive(Deserialize)]
struct Failure {
    message: String,
    #[serde(default)]
    data: Value,
}

impl Connection {
    /// One over these pipes, which `tasks` keep going.
    pub(super) fn new(
        sender: pipe::Sender,
        receiver: pipe::Receiver,
        log: PathBuf,
        tasks: &mut JoinSet<()>,
    ) -> Arc<Self> {
        let (queue, queued) = mpsc::channel(QUEUE);
        let connection = Arc::new(Self {
            queue,
            next: AtomicU64::new(1),
            waiting: Mutex::new(Some(HashMap::new())),
            records: Mutex::default(),
            log,
        });
        tasks.spawn(send(sender, queued));
        tasks.spawn(receive(receiver, Arc::clone(&connection)));
        connection
    }

    /// Asks the browser (`session` is empty) or a page.
    pub(super) async fn call(&self, session: &str, method: &str, params: Value) -> Answer {
        let (answer, answered) = oneshot::channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        match lock(&self.waiting).as_mut() {
            Some(waiting) => waiting.insert(id, answer),
            None => return Err(self.gone()),
        };
        self.put(id, session, method, params).await;
        match tokio::time::timeout(ANSWER_LIMIT, answered).await {
            Ok(Ok(answer)) => answer.map_err(|error| format!("{method}: {error}")),
            Ok(Err(_)) => Err(self.gone()),
            Err(_) => Err(format!("{method}: no answer within {ANSWER_LIMIT:?}")),
        }
    }

    /// Records what is told in a session from now on, of its workers and frames too, from their first request.
    pub(super) async fn record(&self, session: &str, record: Arc<Record>) {
        lock(&self.records).insert(session.to_owned(), record);
        for method in RECORDED {
            self.tell(session, method, json!({})).await;
        }
        let attach = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
        self.tell(session, "Target.setAutoAttach", attach).await;
    }

    /// Asks without waiting: a worker has no issues to audit, and nothing depends on the answer.
    async fn tell(&self, session: &str, method: &str, params: Value) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.put(id, session, method, params).await;
    }

    async fn put(&self, id: u64, session: &str, method: &str, params: Value) {
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !session.is_empty() {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(END);
        // A queue without a reader has a browser that is gone; whoever waits for an answer hears so.
        let _ = self.queue.send(bytes).await;
    }

    async fn take(&self, message: Message) {
        if let Some(id) = message.id {
            let answer = match message.error {
                Some(failure) if failure.data.is_null() => Err(failure.message),
                Some(failure) => Err(format!("{} {}", failure.message, failure.data)),
                None => Ok(message.result),
            };
            if let Some(waits) = lock(&self.waiting).as_mut().and_then(|waiting| waiting.remove(&id)) {
                // It may have given up.
                let _ = waits.send(answer);
            }
            return;
        }
        let record = lock(&self.records).get(&message.session).cloned();
        let Some(record) = record else { return };
        if message.method == "Target.attachedToTarget"
            && let Some(session) = message.params["sessionId"].as_str()
        {
            self.record(session, record).await;
            self.tell(session, "Runtime.runIfWaitingForDebugger", json!({})).await;
        } else {
            record.hear(&message.session, &message.method, &message.params);
        }
    }

    fn gone(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        format!("the browser has ended; it wrote: {log}")
    }
}

async fn send(mut pipe: pipe::Sender, mut queued: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = queued.recv().await {
        if pipe.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

async fn receive(pipe: pipe::Receiver, connection: Arc<Connection>) {
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while matches!(reader.read_until(END, &mut bytes).await, Ok(1..)) {
        let text = bytes.strip_suffix(&[END]).unwrap_or(&bytes);
        if let Ok(message) = serde_json::from_slice(text) {
            connection.take(message).await;
        }
        bytes.clear();
    }
    *lock(&connection.waiting) = None;
}

/// What a lock holds, also after a test has failed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
