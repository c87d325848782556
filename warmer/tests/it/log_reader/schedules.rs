//! Whatever happens to a log, in whatever order: every line is taken once.

use std::fs;

use proptest::prelude::*;
use warmer::log_reader::{LogReader, Positions, ReaderSettings};

use super::{LINGER, Logs, NOW, line, numbers};

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many lines, the last one in two pieces if `true`.
    Append(u32, bool),
    /// `true`: the new file is made at once.
    Rename(bool),
    /// Polled in between if `true`.
    CopyTruncate(bool),
    /// Lines that still go to the file that was renamed.
    Late(u32),
    /// The oldest rotated file goes, if all of it was stored as taken.
    DeleteOldest,
    /// With this limit in bytes.
    Poll(usize),
    /// The consumer stores what it has, with the positions.
    Save,
    /// It goes on from what it stored last.
    Restart,
    /// Time goes by.
    Wait(i64),
}

fn steps(copies: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1u32..12, any::<bool>()).prop_map(|(lines, torn)| Step::Append(lines, torn)),
        2 => any::<bool>().prop_map(Step::Rename),
        2 => any::<bool>().prop_map(move |poll| if copies { Step::CopyTruncate(poll) } else { Step::Rename(poll) }),
        1 => (1u32..4).prop_map(move |lines| if copies { Step::Late(lines) } else { Step::Save }),
        1 => Just(if copies { Step::DeleteOldest } else { Step::Save }),
        4 => prop_oneof![Just(1usize), 300usize..3000, Just(1 << 20)].prop_map(Step::Poll),
        2 => Just(Step::Save),
        2 => Just(Step::Restart),
        1 => (1i64..20_000).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 1..50)
}

fn name(number: usize) -> String {
    format!("access.log.{number}")
}

struct Run {
    logs: Logs,
    settings: ReaderSettings,
    reader: LogReader,
    now: i64,
    /// Next line, and what is not written of the last one.
    next: u32,
    rest: Vec<u8>,
    taken: Vec<u32>,
    saved: (Vec<u32>, Positions),
    /// Lines in the file that is written, and in the rotated ones, the newest first.
    lines: Vec<u32>,
    rotated: Vec<Vec<u32>>,
    renamed: bool,
}

impl Run {
    fn new(pattern: &str) -> Self {
        let logs = Logs::new();
        logs.append("access.log", "");
        let mut settings = logs.settings(pattern);
        // Small blocks, so that limits and rotations fall between them.
        settings.max_line = 400;
        let mut reader = LogReader::new(settings.clone()).unwrap();
        reader.poll(1, NOW);
        let saved = (Vec::new(), reader.positions());
        Self {
            logs,
            settings,
            reader,
            now: NOW,
            next: 0,
            rest: Vec::new(),
            taken: Vec::new(),
            saved,
            lines: Vec::new(),
            rotated: Vec::new(),
            renamed: false,
        }
    }

    fn complete(&mut self) {
        self.logs.append("access.log", std::mem::take(&mut self.rest));
    }

    /// `access.log.1` becomes `access.log.2` and so on.
    fn make_room(&mut self, renamed: bool) {
        for number in (1..=self.rotated.len()).rev() {
            self.logs.rename(&name(number), &name(number + 1));
        }
        self.rotated.insert(0, std::mem::take(&mut self.lines));
        self.renamed = renamed;
    }

    fn delete_oldest(&mut self) {
        if self.rotated.last().is_some_and(|lines| lines.iter().all(|line| self.saved.0.contains(line))) {
            fs::remove_file(self.logs.path(&name(self.rotated.len()))).unwrap();
            self.rotated.pop();
        }
    }

    fn poll(&mut self, limit: usize) -> bool {
        let batch = self.reader.poll(limit, self.now);
        let counts = batch.counts;
        assert_eq!(
            (counts.garbage, counts.too_long, counts.torn, counts.unreadable),
            (0, 0, 0, 0),
            "{batch:?}"
        );
        self.taken.extend(numbers(&batch));
        batch.more
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(lines, torn) => {
                self.complete();
                let mut bytes: Vec<u8> = (self.next..self.next + lines).flat_map(line).collect();
                self.lines.extend(self.next..self.next + lines);
                self.next += lines;
                if torn {
                    self.rest = bytes.split_off(bytes.len() - 20);
                }
                self.logs.append("access.log", bytes);
            }
            Step::Rename(made) => {
                self.complete();
                self.make_room(true);
                self.logs.rename("access.log", "access.log.1");
                if made {
                    self.logs.append("access.log", "");
                }
            }
            Step::CopyTruncate(poll) => {
                self.complete();
                self.make_room(false);
                fs::copy(self.logs.path("access.log"), self.logs.path("access.log.1")).unwrap();
                if poll {
                    self.poll(1000);
                }
                self.logs.truncate("access.log");
            }
            Step::Late(lines) => {
                if self.renamed
                    && let Some(of_file) = self.rotated.first_mut()
                {
                    let late = self.next..self.next + lines;
                    of_file.extend(late.clone());
                    self.logs.append("access.log.1", late.flat_map(line).collect::<Vec<u8>>());
                    self.next += lines;
                }
            }
            Step::DeleteOldest => self.delete_oldest(),
            Step::Poll(limit) => {
                self.poll(limit);
            }
            Step::Save => self.saved = (self.taken.clone(), self.reader.positions()),
            Step::Restart => {
                let (taken, positions) = self.saved.clone();
                // As it comes out of a file.
                let positions = serde_json::from_str(&serde_json::to_string(&positions).unwrap()).unwrap();
                self.taken = taken;
                self.reader = LogReader::restore(self.settings.clone(), positions).unwrap();
            }
            Step::Wait(time) => self.now += time,
        }
    }

    /// Everything that was taken in the end.
    fn finish(mut self) -> (Vec<u32>, u32) {
        self.complete();
        for _ in 0..3 {
            while self.poll(1 << 20) {}
            self.now += LINGER;
        }
        (self.taken, self.next)
    }
}

fn run(pattern: &str, steps: &[Step]) -> (Vec<u32>, u32) {
    let mut run = Run::new(pattern);
    for step in steps {
        run.step(*step);
    }
    run.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn renames_lose_and_double_nothing(steps in steps(false), glob: bool) {
        let (taken, written) = run(if glob { "access.log*" } else { "access.log" }, &steps);
        // In order, too.
        prop_assert_eq!(taken, (0..written).collect::<Vec<_>>());
    }

    #[test]
    fn copies_lose_and_double_nothing(steps in steps(true), glob: bool) {
        let (mut taken, written) = run(if glob { "access.log*" } else { "access.log" }, &steps);
        taken.sort_unstable();
        prop_assert_eq!(taken, (0..written).collect::<Vec<_>>());
    }
}

#[test]
fn a_schedule_that_loses_would_be_seen() {
    // The test of the test: a file that nobody can find any more.
    let mut run = Run::new("access.log");
    run.step(Step::Append(3, false));
    run.step(Step::Poll(1 << 20));
    run.step(Step::Append(3, false));
    fs::remove_file(run.logs.path("access.log")).unwrap();
    run.step(Step::Restart);
    assert_eq!(run.finish(), (vec![], 6));
}
