//! Where a file goes, its lines are read once.

use std::fs;

use warmer::log_reader::positions::{load, save};
use warmer::log_reader::{LogReader, Positions};

use super::{LINGER, Logs, NOW, numbers, poll};

#[test]
fn after_a_rename_the_rest_of_the_old_file_comes_first() {
    for pattern in ["access.log", "access.log*", "*"] {
        let logs = Logs::new();
        logs.write("access.log", 0..2);
        let mut reader = logs.reader(pattern);
        assert_eq!(poll(&mut reader), [0, 1]);
        logs.write("access.log", 2..4);
        logs.rename("access.log", "access.log.1");
        logs.write("access.log", 4..6);
        assert_eq!(poll(&mut reader), [2, 3, 4, 5], "{pattern}");
        // nginx writes to the old file until it is told to open the new one.
        logs.write("access.log.1", [6]);
        logs.write("access.log", [7]);
        assert_eq!(poll(&mut reader), [6, 7], "{pattern}");
        logs.rename("access.log.1", "access.log.2");
        assert_eq!(poll(&mut reader), [0u32; 0]);
    }
}

#[test]
fn a_copied_and_truncated_file_is_read_once_and_whole() {
    for pattern in ["access.log", "access.log*"] {
        let logs = Logs::new();
        logs.write("access.log", 0..100);
        let mut reader = logs.reader(pattern);
        assert_eq!(poll(&mut reader).len(), 100);
        logs.write("access.log", 100..103);
        fs::copy(logs.path("access.log"), logs.path("access.log.1")).unwrap();
        // The copy is there, the file not truncated yet.
        assert_eq!(poll(&mut reader), [100, 101, 102], "{pattern}");
        logs.truncate("access.log");
        assert_eq!(poll(&mut reader), [0u32; 0]);
        logs.write("access.log", 103..105);
        logs.rename("access.log.1", "access.log.2");
        logs.copy_and_truncate("access.log", "access.log.1");
        // Longer than before: only its first bytes tell that it was truncated.
        logs.write("access.log", 105..400);
        assert_eq!(poll(&mut reader), (103..400).collect::<Vec<_>>(), "{pattern}");
    }
}

#[test]
fn a_copy_in_the_making_waits() {
    let logs = Logs::new();
    logs.write("access.log", 0..9);
    let mut reader = logs.reader("access*");
    assert_eq!(poll(&mut reader).len(), 9);
    let whole = fs::read(logs.path("access.log")).unwrap();
    for length in [0, 10, 250, 800, whole.len()] {
        fs::write(logs.path("access.bak"), &whole[..length]).unwrap();
        assert_eq!(poll(&mut reader), [0u32; 0], "{length}");
    }
    // A file that only starts alike is read after a while.
    let other = [&whole[..250], &super::line(77)].concat();
    fs::write(logs.path("access.other"), &other[other.iter().position(|b| *b == b'\n').unwrap() + 1..])
        .unwrap();
    reader.poll(1 << 20, NOW);
    let later = reader.poll(1 << 20, NOW + LINGER);
    assert_eq!(later.events.len() + later.counts.garbage as usize, 0, "{later:?}");
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let logs = Logs::new();
    logs.write("access.log", 0..3);
    let mut reader = logs.reader("access.log");
    assert_eq!(poll(&mut reader), [0, 1, 2]);
    logs.write("access.log", 3..5);
    logs.append("access.log", "{\"v\":1,\"type\":");
    fs::remove_file(logs.path("access.log")).unwrap();
    logs.write("access.log", 5..6);
    assert_eq!(poll(&mut reader), [3, 4, 5]);
    // It is held for a while, then its torn line is counted.
    assert_eq!(reader.poll(1 << 20, NOW + LINGER - 2000).counts.torn, 0);
    assert_eq!(reader.poll(1 << 20, NOW + LINGER).counts.torn, 1);
    fs::remove_dir_all(logs.path("")).unwrap();
    assert_eq!(poll(&mut reader), [0u32; 0]);
    fs::create_dir(logs.path("")).unwrap();
    logs.write("access.log", 6..8);
    assert_eq!(poll(&mut reader), [6, 7]);
}

