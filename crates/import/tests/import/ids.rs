//! One rule for ids, in every format.

use recant_import::ReadOptions;

use super::support::{import, rejected};

#[test]
fn blanks_around_ids_are_no_part_of_them_in_any_format() {
    for (name, text) in [
        (
            "x.csv",
            "user_id, item_id, rating, timestamp\nu1, i1, 5, 1600000000\nu1 ,i1,4,1600000001\n",
        ),
        (
            "x.csv",
            "user_id, item_id\n\"u1\", \"i1\"\n\" u1\",\"i1 \"\n",
        ),
        ("x.tsv", "user_id\titem_id\n u1\ti1 \nu1\u{a0}\ti1\n"),
        (
            "x.jsonl",
            "{\"user\":\" u1\",\"item\":\"i1\"}\n{\"user\":\"u1 \",\"item\":\"i1\\t\"}\n",
        ),
    ] {
        let (_, sink) = import(name, text, ReadOptions::default()).expect(name);
        assert_eq!(
            (sink.users(), sink.items()),
            (vec!["u1"; 2], vec!["i1"; 2]),
            "{text}"
        );
    }
}

#[test]
fn whole_numbers_in_json_are_their_decimal_text_and_others_are_refused() {
    let text = concat!(
        "{\"user\":7,\"item\":\"8\"}\n{\"user\":\"7\",\"item\":8.0}\n{\"user\":7.5,\"item\":8}\n",
        "{\"user\":7.6E+16,\"item\":8}\n{\"user\":18446744073709551615,\"item\":8}\n",
        "{\"user\":true,\"item\":8}\n",
    );
    let (counts, sink) = import("x.jsonl", text, ReadOptions::default()).expect("readable");
    assert_eq!(sink.users(), ["7", "7", "18446744073709551615"]);
    assert_eq!(sink.items(), ["8"; 3]);
    assert_eq!(rejected(&counts, "fractional_id"), 2);
    assert_eq!(rejected(&counts, "wrong_type"), 1);
}

#[test]
fn words_for_nothing_are_counted_by_reason_unless_they_are_kept() {
    let words = ["NaN", "null", "None", "\\N", "N/A", "nan"];
    let rows: String = words
        .iter()
        .map(|word| format!("{word},x\na,{word}\n"))
        .collect();
    let text = format!("user_id,item_id\n{rows},x\n  ,x\na,\ngood,x\n");
    let (counts, sink) = import("x.csv", &text, ReadOptions::default()).expect("one is good");
    assert_eq!(sink.users(), ["good"]);
    assert_eq!(
        (rejected(&counts, "null_id"), rejected(&counts, "empty_id")),
        (12, 3)
    );
    let options = ReadOptions {
        keep_null_ids: true,
        ..ReadOptions::default()
    };
    let (counts, sink) = import("x.csv", &text, options.clone()).expect("readable");
    assert_eq!((sink.rows.len(), rejected(&counts, "empty_id")), (13, 3));
    let json =
        "{\"user\":null,\"item\":\"x\"}\n{\"user\":\"null\",\"item\":\"x\"}\n{\"item\":\"x\"}\n";
    let (counts, sink) = import("x.jsonl", json, options).expect("readable");
    assert_eq!(sink.users(), ["null"], "a null of JSON is no name");
    assert_eq!(rejected(&counts, "empty_id"), 2);
}

#[test]
fn a_column_of_ids_that_went_through_floats_is_counted() {
    let text = "user_id,item_id,rating\n1.0,7.6E+16,5\n2.0,11,4\n1,10,3\n";
    let (counts, sink) = import("x.csv", text, ReadOptions::default()).expect("readable");
    assert_eq!(sink.users(), ["1.0", "2.0", "1"], "ids are texts");
    assert_eq!(counts.float_like, [2, 1]);
}

#[test]
fn messages_never_repeat_an_id() {
    for text in [
        "user_id,item_id,weight\nneedle\u{7},x,1\nneedle,,1\nneedle,x,heavy\n",
        "user_id,item_id,weight\nneedle,needle,needle,needle\n\"needle\"needle,x,1\n",
    ] {
        let error = import("x.csv", text, ReadOptions::default()).expect_err("nothing is good");
        assert!(!error.to_string().contains("needle"), "{error}");
    }
    let text = "user_id,item_id\ngood,x\nneedle\u{7},x\nneedle\n";
    let (counts, _) = import("x.csv", text, ReadOptions::default()).expect("one is good");
    assert_eq!(counts.rejected_first.len(), 2);
    for row in counts.rejected_first {
        assert!(!row.to_string().contains("needle"), "{row}");
    }
}
