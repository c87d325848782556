//! Values at the ends of what columns hold, and texts that a wire format might trip over.

use super::*;

#[tokio::test]
async fn values_at_the_limits_survive() {
    let (source, _client) = source().await;
    let micros = [i64::MAX, i64::MIN + 1, 1, -1, 0, 999_999, 10_000_000_000, -9_999];
    let mut lines: Vec<Line> = micros
        .into_iter()
        .zip(0..)
        .map(|(micro, order): (i64, u32)| {
            let mut line = line("a", &order.to_string(), "2026-03-01", "p");
            line.decimals.fill(micro);
            line
        })
        .collect();
    // Before PostgreSQL's epoch, and at the ends of whole numbers.
    for (order, at, quantity, stock) in
        [("old", "1999-12-31", i32::MIN, i32::MAX), ("new", "2199-12-31 23:59:59", i32::MAX, i32::MIN)]
    {
        let mut line = line("a", order, at, "p");
        (line.quantity, line.stock) = (quantity, i64::from(stock));
        lines.push(line);
    }
    import(&source, &lines, ImportMode::StoreDays).await;
    assert_eq!(all(&source, &["a"]).await, sorted(&lines));
    assert_eq!(source.rejected_rows(), 0);
}

#[tokio::test]
async fn texts_survive_without_blanks_around() {
    let (source, _client) = source().await;
    let texts = ["'\"\\ \u{1F34E} line\nbreak\\.", "\\N", "\\.", "a\tb\r\nc", "\u{1}\u{7f}\u{fffd}"];
    let mut expected = Vec::new();
    let mut padded = Vec::new();
    for (order, text) in texts.into_iter().enumerate() {
        expected.push(line("a", &order.to_string(), "2026-03-01", text));
        padded.push(line("a", &order.to_string(), "2026-03-01", &format!("\t\u{3000}{text}\n ")));
    }
    import(&source, &padded, ImportMode::StoreDays).await;
    assert_eq!(all(&source, &["a"]).await, sorted(&expected));
}