#[test]
fn an_inode_that_is_used_again_is_a_new_file() {
    let logs = Logs::new();
    logs.write("access.log", 0..5);
    let mut reader = logs.reader("access.log");
    assert_eq!(poll(&mut reader).len(), 5);
    let positions = reader.positions();
    // The same inode with other content, longer than before.
    fs::write(logs.path("access.log"), (10..30).flat_map(super::line).collect::<Vec<u8>>()).unwrap();
    let mut restarted = LogReader::restore(logs.settings("access.log"), positions).unwrap();
    for reader in [&mut reader, &mut restarted] {
        assert_eq!(poll(reader), (10..30).collect::<Vec<_>>());
    }
}

#[test]
fn a_file_cut_off_within_goes_on_at_its_new_end() {
    let logs = Logs::new();
    logs.write("access.log", 0..100);
    let mut reader = logs.reader("access.log");
    assert_eq!(poll(&mut reader).len(), 100);
    let kept: usize = (0..50).map(|number| super::line(number).len()).sum();
    let file = fs::OpenOptions::new().write(true).open(logs.path("access.log")).unwrap();
    file.set_len(kept as u64).unwrap();
    assert_eq!(poll(&mut reader), [0u32; 0]);
    logs.write("access.log", 200..202);
    assert_eq!(poll(&mut reader), [200, 201]);
}

#[test]
fn rotated_files_are_found_after_a_restart() {
    let logs = Logs::new();
    logs.write("access.log", 0..3);
    // Rotated before anything was read: no pattern names it.
    logs.write("access.log.1", 90..92);
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(logs.path("access.log.1")).unwrap().set_modified(old).unwrap();
    let mut reader = logs.reader("access.log");
    assert_eq!(poll(&mut reader), [0, 1, 2]);
    let state = logs.path("state.json");
    save(&state, &(3u32, reader.positions())).unwrap();
    drop(reader);
    logs.write("access.log", [3]);
    logs.rename("access.log.1", "access.log.3");
    logs.rename("access.log", "access.log.2");
    logs.write("access.log.1", [4]);
    logs.write("access.log", [5]);
    let (events, positions): (u32, Positions) = load(&state).unwrap().unwrap();
    let mut reader = LogReader::restore(logs.settings("access.log"), positions).unwrap();
    assert_eq!((events, poll(&mut reader)), (3, vec![3, 4, 5]));
    assert_eq!(poll(&mut reader), [0u32; 0]);
}

#[test]
fn a_state_file_is_whole_or_an_error() {
    let logs = Logs::new();
    let state = logs.path("state.json");
    assert_eq!(load::<Positions>(&state).unwrap(), None);
    fs::write(&state, "{").unwrap();
    let error = load::<Positions>(&state).unwrap_err().to_string();
    assert!(error.contains("state.json") && error.contains("remove it"), "{error}");
    logs.write("access.log", 0..3);
    let mut reader = logs.reader("access.log");
    poll(&mut reader);
    save(&state, &reader.positions()).unwrap();
    assert_eq!(load::<Positions>(&state).unwrap(), Some(reader.positions()));
    let error = save(&logs.path("none/state.json"), &1).unwrap_err().to_string();
    assert!(error.contains("none/state.json"), "{error}");
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(logs.path("")).unwrap().count(), 2);
}

#[test]
fn several_files_have_their_share() {
    let logs = Logs::new();
    logs.write("a.log", 0..20_000);
    logs.write("b.log", 20_000..20_010);
    let mut settings = logs.settings("a.log");
    settings.patterns.push(logs.path("b.*").to_str().unwrap().to_owned());
    settings.patterns.push(logs.path("a.*").to_str().unwrap().to_owned());
    settings.max_line = 1000;
    let mut reader = LogReader::new(settings).unwrap();
    let first = reader.poll(100_000, NOW);
    assert!(first.more && first.counts.bytes < 103_000, "{:?}", first.counts);
    let whole: u64 = ["a.log", "b.log"].map(|name| fs::metadata(logs.path(name)).unwrap().len()).iter().sum();
    assert_eq!(reader.backlog(), whole - first.counts.bytes);
    assert_eq!(numbers(&first).iter().filter(|number| **number >= 20_000).count(), 10);
    let mut all = numbers(&first);
    while all.len() < 20_010 {
        let batch = reader.poll(100_000, NOW);
        assert!(batch.counts.lines > 0);
        all.extend(numbers(&batch));
    }
    assert_eq!(reader.backlog(), 0);
    all.sort_unstable();
    assert_eq!(all, (0..20_010).collect::<Vec<_>>());
}

