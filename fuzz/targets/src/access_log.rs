//! Lines of access logs: the gateway's own and those of nginx and Apache, which anybody who can send a request has a hand
//! in.

use shared::access_log::{Event, LineError, Request, line, parse_line};

/// Takes a line. What is read is written, and read again as the same; an error names a place within the line.
pub fn check(data: &[u8]) {
    match parse_line(data) {
        Ok(event) => survives(&event),
        Err(LineError::Malformed { at, .. } | LineError::NoRequest { at }) => {
            // serde_json counts columns from 1, and the end as one more.
            assert!(at <= data.len() + 1, "byte {at} of {}", data.len());
        }
        Err(LineError::Empty | LineError::TooLong | LineError::Version(_)) => {}
    }
}

fn survives(event: &Event) {
    let mut written = Vec::new();
    match line::write(event, &mut written) {
        Ok(()) => {}
        // Bytes that were plain in a line of nginx take up to six in JSON.
        Err(LineError::TooLong) => return,
        Err(error) => panic!("{error} when writing {event:?}"),
    }
    let line = written.strip_suffix(b"\n").expect("a line has an end");
    assert!(!line.contains(&b'\n'), "a line in two");
    let again = parse_line(line).expect("what is written can be read");
    assert_eq!(&again, event);
    if let (Event::Request(first), Event::Request(second)) = (event, &again) {
        same_question(first, second);
    }
}

fn same_question(first: &Request, second: &Request) {
    assert_eq!(first.question(), second.question());
}
