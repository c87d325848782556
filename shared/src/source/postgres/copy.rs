//! The stream of a binary COPY, row by row.

use bytes::{Buf, BytesMut};
use deadpool_postgres::Client;
use futures_util::StreamExt;

use super::pool::explain;
use crate::source::{SourceError, SourceErrorKind};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// More columns than any table of ours selects.
const MOST_FIELDS: usize = 256;

/// Runs `COPY (query) TO STDOUT (FORMAT binary)` and hands each row's fields to `row`; `None` is NULL.
pub(super) async fn rows(
    client: &Client,
    query: &str,
    mut row: impl FnMut(&[Option<&[u8]>]) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let statement = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
    let stream = client.copy_out(&statement).await.map_err(explain)?;
    let mut stream = std::pin::pin!(stream);
    let mut rest = BytesMut::new();
    let mut in_header = true;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(explain)?;
        // The server sends whole rows; a chunk is copied only behind a row that was not.
        let mut bytes: &[u8] = if rest.is_empty() {
            &chunk
        } else {
            rest.extend_from_slice(&chunk);
            &rest
        };
        let length = bytes.len();
        if in_header {
            match header(&mut bytes)? {
                true => in_header = false,
                false => {
                    let pending = BytesMut::from(bytes);
                    rest = pending;
                    continue;
                }
            }
        }
        let mut fields: [Option<&[u8]>; MOST_FIELDS] = [None; MOST_FIELDS];
        while let Step::Row { fields: count, after } = next_row(bytes, &mut fields)? {
            row(&fields[..count])?;
            bytes = after;
        }
        let left = bytes.len();
        if rest.is_empty() {
            rest.extend_from_slice(&chunk[chunk.len() - left..]);
        } else {
            rest.advance(length - left);
        }
    }
    Ok(())
}

enum Step<'a> {
    Row { fields: usize, after: &'a [u8] },
    Incomplete,
    End,
}

fn malformed() -> SourceError {
    SourceError::new(SourceErrorKind::Other, "postgres: the COPY stream is malformed", "see the server's log")
}

/// Skips the header; false if more bytes are needed.
fn header(bytes: &mut &[u8]) -> Result<bool, SourceError> {
    let Some((head, rest)) = bytes.split_at_checked(19) else { return Ok(false) };
    if &head[..11] != SIGNATURE {
        return Err(malformed());
    }
    let extension = u32::from_be_bytes([head[15], head[16], head[17], head[18]]) as usize;
    match rest.split_at_checked(extension) {
        Some((_, rest)) => {
            *bytes = rest;
            Ok(true)
        }
        None => Ok(false),
    }
}

fn next_row<'a>(
    bytes: &'a [u8],
    fields: &mut [Option<&'a [u8]>; MOST_FIELDS],
) -> Result<Step<'a>, SourceError> {
    let Some((count, mut rest)) = bytes.split_at_checked(2) else { return Ok(Step::Incomplete) };
    let count = i16::from_be_bytes([count[0], count[1]]);
    if count < 0 {
        return Ok(Step::End);
    }
    let count = usize::from(count.cast_unsigned());
    for field in fields.get_mut(..count).ok_or_else(malformed)? {
        let Some((length, after)) = rest.split_at_checked(4) else { return Ok(Step::Incomplete) };
        let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        rest = after;
        *field = match usize::try_from(length) {
            Err(_) => None,
            Ok(length) => {
                let Some((value, after)) = rest.split_at_checked(length) else { return Ok(Step::Incomplete) };
                rest = after;
                Some(value)
            }
        };
    }
    Ok(Step::Row { fields: count, after: rest })
}