#[test]
fn of_too_many_files_the_newest_are_read() {
    let logs = Logs::new();
    for number in 0..6u32 {
        let name = format!("{number}.log");
        logs.write(&name, [number]);
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000 + u64::from(number));
        fs::File::options().write(true).open(logs.path(&name)).unwrap().set_modified(at).unwrap();
    }
    let mut settings = logs.settings("*.log");
    settings.max_files = 4;
    let mut reader = LogReader::new(settings).unwrap();
    let batch = reader.poll(1 << 20, NOW);
    assert_eq!((numbers(&batch), batch.counts.unreadable), (vec![2, 3, 4, 5], 2));
    assert!(batch.faults[0].what.contains("too many"), "{:?}", batch.faults);
}

#[test]
fn a_new_file_takes_the_place_of_the_oldest() {
    let logs = Logs::new();
    let mut settings = logs.settings("access.log*");
    settings.max_files = 3;
    let mut reader = LogReader::new(settings).unwrap();
    let mut oldest = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for number in 0..8u32 {
        logs.write("access.log", [2 * number, 2 * number + 1]);
        fs::File::options().write(true).open(logs.path("access.log")).unwrap().set_modified(oldest).unwrap();
        oldest += std::time::Duration::from_secs(1);
        let batch = reader.poll(1 << 20, NOW);
        assert_eq!(numbers(&batch), [2 * number, 2 * number + 1]);
        assert_eq!(batch.counts.unreadable, u64::from(number.saturating_sub(3)), "{number}");
        for file in (1..=number).rev() {
            logs.rename(&format!("access.log.{file}"), &format!("access.log.{}", file + 1));
        }
        logs.rename("access.log", "access.log.1");
    } // When there is room again, what was let go is known still, after a restart and a long time, too.
    for file in 1..6 {
        fs::remove_file(logs.path(&format!("access.log.{file}"))).unwrap();
    }
    let mut settings = logs.settings("access.log*");
    settings.max_files = 3;
    let mut restarted = LogReader::restore(settings, reader.positions()).unwrap();
    for reader in [&mut reader, &mut restarted] {
        for wait in [0, LINGER, 2 * LINGER] {
            assert_eq!(numbers(&reader.poll(1 << 20, NOW + wait)), [0u32; 0]);
        }
    }
}

#[test]
fn logs_that_start_alike_are_told_apart() {
    let logs = Logs::new();
    logs.write("a.log", [0]);
    let mut reader = logs.reader("*.log");
    assert_eq!(poll(&mut reader), [0]);
    // As if two sites logged the same first line: for now it may be a copy.
    logs.write("b.log", [0, 10]);
    logs.write("a.log", [1]);
    let mut read = Vec::new();
    for number in [2, 3, 4] {
        read.extend(numbers(&reader.poll(1 << 20, NOW + i64::from(number) * LINGER)));
        logs.write("a.log", [number]);
        logs.write("b.log", [10 * number]);
    }
    read.extend(poll(&mut reader));
    read.sort_unstable();
    assert_eq!(read, [0, 1, 2, 3, 4, 10, 20, 30, 40]);
}

#[test]
fn a_copy_of_what_was_never_read_comes_before_what_followed() {
    let logs = Logs::new();
    logs.append("access.log", "");
    let mut settings = logs.settings("access.log");
    settings.max_line = 400;
    let mut reader = LogReader::new(settings).unwrap();
    assert_eq!(poll(&mut reader), [0u32; 0]);
    logs.write("access.log", 0..30);
    logs.copy_and_truncate("access.log", "access.log.1");
    logs.write("access.log", 30..60);
    let mut read = Vec::new();
    loop {
        let batch = reader.poll(1500, NOW);
        read.extend(numbers(&batch));
        if !batch.more {
            break;
        }
    }
    assert_eq!(read, (0..60).collect::<Vec<_>>());
}
