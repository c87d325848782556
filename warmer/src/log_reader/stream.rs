//! One stream: reading what is new, block by block.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use shared::access_log::{FileId, LineError};

use super::Batch;
use super::discover::Candidate;
use super::head::{Head, Likeness, start_of};
use super::lines::split;

/// Bytes read at once.
const BLOCK_BYTES: usize = 256 << 10;

/// A file that holds a stream.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    /// Length when last looked at.
    pub(super) len: u64,
    pub(super) modified: i64,
    /// Whether its first bytes are known to be the stream's.
    pub(super) checked: bool,
    /// Since when it is at no path any more, or has grown there for the last time.
    pub(super) gone_since: Option<i64>,
    /// Whether it was found at this poll.
    pub(super) seen: bool,
    pub(super) file: File,
}

impl Member {
    pub(super) fn new(candidate: &Candidate, file: File) -> Self {
        Self {
            id: candidate.id,
            path: candidate.path.clone(),
            len: candidate.len,
            modified: candidate.modified,
            checked: true,
            gone_since: None,
            seen: true,
            file,
        }
    }
}

/// Limits of one reading.
pub(super) struct Reading {
    pub(super) quota: usize,
    pub(super) max_line: usize,
    pub(super) now_ms: i64,
}

/// The bytes that one file received since it was begun.
#[derive(Debug)]
pub(super) struct Stream {
    /// Never used twice by one reader.
    pub(super) key: u64,
    /// The name under which it was written.
    pub(super) tail: PathBuf,
    /// The stream that was written at the same path before.
    pub(super) after: Option<u64>,
    /// Bytes that were taken.
    pub(super) position: u64,
    /// Whether the position lies within a line that is too long.
    pub(super) skipping: bool,
    /// Of the bytes that were taken; `None` until then.
    pub(super) head: Option<Head>,
    /// When it had been written last, as of the last reading.
    pub(super) modified: i64,
    /// The file that was read last.
    pub(super) id: FileId,
    pub(super) members: Vec<Member>,
    /// A file and a length up to which it holds no complete line more.
    pub(super) tried: Option<(FileId, u64)>,
    /// Since when it waits, as it may be a copy in the making.
    pub(super) waiting_since: Option<i64>,
    /// Since when it has no members.
    pub(super) alone_since: Option<i64>,
    /// Whether its file was let go for newer ones: should there be room again, it must not be read again.
    pub(super) put_aside: bool,
}

impl Stream {
    pub(super) fn new(key: u64, tail: PathBuf, after: Option<u64>, id: FileId, modified: i64) -> Self {
        Self {
            key,
            tail,
            after,
            position: 0,
            skipping: false,
            head: None,
            modified,
            id,
            members: Vec::new(),
            tried: None,
            waiting_since: None,
            alone_since: None,
            put_aside: false,
        }
    }

    pub(super) fn join(&mut self, member: Member) {
        self.members.push(member);
        (self.alone_since, self.tried, self.put_aside) = (None, None, false);
    }

    /// Whether a file holds it that is where the stream was written.
    pub(super) fn is_at_tail(&self) -> bool {
        self.members.iter().any(|member| member.seen && member.path == self.tail)
    }

    /// Whether a member may hold a line that was not taken.
    pub(super) fn has_more(&self) -> bool {
        self.longest().is_some()
    }

    /// The place of the member to read: the longest, unless nothing new is in it.
    fn longest(&self) -> Option<usize> {
        let more =
            |member: &Member| member.len > self.position && self.tried != Some((member.id, member.len));
        let members = self.members.iter().enumerate().filter(|(_, member)| member.checked && more(member));
        members.max_by_key(|(_, member)| member.len).map(|(at, _)| at)
    }

    /// Reads until the quota is used up or nothing is new; gives the bytes taken.
    pub(super) fn read(&mut self, reading: &Reading, buffer: &mut Vec<u8>, batch: &mut Batch) -> usize {
        let mut sum = 0;
        while sum < reading.quota
            && let Some(at) = self.longest()
        {
            let room = (reading.quota - sum).min(BLOCK_BYTES).max(reading.max_line + 1);
            match self.read_block(at, room, reading, buffer, batch) {
                Ok(bytes) => sum += bytes,
                Err(error) => {
                    let member = &self.members[at];
                    self.tried = Some((member.id, member.len));
                    batch.counts.unreadable += 1;
                    batch.fault(&member.path, Some(self.position), &error);
                }
            }
        }
        sum
    }

    /// Takes the lines of one block of a member.
    fn read_block(
        &mut self,
        at: usize,
        room: usize,
        reading: &Reading,
        buffer: &mut Vec<u8>,
        batch: &mut Batch,
    ) -> io::Result<usize> {
        let member = &mut self.members[at];
        buffer.clear();
        member.file.seek(SeekFrom::Start(self.position))?;
        (&mut member.file).take(room as u64).read_to_end(buffer)?;
        let end = self.position + buffer.len() as u64;
        member.len = member.len.max(end);
        // It may have been truncated while it was read: a head that is still the same proves that it was not.
        let start = start_of(&mut member.file)?;
        if !is_start_of(self.head.as_ref(), &start, buffer) {
            member.checked = false;
            return Ok(0);
        }
        let path: &Path = &member.path;
        let taken = split(buffer, self.skipping, reading.max_line, |offset, line| {
            batch.line(path, self.position + offset as u64, line, reading.now_ms);
        });
        batch.counts.too_long += taken.too_long;
        batch.counts.lines += taken.too_long;
        batch.counts.bytes += taken.bytes as u64;
        batch.counts.files += u64::from(self.position == 0 && taken.bytes > 0);
        if taken.too_long > 0 {
            batch.fault(path, Some(self.position), &LineError::TooLong);
        }
        if taken.bytes == 0 {
            self.tried = Some((member.id, member.len));
            return Ok(0);
        }
        (self.id, self.modified) = (member.id, member.modified);
        self.position += taken.bytes as u64;
        self.skipping = taken.skipping;
        self.note_head(&start, at);
        Ok(taken.bytes)
    }

    /// More bytes count now; the other members have to show that they have them too.
    fn note_head(&mut self, start: &[u8], from: usize) {
        if self.head.is_some_and(|head| !head.may_grow()) {
            return;
        }
        let head = Head::new(start, self.position);
        if head.is_some() && head != self.head {
            self.head = head;
            for (at, member) in self.members.iter_mut().enumerate() {
                member.checked = at == from;
            }
        }
    }
}

/// Whether a file that starts so is the stream with this head, and held the bytes just read from it.
fn is_start_of(head: Option<&Head>, start: &[u8], read: &[u8]) -> bool {
    match head {
        Some(head) => head.likeness(start) == Likeness::Same,
        None => {
            let both = start.len().min(read.len());
            start[..both] == read[..both] && (both > 0 || read.is_empty())
        }
    }
}
