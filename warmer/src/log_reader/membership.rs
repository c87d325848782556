//! Which file holds which stream: found anew at every poll, by identity and by first bytes.

use std::fs::File;
use std::io;

use shared::access_log::FileId;

use super::discover::Candidate;
use super::head::{self, Likeness, start_of};
use super::stream::{Member, Stream};
use super::{Batch, LogReader};

/// Streams without files that are remembered, per file that may be open.
const REMEMBERED_PER_FILE: usize = 8;

impl LogReader {
    /// Finds out where the streams are now, and which are new.
    pub(super) fn look(&mut self, batch: &mut Batch, now_ms: i64) {
        let candidates = self.patterns.candidates(self.streams.iter().map(|stream| stream.tail.as_path()));
        for member in self.streams.iter_mut().flat_map(|stream| &mut stream.members) {
            member.seen = false;
        }
        let mut newcomers: Vec<Candidate> =
            candidates.into_iter().filter_map(|candidate| self.recognise(candidate, batch)).collect();
        self.look_at_gone(now_ms);
        newcomers.sort_by_cached_key(Candidate::order);
        let named: Vec<i64> =
            newcomers.iter().filter(|newcomer| newcomer.named).map(|newcomer| newcomer.modified).collect();
        let mut excess = named.len().saturating_sub(self.settings.max_files.saturating_sub(self.members()));
        while excess > 0 && self.let_go_before(named[excess - 1]) {
            excess -= 1;
        }
        for newcomer in newcomers {
            let left_out =
                if newcomer.named { excess > 0 } else { self.members() >= self.settings.max_files };
            if left_out {
                excess = excess.saturating_sub(usize::from(newcomer.named));
                batch.counts.unreadable += 1;
                batch.fault(&newcomer.path, None, &"too many log files, newer ones are read; name fewer");
            } else if let Err(error) = self.welcome(&newcomer)
                && error.kind() != io::ErrorKind::NotFound
            {
                batch.counts.unreadable += 1;
                batch.fault(&newcomer.path, None, &error);
            }
        }
    }

    /// Files that are open.
    fn members(&self) -> usize {
        self.streams.iter().map(|stream| stream.members.len()).sum()
    }

    /// Makes room for a newer file: lets go of the oldest that was read, if it is older.
    fn let_go_before(&mut self, modified: i64) -> bool {
        let oldest = self
            .streams
            .iter_mut()
            .filter(|stream| !stream.has_more())
            .filter_map(|stream| {
                let at = (0..stream.members.len()).min_by_key(|at| stream.members[*at].modified)?;
                Some((stream, at))
            })
            .min_by_key(|(stream, at)| stream.members[*at].modified);
        match oldest {
            Some((stream, at)) if stream.members[at].modified < modified => {
                stream.members.remove(at);
                stream.put_aside = stream.members.is_empty();
                true
            }
            _ => false,
        }
    }

    /// Gives back what is no member, or no longer one.
    fn recognise(&mut self, candidate: Candidate, batch: &mut Batch) -> Option<Candidate> {
        let place = self.streams.iter().enumerate().find_map(|(stream, holder)| {
            let member = holder.members.iter().position(|member| member.id == candidate.id)?;
            Some((stream, member))
        });
        let Some((stream, at)) = place else { return Some(candidate) };
        let stream = &mut self.streams[stream];
        let member = &mut stream.members[at];
        let changed = (member.len, member.modified) != (candidate.len, candidate.modified);
        if changed || !member.checked {
            match open(&candidate) {
                Ok(Some((file, start))) => {
                    if stream.head.is_some_and(|head| head.likeness(&start) != Likeness::Same) {
                        stream.members.remove(at);
                        batch.counts.restarted += 1;
                        return Some(candidate);
                    }
                    member.file = file;
                    member.checked = true;
                }
                // Another file by now, or gone: the next poll sees it.
                Ok(None) => {}
                Err(error) => {
                    batch.counts.unreadable += 1;
                    batch.fault(&candidate.path, None, &error);
                }
            }
        }
        if candidate.len < member.len && candidate.len < stream.position && stream.members.len() == 1 {
            // Cut off behind its first lines: what comes now is new.
            (stream.position, stream.skipping) = (candidate.len, false);
            batch.counts.restarted += 1;
        }
        let member = &mut stream.members[at];
        (member.len, member.modified) = (candidate.len, candidate.modified);
        member.path = candidate.path;
        (member.seen, member.gone_since) = (true, None);
        None
    }

    /// Files at no path any more may still be written to.
    fn look_at_gone(&mut self, now_ms: i64) {
        for member in self.streams.iter_mut().flat_map(|stream| &mut stream.members) {
            if member.seen {
                continue;
            }
            let len = member.file.metadata().map_or(member.len, |metadata| metadata.len());
            if len != member.len || member.gone_since.is_none() {
                member.gone_since = Some(now_ms);
            }
            member.len = len;
        }
    }

