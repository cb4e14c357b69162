//! One rule for times, in every format.

use recant_import::ReadOptions;
use recant_types::{TimeRule, UnixMillis};

use super::support::{import, rejected};

#[test]
fn times_are_read_in_the_spellings_that_people_use() {
    let spellings = [
        "2024-01-15T12:30:00Z",
        "2024-01-15 12:30:00 UTC",
        "2024-01-15 12:30:00 +0000",
        "2024/01/15 12:30:00",
        "20240115123000",
        "1705321800",
        "1705321800.5",
        "1705321800000",
        "1705321800000000",
        "1705321800000000000",
    ];
    let rows: String = spellings
        .iter()
        .map(|time| format!("a,x,{time}\n"))
        .collect();
    let text = format!("user_id,item_id,timestamp\n{rows}");
    let (counts, sink) = import("x.csv", &text, ReadOptions::default()).expect("readable");
    assert_eq!(counts.rejected.total(), 0, "{:?}", counts.rejected_first);
    for (row, time) in sink.rows.iter().zip(spellings) {
        let millis = UnixMillis::from_timestamp(row.timestamp.expect("a time")).0;
        assert_eq!(millis / 1_000, 1_705_321_800, "{time}");
    }
    let json = "{\"user\":1,\"item\":2,\"timestamp\":\"2024-01-15T12:30:00Z\"}\n\
                {\"user\":1,\"item\":2,\"timestamp\":1705321800.5}\n";
    let (_, sink) = import("x.jsonl", json, ReadOptions::default()).expect("readable");
    let times: Vec<_> = sink.rows.iter().map(|row| row.timestamp).collect();
    assert_eq!(times, [Some(1_705_321_800), Some(1_705_321_800_500)]);
}

#[test]
fn a_form_of_times_can_be_named() {
    let text = "user_id,item_id,timestamp\nu1,i1,06/24/2022 21:20\nu2,i2,24.06.2022\n";
    let options = ReadOptions {
        times: TimeRule::new(UnixMillis::now())
            .with_format("%m/%d/%Y %H:%M")
            .expect("a form"),
        ..ReadOptions::default()
    };
    let (counts, sink) = import("x.csv", text, options).expect("one is good");
    assert_eq!(sink.rows[0].timestamp, Some(1_656_105_600));
    assert_eq!(rejected(&counts, "time_unreadable"), 1);
}

#[test]
fn a_time_ahead_of_the_clock_is_refused_and_an_empty_one_is_none() {
    let text = "user_id,item_id,timestamp\na,x,4102444800\nb,x,\nc,x,NULL\nd,x,1600000000\n";
    let (counts, sink) = import("x.csv", text, ReadOptions::default()).expect("readable");
    assert_eq!(
        (sink.users(), rejected(&counts, "time_ahead")),
        (vec!["b", "c", "d"], 1)
    );
    assert_eq!(sink.rows[1].timestamp, None);
}
