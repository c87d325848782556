//! A web site of one test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// What is at a path: the answer but for its length.
pub(crate) struct Thing {
    pub(crate) path: &'static str,
    pub(crate) head: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Thing {
    /// A page under a policy as strict as that of the gateway's page.
    pub(crate) fn page(body: impl Into<Vec<u8>>) -> Self {
        let head = "content-type: text/html; charset=utf-8\r\n\
                    content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; \
                    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                    require-trusted-types-for 'script'\r\n";
        Self { path: "/", head, body: body.into() }
    }

    pub(crate) fn script(body: impl Into<Vec<u8>>) -> Self {
        Self { path: "/app.js", head: "content-type: text/javascript\r\n", body: body.into() }
    }
}

/// Serves things, one request a connection; ends when dropped.
pub(crate) struct Site {
    pub(crate) origin: String,
    address: std::net::SocketAddr,
    stops: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub(crate) fn start(things: Vec<Thing>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let stops = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stops);
        let thread = std::thread::spawn(move || {
            let things = Arc::new(things);
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let things = Arc::clone(&things);
                // Browsers open connections before they know what for.
                std::thread::spawn(move || answer(stream, &things));
            }
        });
        Self { origin: format!("http://{address}"), address, stops, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(mut stream: TcpStream, things: &[Thing]) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let headers: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let path = first.split(' ').nth(1).unwrap_or_default();
    let (status, head, body) = match things.iter().find(|thing| thing.path == path) {
        Some(thing) => ("200 OK", thing.head, thing.body.clone()),
        None if path == "/headers" => {
            ("200 OK", "content-type: text/plain\r\n", headers.join("\n").into_bytes())
        }
        None => ("404 Not Found", "content-type: text/plain\r\n", Vec::new()),
    };
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\n{head}content-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(&[answer.as_bytes(), &body].concat());
    let _ = stream.shutdown(Shutdown::Write);
}