    /// Finds the stream of a file, or begins one.
    fn welcome(&mut self, newcomer: &Candidate) -> io::Result<()> {
        let Some((file, start)) = open(newcomer)? else { return Ok(()) };
        if head::is_compressed(&start) {
            return Ok(());
        }
        let same = |stream: &&mut Stream| match stream.head {
            Some(head) => head.likeness(&start) == Likeness::Same,
            // Known, but nothing was read of it.
            None => stream.members.is_empty() && stream.id == newcomer.id,
        };
        if let Some(stream) = self.streams.iter_mut().find(same) {
            stream.join(Member::new(newcomer, file));
            return Ok(());
        }
        let before = self.streams.iter().rfind(|stream| stream.tail == newcomer.tail);
        if !newcomer.named && !before.is_some_and(|before| follows(newcomer, before)) {
            return Ok(());
        }
        // A rotated file holds what came before a file at its old path of which nothing was read yet.
        let unread =
            before.filter(|before| before.position == 0 && before.is_at_tail() && !is_at_tail(newcomer));
        let successor = unread.map(|unread| unread.key);
        let after = unread.map_or_else(|| before.map(|before| before.key), |unread| unread.after);
        let mut stream =
            Stream::new(self.next_key, newcomer.tail.clone(), after, newcomer.id, newcomer.modified);
        stream.join(Member::new(newcomer, file));
        self.next_key += 1;
        let place = self.streams.iter().position(|stream| Some(stream.key) == successor);
        if let Some(place) = place {
            self.streams[place].after = Some(stream.key);
        }
        self.streams.insert(place.unwrap_or(self.streams.len()), stream);
        Ok(())
    }

    /// Whether a stream may be read. One of which nothing was read yet may be a copy of another one: then its files
    /// join that.
    pub(super) fn identify(&mut self, at: usize, now_ms: i64) -> bool {
        let stream = &mut self.streams[at];
        if stream.head.is_some() {
            return true;
        }
        let Some(member) = stream.members.iter_mut().find(|member| member.len > 0) else { return false };
        let Ok(start) = start_of(&mut member.file) else { return true };
        let likeness = |stream: &Stream| stream.head.map_or(Likeness::Other, |head| head.likeness(&start));
        if let Some(same) = self.streams.iter().position(|stream| likeness(stream) == Likeness::Same) {
            let Stream { members, key, after, .. } = self.streams.remove(at);
            let same = if same > at { same - 1 } else { same };
            for member in members {
                self.streams[same].join(member);
            }
            for stream in self.streams.iter_mut().filter(|stream| stream.after == Some(key)) {
                stream.after = after;
            }
            return false;
        }
        if !self.streams.iter().any(|stream| likeness(stream) == Likeness::Perhaps) {
            return true;
        }
        let linger = i64::try_from(self.settings.linger.as_millis()).unwrap_or(i64::MAX);
        // A copy shows its first bytes at once; who still starts alike after this time is another file.
        let since = *self.streams[at].waiting_since.get_or_insert(now_ms);
        now_ms.saturating_sub(since) >= linger
    }

    /// Lets go of files that are gone and read, and of streams without files.
    pub(super) fn let_go(&mut self, batch: &mut Batch, now_ms: i64) {
        let linger = i64::try_from(self.settings.linger.as_millis()).unwrap_or(i64::MAX);
        let is_over = |since: Option<i64>| since.is_some_and(|since| now_ms.saturating_sub(since) >= linger);
        for stream in &mut self.streams {
            let more = stream.has_more();
            let only = stream.members.len() == 1;
            let position = stream.position;
            stream.members.retain(|member| {
                let gone = is_over(member.gone_since) && !more;
                batch.counts.torn += u64::from(gone && only && member.len > position);
                !gone
            });
            if stream.members.is_empty() && stream.alone_since.is_none() && !stream.put_aside {
                stream.alone_since = Some(now_ms);
            }
        }
        self.streams.retain(|stream| !is_over(stream.alone_since));
        let alone = self.streams.iter().filter(|stream| stream.members.is_empty()).count();
        let mut excess = alone.saturating_sub(self.settings.max_files * REMEMBERED_PER_FILE);
        self.streams.retain(|stream| {
            let goes = excess > 0 && stream.members.is_empty();
            excess -= usize::from(goes);
            !goes
        });
    }
}

fn is_at_tail(candidate: &Candidate) -> bool {
    candidate.path == candidate.tail
}

/// Whether a rotated file was written after what is known of the stream `before` it at the same path: it came and went
/// between two polls, or while nobody read.
fn follows(newcomer: &Candidate, before: &Stream) -> bool {
    newcomer.modified >= before.modified && (before.position == 0 || !before.is_at_tail())
}

/// Opens a file, with its first bytes; `None` if another one is at its path by now.
fn open(candidate: &Candidate) -> io::Result<Option<(File, Vec<u8>)>> {
    let mut file = File::open(&candidate.path)?;
    if FileId::new(&candidate.path, &file.metadata()?) != candidate.id {
        return Ok(None);
    }
    let start = start_of(&mut file)?;
    Ok(Some((file, start)))
}
