//! What is no record is counted, told, and passed over.

use shared::access_log::Event;

use super::{Logs, NOW, line, numbers, poll};

#[test]
fn a_partial_last_line_waits() {
    let logs = Logs::new();
    let mut reader = logs.reader("access.log");
    let whole = line(1);
    for byte in &whole[..whole.len() - 1] {
        logs.append("access.log", [*byte]);
        let batch = reader.poll(1 << 20, NOW);
        assert_eq!((batch.events.len(), batch.counts.lines, batch.more), (0, 0, false));
    }
    logs.append("access.log", "\n");
    logs.append("access.log", &line(2)[..5]);
    assert_eq!(poll(&mut reader), [1]);
    logs.append("access.log", &line(2)[5..]);
    assert_eq!(poll(&mut reader), [2]);
}

#[test]
fn garbage_is_counted_by_kind_and_told() {
    let logs = Logs::new();
    logs.write("access.log", [0]);
    logs.append("access.log", b"nonsense\n\n \r\n{\"v\":1,\n\xff\xfe\n{\"v\":9,\"type\":\"request\"}\n");
    logs.append("access.log", "h - - [21/Nov/2026:06:46:49 +0000] \"-\" 400 0 \"-\" \"-\"\n");
    logs.append("access.log", [0u8; 5000]);
    logs.append("access.log", "\n");
    logs.write("access.log", [1]);
    let batch = logs.reader("access.log").poll(1 << 20, NOW);
    assert_eq!(numbers(&batch), [0, 1]);
    let counts = batch.counts;
    assert_eq!((counts.garbage, counts.unknown_version, counts.no_request), (4, 1, 1), "{counts:?}");
    assert_eq!((counts.lines, counts.too_long, counts.torn), (10, 0, 0), "{counts:?}");
    let first = &batch.faults[0];
    assert_eq!(
        (first.path.as_path(), first.offset),
        (logs.path("access.log").as_path(), Some(line(0).len() as u64))
    );
    assert!(first.what.contains("byte 0"), "{first:?}");
    assert_eq!(batch.faults.len(), 5);
}

#[test]
fn a_line_of_two_megabytes_is_passed_over() {
    let logs = Logs::new();
    let mut reader = logs.reader("access.log");
    logs.write("access.log", [0]);
    let mut counted = 0;
    // It comes in pieces, and a restart in the middle changes nothing.
    for piece in 0..8 {
        logs.append("access.log", vec![b'x'; 256 << 10]);
        let batch = reader.poll(1 << 20, NOW);
        counted += batch.counts.too_long;
        assert_eq!(batch.events.len(), usize::from(piece == 0));
        let positions = reader.positions();
        reader = warmer::log_reader::LogReader::restore(logs.settings("access.log"), positions).unwrap();
    }
    logs.append("access.log", "\n");
    logs.write("access.log", [1]);
    let batch = reader.poll(1 << 30, NOW);
    assert_eq!((numbers(&batch), counted + batch.counts.too_long), (vec![1], 1));
    assert_eq!(batch.counts.garbage, 0);
    // At once, and as the first line.
    logs.append("other.log", [vec![b'x'; 2 << 20], b"\n".to_vec(), line(2)].concat());
    let batch = logs.reader("other.log").poll(1 << 30, NOW);
    assert_eq!((numbers(&batch), batch.counts.too_long), (vec![2], 1));
}

#[test]
fn compressed_files_are_ignored() {
    let logs = Logs::new();
    logs.write("access.log", [0]);
    logs.write("access.log.2.gz", [1]);
    logs.append("access.log.3", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\nrest\n");
    std::fs::create_dir(logs.path("access.log.d")).unwrap();
    let batch = logs.reader("access.log*").poll(1 << 20, NOW);
    assert_eq!((numbers(&batch), batch.counts.lines, batch.counts.unreadable), (vec![0], 1, 0));
}

#[test]
fn the_combined_format_gives_the_same_events() {
    let logs = Logs::new();
    logs.append(
        "nginx.log",
        "c1 - - [20/Feb/2017:00:02:15 -0500] \"GET /v1/diagnosis?stores=a HTTP/1.1\" 200 2903\r\n",
    );
    logs.write("nginx.log", [5]);
    let batch = logs.reader("nginx.log").poll(1 << 20, NOW);
    let [Event::Request(combined), Event::Request(own)] = batch.events.as_slice() else {
        panic!("{batch:?}")
    };
    assert_eq!((combined.kind, combined.query.as_str()), (Some("diagnosis"), "stores=a"));
    assert!(combined.question().is_ok() && own.question().is_ok());
}

#[test]
fn times_in_the_future_are_now_and_order_does_not_count() {
    let logs = Logs::new();
    logs.write("access.log", [30, 10, 20]);
    let batch = logs.reader("access.log").poll(1 << 20, 15);
    let times: Vec<i64> = batch.events.iter().map(Event::time).collect();
    assert_eq!((times, batch.counts.clamped), (vec![15, 10, 15], 2));
}

#[cfg(unix)]
#[test]
fn what_cannot_be_opened_is_told_and_does_not_stop_the_rest() {
    let logs = Logs::new();
    logs.write("b.log", [0]);
    // A link to itself cannot be opened by anyone.
    std::os::unix::fs::symlink(logs.path("a.log"), logs.path("a.log")).unwrap();
    assert_eq!(poll(&mut logs.reader("*.log")), [0]);
    assert!(warmer::log_reader::LogReader::new(logs.settings("***")).is_err());
}
