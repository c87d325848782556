//! XLSX files of our own making: small files that unpack to much, and what a cell may hold.

use std::io::{Cursor, Write as _};
use std::path::Path;

use shared::model::Column;
use shared::source::files::{MappingChoice, OrderFile, ReadOptions};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::read;

const RELS: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/KIND" Target="TARGET"/></Relationships>"#;
const WORKBOOK: &str = r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets></workbook>"#;
const STYLES: &str = r#"<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs>STYLES</cellXfs></styleSheet>"#;

/// A sheet of text cells, with `padding` blanks that mean nothing.
fn sheet(rows: &[&[&str]], padding: usize) -> String {
    let mut text =
        r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">"#.to_owned();
    text.push_str(&" ".repeat(padding));
    text.push_str("<sheetData>");
    for (number, row) in (1..).zip(rows) {
        text.push_str(&format!("<row r=\"{number}\">"));
        for (letter, value) in ('A'..).zip(*row) {
            text.push_str(&format!("<c r=\"{letter}{number}\" t=\"inlineStr\"><is><t>{value}</t></is></c>"));
        }
        text.push_str("</row>");
    }
    text + "</sheetData></worksheet>"
}

/// The bytes of a workbook with one sheet, and those of its parts together.
fn workbook(sheet: &str, styles: &str) -> (Vec<u8>, u64) {
    workbook_with(sheet, styles, &[])
}

/// As [`workbook`], with more parts.
fn workbook_with(sheet: &str, styles: &str, more: &[(&str, &str)]) -> (Vec<u8>, u64) {
    let rels = |kind: &str, target: &str| RELS.replace("KIND", kind).replace("TARGET", target);
    let mut parts = vec![
        ("_rels/.rels", rels("officeDocument", "xl/workbook.xml")),
        ("xl/_rels/workbook.xml.rels", rels("worksheet", "worksheets/sheet1.xml")),
        ("xl/workbook.xml", WORKBOOK.to_owned()),
        ("xl/Styles.xml", STYLES.replace("STYLES", styles)),
        ("xl/worksheets/sheet1.xml", sheet.to_owned()),
    ];
    parts.extend(more.iter().map(|(name, text)| (*name, (*text).to_owned())));
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let mut size = 0;
    for (name, text) in parts {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
        size += text.len() as u64;
    }
    (writer.finish().unwrap().into_inner(), size)
}

const ROWS: [&[&str]; 2] = [&["order_id", "store_id", "ordered_at"], &["1", "s", "2026-03-01"]];

fn open(path: &Path, limit: u64) -> Result<usize, String> {
    let options = ReadOptions { xlsx_unpacked_limit: limit, ..ReadOptions::default() };
    let file = OrderFile::open(path, &MappingChoice::Auto, &options);
    let mut file = file.map_err(|error| error.to_string())?;
    Ok(file.next_batch().map_err(|error| error.to_string())?.map_or(0, |batch| batch.lines.len()))
}

#[track_caller]
fn tells(error: Result<usize, String>, parts: &[&str]) {
    let error = error.unwrap_err();
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn a_small_file_that_unpacks_to_much_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.xlsx");
    let (bytes, size) = workbook(&sheet(&ROWS, 20 << 20), "");
    assert!(bytes.len() < 100_000, "{}", bytes.len());
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(open(&path, size), Ok(1));
    tells(
        open(&path, size - 1),
        &[
            "bomb.xlsx unpacks to 20.0 MiB",
            &format!("({size} bytes), more than the 20.0 MiB ({} bytes) allowed for XLSX", size - 1),
            "export it as CSV",
            "--xlsx-unpacked-limit",
        ],
    );
}

#[test]
fn a_directory_that_lies_about_sizes_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.xlsx");
    let sheet = sheet(&ROWS, 20 << 20);
    let (mut bytes, size) = workbook(&sheet, "");
    // In the header of the part, and in the directory.
    let (truth, lie) = (u32::try_from(sheet.len()).unwrap().to_le_bytes(), 1000u32.to_le_bytes());
    let places: Vec<usize> = (0..bytes.len() - 4).filter(|at| bytes[*at..*at + 4] == truth).collect();
    assert_eq!(places.len(), 2);
    for at in places {
        bytes[at..at + 4].copy_from_slice(&lie);
    }
    std::fs::write(&path, bytes).unwrap();
    // What the directory says is allowed, and no byte more is unpacked.
    let stated = size - sheet.len() as u64 + 1000;
    tells(open(&path, stated - 1), &["bomb.xlsx unpacks to", &format!("({stated} bytes), more than")]);
    tells(open(&path, stated), &["cannot read", "bomb.xlsx", "larger than its declared uncompressed size"]);
}

#[test]
fn styles_have_a_bound_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.xlsx");
    std::fs::write(&path, workbook(&sheet(&ROWS, 0), &"<xf/>".repeat(1000)).0).unwrap();
    assert_eq!(open(&path, 1 << 30), Ok(1));
    std::fs::write(&path, workbook(&sheet(&ROWS, 0), &" ".repeat(33 << 20)).0).unwrap();
    tells(open(&path, 1 << 30), &["bomb.xlsx has cell styles of 33.0 MiB", "32.0 MiB", "new workbook"]);
}

#[test]
fn no_room_is_made_for_texts_that_cannot_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.xlsx");
    let write = |count: &str| {
        let texts =
            format!("<?xml version=\"1.0\"?><x:sst uniqueCount=\"{count}\"><si><t>a</t></si></x:sst>");
        let parts = [("xl/SharedStrings.xml", texts.as_str())];
        std::fs::write(&path, workbook_with(&sheet(&ROWS, 0), "", &parts).0).unwrap();
    };
    write("3");
    assert_eq!(open(&path, 1 << 30), Ok(1));
    // The workbook reader would end the whole process.
    for count in ["40000000000", "1000", "99999999999999999999"] {
        write(count);
        tells(open(&path, 1 << 30), &["bomb.xlsx", &format!("announces {count} texts"), "save it again"]);
    }
}

#[test]
fn an_escaped_nul_costs_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xlsx");
    let rows = [ROWS[0], &["1", "s_x0000_", "2026-03-01"], &["2", "s", "2026-03-01"]];
    std::fs::write(&path, workbook(&sheet(&rows, 0), "").0).unwrap();
    let (lines, rejects, _) = read(&path);
    assert_eq!((lines.len(), lines.text(Column::OrderId, 0)), (1, "2"));
    assert_eq!((rejects.len(), rejects[0].line, rejects[0].reason.as_str()), (1, 2, "bad_text"));
    assert_eq!((rejects[0].column, rejects[0].value.as_str()), (Some(Column::StoreId), "s\0"));
}
