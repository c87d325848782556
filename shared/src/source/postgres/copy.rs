//! The stream of a binary COPY, row by row.

use bytes::BytesMut;
use deadpool_postgres::Client;
use futures_util::StreamExt;

use super::pool::explain;
use crate::source::{SourceError, SourceErrorKind};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// One row: its fields by number.
pub(super) struct Row<'a> {
    bytes: &'a [u8],
    fields: &'a [Option<(usize, usize)>],
}

impl<'a> Row<'a> {
    /// A field; `None` is NULL.
    pub(super) fn get(&self, at: usize) -> Option<&'a [u8]> {
        let (from, to) = (*self.fields.get(at)?)?;
        self.bytes.get(from..to)
    }
}

/// A connection that goes back to the pool only when its COPY was read to the end: closing it is how the server
/// learns that nobody wants the rest.
struct Borrowed(Option<Client>);

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(deadpool_postgres::Object::take(client));
        }
    }
}

/// Runs `COPY (query) TO STDOUT (FORMAT binary)` and hands each row to `row`. Holds one message of the server at a
/// time, however many rows there are.
pub(super) async fn rows(
    client: Client,
    query: &str,
    mut row: impl FnMut(&Row<'_>),
) -> Result<(), SourceError> {
    let statement = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
    let mut client = Borrowed(Some(client));
    let Some(connection) = &client.0 else { return Err(malformed()) };
    let stream = connection.copy_out(&statement).await.map_err(explain)?;
    let mut stream = std::pin::pin!(stream);
    let mut splitter = Splitter::default();
    while let Some(chunk) = stream.next().await {
        splitter.feed(&chunk.map_err(explain)?, &mut row)?;
    }
    splitter.finish()?;
    // Back to the pool.
    drop(client.0.take());
    Ok(())
}

fn malformed() -> SourceError {
    SourceError::new(SourceErrorKind::Other, "postgres: the COPY stream is malformed", "see the server's log")
}

/// Cuts a stream into rows, wherever its chunks end.
#[derive(Default)]
struct Splitter {
    /// What was not a whole row yet.
    rest: BytesMut,
    fields: Vec<Option<(usize, usize)>>,
    seen_header: bool,
    ended: bool,
}

impl Splitter {
    fn feed(&mut self, chunk: &[u8], row: &mut impl FnMut(&Row<'_>)) -> Result<(), SourceError> {
        if self.rest.is_empty() {
            // The server sends whole rows, so that this is the rule.
            let used = self.split(chunk, row)?;
            self.rest.extend_from_slice(&chunk[used..]);
        } else {
            let mut joined = std::mem::take(&mut self.rest);
            joined.extend_from_slice(chunk);
            let used = self.split(&joined, row)?;
            self.rest = joined.split_off(used);
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), SourceError> {
        if self.ended && self.rest.is_empty() { Ok(()) } else { Err(malformed()) }
    }

    /// Hands out the whole rows of `bytes` and says how many bytes they were.
    fn split(&mut self, bytes: &[u8], row: &mut impl FnMut(&Row<'_>)) -> Result<usize, SourceError> {
        let mut at = 0;
        if !self.seen_header {
            match header_length(bytes)? {
                Some(length) => at = length,
                None => return Ok(0),
            }
            self.seen_header = true;
        }
        while !self.ended {
            match next_row(bytes, at, &mut self.fields)? {
                Step::Row { end } => {
                    row(&Row { bytes, fields: &self.fields });
                    at = end;
                }
                Step::End => {
                    self.ended = true;
                    at += 2;
                }
                Step::Incomplete => break,
            }
        }
        Ok(at)
    }
}

enum Step {
    Row { end: usize },
    Incomplete,
    End,
}

/// Length of the header, `None` if more bytes are needed.
fn header_length(bytes: &[u8]) -> Result<Option<usize>, SourceError> {
    let Some(head) = bytes.first_chunk::<19>() else { return Ok(None) };
    if &head[..11] != SIGNATURE {
        return Err(malformed());
    }
    let extension = u32::from_be_bytes([head[15], head[16], head[17], head[18]]) as usize;
    Ok(Some(19 + extension).filter(|length| bytes.len() >= *length))
}

fn next_row(bytes: &[u8], at: usize, fields: &mut Vec<Option<(usize, usize)>>) -> Result<Step, SourceError> {
    let Some(count) = bytes.get(at..).and_then(<[u8]>::first_chunk::<2>) else { return Ok(Step::Incomplete) };
    let count = i16::from_be_bytes(*count);
    if count < 0 {
        return Ok(Step::End);
    }
    let mut at = at + 2;
    fields.clear();
    for _ in 0..count {
        let Some(length) = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>) else {
            return Ok(Step::Incomplete);
        };
        let length = i32::from_be_bytes(*length);
        at += 4;
        if length < -1 {
            return Err(malformed());
        }
        fields.push(match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                let from = at;
                at += length;
                Some((from, at))
            }
        });
        if at > bytes.len() {
            return Ok(Step::Incomplete);
        }
    }
    Ok(Step::Row { end: at })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(rows: &[Vec<Option<Vec<u8>>>]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 3, 9, 9, 9]);
        for row in rows {
            bytes.extend(i16::try_from(row.len()).unwrap().to_be_bytes());
            for field in row {
                bytes.extend(field.as_ref().map_or(-1, |f| i32::try_from(f.len()).unwrap()).to_be_bytes());
                bytes.extend(field.iter().flatten());
            }
        }
        bytes.extend([0xff, 0xff]);
        bytes
    }

    fn decode(chunks: &[&[u8]]) -> Option<Vec<Vec<Option<Vec<u8>>>>> {
        let mut rows = Vec::new();
        let mut splitter = Splitter::default();
        for chunk in chunks {
            splitter
                .feed(chunk, &mut |row: &Row<'_>| {
                    rows.push((0..row.fields.len()).map(|at| row.get(at).map(<[u8]>::to_vec)).collect());
                })
                .ok()?;
        }
        splitter.finish().ok().map(|()| rows)
    }

    proptest! {
        #[test]
        fn rows_survive_any_cut(
            rows in proptest::collection::vec(
                proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..5)), 0..5), 0..6),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bytes = encode(&rows);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(decode(&chunks), Some(rows));
            // A stream that ends early is not taken for the whole.
            prop_assert_eq!(decode(&[&bytes[..bytes.len() - 1]]), None);
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode(&[&bytes]);
            let mut after_header = encode(&[]);
            after_header.truncate(after_header.len() - 2);
            after_header.extend(bytes);
            let _ = decode(&[&after_header]);
        }
    }
}
