//! Times with a zone become local ones: a day is the store's, at both of its ends.

use super::*;

#[tokio::test]
async fn a_day_begins_at_local_midnight() {
    let table = "CREATE TABLE zoned (id text, shop text, at timestamptz); INSERT INTO zoned VALUES \
                 ('1', 's', '2026-03-01 15:59:59.999999+00'), ('2', 's', '2026-03-01 16:00:00+00')";
    let (source, _client) = source_after(table, |settings| {
        settings.table = "zoned".to_owned();
        settings.columns = [(Column::OrderId, "id"), (Column::StoreId, "shop"), (Column::OrderedAt, "at")]
            .map(|(column, name)| (column, vec![name.to_owned()]))
            .into();
        settings.timezone = Some("Asia/Shanghai".to_owned());
    })
    .await;
    let directory = source.directory().await.unwrap();
    let days = directory.get("s").unwrap().days.runs();
    assert_eq!(days, [DayRange::new(day("2026-03-01"), day("2026-03-02")).unwrap()]);
    for (of_day, orders) in
        [("2026-02-28", &[][..]), ("2026-03-01", &["1"]), ("2026-03-02", &["2"]), ("2026-03-03", &[])]
    {
        let lines = source.read(&request(&["s"], of_day, of_day, Columns::All)).await.unwrap();
        let found: Vec<&str> = (0..lines.len()).map(|row| lines.text(Column::OrderId, row)).collect();
        assert_eq!(found, orders, "{of_day}");
    }
}
