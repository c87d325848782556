//! Reading CSV: comma, double quotes, LF or CRLF, row by row with the physical line on which each starts.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::batch::Builder;
use super::cannot_read;
use super::cell::Cell;
use super::encoding::{Encoding, detect};
use super::headings::{self, HEADING_ROWS, Layout};
use super::mapping::Mapping;
use crate::source::SourceError;

/// Bytes of one row. A longer one, mostly the fault of a quote that is not closed, is rejected and reading goes on
/// with the line after the one on which it starts.
const ROW_LIMIT: usize = 1 << 20;

/// A CSV file behind its heading row.
#[derive(Debug)]
pub(super) struct CsvFile {
    rows: Rows,
    pub(super) layout: Layout,
}

impl CsvFile {
    pub(super) fn open(mut file: File, path: &Path, mapping: &Mapping) -> Result<Self, SourceError> {
        let encoding = detect(&mut file, path)?;
        let mut rows = Rows {
            input: BufReader::with_capacity(256 * 1024, file),
            path: path.to_owned(),
            encoding,
            raw: Vec::new(),
            record: Record::default(),
            offset: 0,
            line: 0,
        };
        let mut first: Vec<String> = Vec::new();
        let mut looked_at = 0;
        while looked_at < HEADING_ROWS && rows.next()? {
            if rows.record.is_blank() {
                continue;
            }
            let names: Vec<&str> = rows.record.fields().collect();
            if let Some(layout) = Layout::find(mapping, &names) {
                return Ok(Self { rows, layout });
            }
            if looked_at == 0 {
                first = names.into_iter().map(str::to_owned).collect();
            }
            looked_at += 1;
        }
        let note = match encoding {
            Encoding::Utf8 => String::new(),
            Encoding::Gb18030 { not_utf8_at } => {
                format!(" (read as GB18030, as byte offset {not_utf8_at} is not UTF-8)")
            }
        };
        Err(headings::not_found(path, mapping, &first, &note))
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.rows.encoding
    }

    /// Bytes read so far.
    pub(super) fn offset(&self) -> u64 {
        self.rows.offset
    }

    /// Fills the batch; false at the end of the file.
    pub(super) fn fill(&mut self, builder: &mut Builder) -> Result<bool, SourceError> {
        while !builder.is_full() {
            if !self.rows.next()? {
                return Ok(false);
            }
            let record = &self.rows.record;
            if record.too_long {
                builder.reject_field_count(record.line, format!("a row of over {ROW_LIMIT} bytes"));
                continue;
            }
            if record.is_blank() {
                continue;
            }
            let count = record.ends.len();
            if count < self.layout.least
                || record.fields().skip(self.layout.most).any(|field| !field.trim().is_empty())
            {
                let headings = self.layout.least;
                builder.reject_field_count(record.line, format!("{count} fields for {headings} headings"));
                continue;
            }
            builder.push(record.line, |at| record.field(at).map_or(Cell::Empty, Cell::text));
        }
        Ok(true)
    }
}

/// One row, its fields one after the other in one text.
#[derive(Debug, Default)]
struct Record {
    text: String,
    ends: Vec<usize>,
    line: u64,
    too_long: bool,
}

impl Record {
    fn field(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        self.text.get(start..end)
    }

    fn fields(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).filter_map(|at| self.field(at))
    }

    fn is_blank(&self) -> bool {
        !self.too_long && self.text.trim().is_empty()
    }

    fn start(&mut self, line: u64) {
        self.text.clear();
        self.ends.clear();
        (self.line, self.too_long) = (line, false);
    }

    /// Appends a physical line; `quoted` says whether it starts, and the answer whether it ends, within quotes.
    fn append(&mut self, line: &str, mut quoted: bool) -> bool {
        let end = if let Some(rest) = line.strip_suffix('\n') {
            rest.strip_suffix('\r').unwrap_or(rest)
        } else {
            line
        };
        // Within quotes the line break belongs to the field.
        let mut rest = if quoted { line } else { end };
        let mut at_start = !quoted;
        loop {
            if quoted {
                let Some(quote) = rest.find('"') else {
                    self.text.push_str(rest);
                    return true;
                };
                self.text.push_str(&rest[..quote]);
                rest = &rest[quote + 1..];
                if let Some(after) = rest.strip_prefix('"') {
                    self.text.push('"');
                    rest = after;
                    continue;
                }
                quoted = false;
                rest = rest.strip_suffix('\n').map_or(rest, |cut| cut.strip_suffix('\r').unwrap_or(cut));
            } else if at_start && rest.starts_with('"') {
                quoted = true;
                // From here the line break counts again.
                rest = &line[end.len() - rest.len() + 1..];
            } else if let Some(comma) = rest.find(',') {
                self.text.push_str(&rest[..comma]);
                self.ends.push(self.text.len());
                rest = &rest[comma + 1..];
                at_start = true;
                continue;
            } else {
                self.text.push_str(rest);
                self.ends.push(self.text.len());
                return false;
            }
            at_start = false;
        }
    }
}

#[derive(Debug)]
struct Rows {
    input: BufReader<File>,
    path: PathBuf,
    encoding: Encoding,
    raw: Vec<u8>,
    record: Record,
    offset: u64,
    line: u64,
}

impl Rows {
    /// Reads the next row into `record`; false at the end.
    fn next(&mut self) -> Result<bool, SourceError> {
        self.record.start(self.line + 1);
        let (mut quoted, mut length) = (false, 0);
        let mut after_first = None;
        loop {
            let complete = self.next_line()?;
            if self.raw.is_empty() {
                if quoted {
                    self.record.ends.push(self.record.text.len());
                }
                return Ok(length > 0);
            }
            length += self.raw.len();
            let resume = *after_first.get_or_insert((self.offset, self.line));
            if !complete || length > ROW_LIMIT {
                self.record.too_long = true;
                if complete {
                    self.go_back(resume)?;
                }
                return Ok(true);
            }
            let mut text = self.encoding.decode(&self.raw);
            if self.line == 1
                && let Some(rest) = text.strip_prefix('\u{feff}')
            {
                text = Cow::Owned(rest.to_owned());
            }
            quoted = self.record.append(&text, quoted);
            if !quoted {
                return Ok(true);
            }
        }
    }

    /// Reads the next physical line into `raw`, empty at the end; false if it was too long and is only passed over.
    fn next_line(&mut self) -> Result<bool, SourceError> {
        self.raw.clear();
        let limit = ROW_LIMIT as u64 + 1;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut self.raw);
        let read = read.map_err(|cause| cannot_read(&self.path, cause))?;
        self.offset += read as u64;
        if read > 0 {
            self.line += 1;
        }
        let complete = read <= ROW_LIMIT || self.raw.ends_with(b"\n");
        if !complete {
            let skipped = self.input.skip_until(b'\n').map_err(|cause| cannot_read(&self.path, cause))?;
            self.offset += skipped as u64;
        }
        Ok(complete)
    }

    fn go_back(&mut self, (offset, line): (u64, u64)) -> Result<(), SourceError> {
        self.input.seek(SeekFrom::Start(offset)).map_err(|cause| cannot_read(&self.path, cause))?;
        (self.offset, self.line) = (offset, line);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn read(bytes: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let encoding = detect(&mut file, Path::new("a.csv")).unwrap();
        let mut rows = Rows {
            input: BufReader::new(file),
            path: PathBuf::from("a.csv"),
            encoding,
            raw: Vec::new(),
            record: Record::default(),
            offset: 0,
            line: 0,
        };
        let mut all = Vec::new();
        while rows.next().unwrap() {
            if rows.record.too_long {
                all.push((rows.record.line, vec!["too long".to_owned()]));
            } else if !rows.record.is_blank() {
                all.push((rows.record.line, rows.record.fields().map(str::to_owned).collect()));
            }
        }
        all
    }

    fn rows(all: &[(u64, &[&str])]) -> Vec<(u64, Vec<String>)> {
        all.iter().map(|(line, fields)| (*line, fields.iter().map(|f| (*f).to_owned()).collect())).collect()
    }

    #[test]
    fn quotes_line_breaks_and_line_numbers() {
        let text = "\u{feff}\"a\",b\r\n\r\n \n1,\"x, \"\"y\"\"\r\nz\"\n2,\"q\"tail\r\n,\"\"\n3,in\"side,\n4,\"open\nto the end";
        assert_eq!(
            read(text.as_bytes()),
            rows(&[
                (1, &["a", "b"]),
                (4, &["1", "x, \"y\"\r\nz"]),
                (6, &["2", "qtail"]),
                (8, &["3", "in\"side", ""]),
                (9, &["4", "open\nto the end"]),
            ])
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_one_line() {
        let mut text = "1,\"open\n".to_owned();
        for row in 0..200_000 {
            text.push_str(&format!("{row},x\n"));
        }
        let all = read(text.as_bytes());
        assert_eq!((all.len(), all[0].1[0].as_str()), (200_001, "too long"));
        assert_eq!(all[1], (2, vec!["0".to_owned(), "x".to_owned()]));
        let long = format!("a,b\n{}\nc,d\n", "x".repeat(3 * ROW_LIMIT));
        assert_eq!(read(long.as_bytes()).last(), Some(&(3, vec!["c".to_owned(), "d".to_owned()])));
    }

    proptest! {
        #[test]
        fn reads_what_the_csv_crate_writes(table in proptest::collection::vec(proptest::collection::vec("[a片,\"\n\r ]{0,6}", 3), 1..8)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &table {
                writer.write_record(row).unwrap();
            }
            let kept: Vec<_> = table.iter().filter(|row| row.iter().any(|f| !f.trim().is_empty())).cloned().collect();
            let got: Vec<_> = read(&writer.into_inner().unwrap()).into_iter().map(|(_, row)| row).collect();
            prop_assert_eq!(got, kept);
        }
    }
}
