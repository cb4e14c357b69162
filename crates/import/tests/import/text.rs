//! Quotes, line ends, encodings, separators and headers.

use recant_import::{ImportError, ReadOptions};

use recant_types::{ItemDescription, ItemId, UnixMillis, WeightTransform};

use super::support::{import, import_titles, rejected, weight_column};

/// 240 rows of 30 people, between `delimiter`s, each ending in `ending`.
fn ratings(delimiter: &str, ending: &str) -> String {
    let header = ["user_id", "item_id", "rating"].join(delimiter) + ending;
    let row = |row: usize| {
        let (user, item) = (format!("u{}", row / 8), format!("i{}", row % 8));
        [user, item, (row % 5 + 1).to_string()].join(delimiter) + ending
    };
    header + &(0..240).map(row).collect::<String>()
}

fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let unit = |unit: u16| {
        if big {
            unit.to_be_bytes()
        } else {
            unit.to_le_bytes()
        }
    };
    let mark = if mark { "\u{feff}" } else { "" };
    mark.encode_utf16()
        .chain(text.encode_utf16())
        .flat_map(unit)
        .collect()
}

fn encoding(name: &str) -> ReadOptions {
    ReadOptions {
        encoding: Some(name.parse().expect("an encoding")),
        ..ReadOptions::default()
    }
}

#[test]
fn quotes_mean_nothing_between_tabs() {
    let artist = |row: usize| match row % 50 {
        10 => format!("\"Weird\" Al {row}"),
        11 => format!("\"stray {row}"),
        12 => format!("5\" of {row}\""),
        _ => format!("Band {row}"),
    };
    let rows = (0..600).map(|row| format!("p{row}\ta{row}\t{}\t{}\n", artist(row), row + 1));
    let text = String::from("user_id\titem_id\tartist\tplays\n") + &rows.collect::<String>();
    for name in ["x.tsv", "x.csv", "x.txt"] {
        let (counts, sink) = import(name, &text, weight_column("plays")).expect(name);
        assert_eq!((counts.read, sink.rows.len()), (600, 600), "{name}");
        let weights: Vec<_> = sink.rows.iter().map(|row| row.weight).collect();
        assert_eq!(
            weights,
            (1..=600)
                .map(|plays| Some(plays as f32))
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn quotes_between_tabs_are_read_where_they_are_named_and_the_message_says_how() {
    let text = "\"user_id\"\t\"item_id\"\n\"a\"\t\"x\"\n";
    let error = import("x.tsv", text, ReadOptions::default()).expect_err("quoted names");
    assert!(error.to_string().contains("--quote '\"'"), "{error}");
    let options = ReadOptions {
        quote: Some("\"".parse().expect("a character")),
        ..ReadOptions::default()
    };
    let (_, sink) = import("x.tsv", text, options).expect("readable");
    assert_eq!((sink.users(), sink.items()), (vec!["a"], vec!["x"]));
}

#[test]
fn a_stray_quote_in_csv_costs_its_own_line_and_no_other() {
    let text = "user_id,item_id,artist\na,x,fine\nb,x,\"stray\nc,x,\"closed\"\nd,x,\"Weird\" Al\ne,x,\"p, q\"\n";
    let (counts, sink) = import("x.csv", text, ReadOptions::default()).expect("readable");
    assert_eq!((counts.read, rejected(&counts, "quote")), (5, 2));
    assert_eq!(sink.users(), ["a", "c", "e"]);
    let lines: Vec<_> = counts.rejected_first.iter().map(|row| row.line).collect();
    assert_eq!(lines, [3, 5]);
    let options = ReadOptions {
        quote: Some("none".parse().expect("none")),
        ..ReadOptions::default()
    };
    let (counts, sink) = import("x.csv", text, options).expect("readable");
    assert_eq!(
        rejected(&counts, "field_count"),
        1,
        "a comma between quotes"
    );
    assert_eq!(sink.users(), ["a", "b", "c", "d"]);
}

#[test]
fn titles_may_span_lines_and_are_read_right_or_rejected() {
    let text = "item_id;title\n1;\"One\nTwo\"\n2;\"The \\\"Inner\\\" Circle\"\n3;\"Peak \\\"One\\\"; and Two\"\n4;Plain\n";
    let (counts, sink) = import_titles("x.csv", text, ReadOptions::default()).expect("readable");
    let titles: Vec<_> = sink
        .titles
        .iter()
        .map(|(_, title)| title.as_str())
        .collect();
    assert_eq!(titles, ["One\nTwo", "Plain"]);
    assert_eq!((counts.titles_read, counts.titles_rejected.total()), (4, 2));
    let reason = counts.rejected_first[0].to_string();
    assert!(
        reason.contains(":4: ") && reason.contains("--escape"),
        "{reason}"
    );
    let options = ReadOptions {
        escape: Some("\\".parse().expect("a character")),
        ..ReadOptions::default()
    };
    let (counts, sink) = import_titles("x.csv", text, options).expect("readable");
    let titles: Vec<_> = sink
        .titles
        .iter()
        .map(|(_, title)| title.as_str())
        .collect();
    let expected = [
        "One\nTwo",
        "The \"Inner\" Circle",
        "Peak \"One\"; and Two",
        "Plain",
    ];
    assert_eq!(
        (titles, counts.titles_rejected.total()),
        (expected.to_vec(), 0)
    );
}

#[test]
fn lines_end_in_any_of_the_three_ways() {
    for (ending, name) in [
        ("\n", "x.csv"),
        ("\r\n", "x.csv"),
        ("\r", "x.csv"),
        ("\r", "x.tsv"),
    ] {
        let delimiter = if name == "x.tsv" { "\t" } else { "," };
        let text = ratings(delimiter, ending);
        let (counts, sink) = import(name, &text, ReadOptions::default()).expect("readable");
        assert_eq!((counts.read, sink.rows.len()), (240, 240), "{ending:?}");
    }
    let lines = "{\"user\":\"a\",\"item\":\"x\"}\r{\"user\":\"b\",\"item\":\"y\"}\r";
    let (_, sink) = import("x.jsonl", lines, ReadOptions::default()).expect("readable");
    assert_eq!(sink.users(), ["a", "b"]);
    let (_, sink) =
        import("u.data", "1\t2\t3\t4\r5\t6\t7\t8\r", ReadOptions::default()).expect("readable");
    assert_eq!(sink.users(), ["1", "5"]);
}

#[test]
fn a_carriage_return_within_a_line_is_no_line_end_where_others_end_in_newlines() {
    let text = "user_id,item_id,rating\nu1,i1\r,5\nu2,i2,4\n";
    let (counts, sink) = import("x.csv", text, ReadOptions::default()).expect("readable");
    assert_eq!((counts.read, sink.items()), (2, vec!["i1", "i2"]));
}

#[test]
fn utf16_is_refused_by_its_name_and_read_when_it_is_named() {
    let text = ratings(",", "\r\n");
    for (big, mark, order) in [
        (false, true, "UTF-16LE"),
        (true, true, "UTF-16BE"),
        (false, false, "UTF-16LE"),
        (true, false, "UTF-16BE"),
    ] {
        let bytes = utf16(&text, big, mark);
        let error = import("x.csv", &bytes, ReadOptions::default()).expect_err("not named");
        let message = error.to_string();
        assert!(
            message.contains(&format!("--encoding {order}")),
            "{message}"
        );
        for name in ["utf-16", order] {
            let (counts, sink) = import("x.csv", &bytes, encoding(name)).expect("named");
            assert_eq!((counts.read, sink.rows.len()), (240, 240), "{order}");
        }
    }
}

#[test]
fn other_encodings_are_read_when_named_and_each_row_says_so_otherwise() {
    let text = b"item_id,title\ni1,Caf\xe9 de nuit\ni2,Plain\ni3,L'\xe9t\xe9\n";
    let (counts, sink) = import_titles("x.csv", text, ReadOptions::default()).expect("one is good");
    assert_eq!((counts.titles_read, sink.titles.len()), (3, 1));
    let reason = counts.rejected_first[0].to_string();
    assert!(reason.contains(":2: title is not valid UTF-8"), "{reason}");
    assert!(reason.contains("--encoding latin1"), "{reason}");
    let (_, sink) = import_titles("x.csv", text, encoding("latin-1")).expect("named");
    assert_eq!(sink.titles[0].1, "Caf\u{e9} de nuit");
    assert_eq!(sink.titles[2].1, "L'\u{e9}t\u{e9}");
    // A name that does not fit stores nothing mangled.
    let text = b"item_id,title\ni1,\x81\x30\x81\xff\ni2,Plain\n";
    let (counts, sink) = import_titles("x.csv", text, encoding("shift_jis")).expect("one is good");
    assert_eq!((sink.titles.len(), counts.titles_rejected.total()), (1, 1));
}

#[test]
fn a_header_again_is_nobody() {
    for text in [
        "user_id,item_id\na,x\nb,y\nuser_id,item_id\nc,z\n",
        "user_id,item_id\na,x\nb,y\n\u{feff}user_id,item_id\nc,z\n",
        "user_id,item_id\na,x\nb,y\nUserId,ItemId\nc,z\n",
        "who,what\na,x\nb,y\nWho, What\nc,z\n",
    ] {
        let mut options = ReadOptions::default();
        if text.starts_with("who") {
            options.columns.user = Some(String::from("who"));
            options.columns.item = Some(String::from("what"));
        }
        let (counts, sink) = import("x.csv", text, options).expect("readable");
        assert_eq!(sink.users(), ["a", "b", "c"], "{text}");
        assert_eq!((counts.read, rejected(&counts, "header")), (4, 1), "{text}");
    }
    let text = "user_id,item_id\nuser,x\na,item\n";
    let (counts, _) = import("x.csv", text, ReadOptions::default()).expect("readable");
    assert_eq!(counts.rejected.total(), 0, "one such word is no header");
}

/// Holds that a file of items has the titles `One` and `Two`, and a header that is counted as one.
fn assert_one_header_beside_two_titles(name: &str, text: &str) {
    let (counts, sink) = import_titles(name, text, ReadOptions::default()).expect("readable");
    let titles: Vec<&str> = sink.titles.iter().map(|(_, it)| it.as_str()).collect();
    assert_eq!(titles, ["One", "Two"], "{text}");
    let mut reasons = counts.titles_rejected.by_reason();
    assert_eq!(reasons.next(), Some(("header", 1)), "{text}");
    assert_eq!(counts.titles_read, 3, "{text}");
}

/// As people make one file of several, or give a file of MovieLens the header that it lacks.
#[test]
fn a_header_in_a_file_of_movielens_is_nobody_and_nothing() {
    let both = "UserID::MovieID::Rating::Timestamp\n1::2::3::4\n2::2::5::6\n";
    for weights in [WeightTransform::Identity, WeightTransform::Binary] {
        let options = ReadOptions {
            weights,
            ..ReadOptions::default()
        };
        let (counts, sink) = import("ratings.dat", both, options).expect("readable");
        assert_eq!((counts.read, rejected(&counts, "header")), (3, 1));
        assert_eq!(sink.users(), ["1", "2"]);
    }
    for (name, text) in [
        (
            "movies.dat",
            "MovieID::Title::Genres\n1::One::Drama\n2::Two::War\n",
        ),
        (
            "movies.dat",
            "1::One::Drama\nmovie_id::title::genres\n2::Two::War\n",
        ),
        (
            "u.item",
            "movie id | movie title | release date\n1|One|1995\n2|Two|1996\n",
        ),
        ("u.item", "\u{feff}item_id|name\n1|One|1995\n2|Two|1996\n"),
    ] {
        assert_one_header_beside_two_titles(name, text);
    }
    let text = "id::Movie of the Day::War\n7::Title::War\n";
    let (counts, _) = import_titles("movies.dat", text, ReadOptions::default()).expect("readable");
    assert_eq!(
        counts.titles_rejected.total(),
        0,
        "one such word is no header"
    );
}

#[test]
fn a_header_again_in_a_file_of_items_is_nothing() {
    for (name, text) in [
        (
            "x.csv",
            "item_id,title,tags\n1,One,a\nitem_id,title,tags\n2,Two,b\n",
        ),
        ("x.tsv", "movieId\ttitle\n1\tOne\nMovie_ID\tName\n2\tTwo\n"),
        ("x.csv", "id;name\n1;One\n\u{feff}id;name\n2;\"Two\"\n"),
    ] {
        assert_one_header_beside_two_titles(name, text);
    }
}

#[test]
fn any_separator_is_read_when_named_and_the_message_shows_what_was_seen() {
    for (delimiter, names) in [(" ", "space"), ("\u{1}", "\\x01"), ("~", "~"), ("|", "|")] {
        let text = ratings(delimiter, "\n");
        let options = ReadOptions {
            delimiter: Some(names.parse().expect("a character")),
            ..ReadOptions::default()
        };
        let (counts, sink) = import("x.txt", &text, options).expect(names);
        assert_eq!((counts.read, sink.rows.len()), (240, 240), "{names}");
    }
    let error = import("x.txt", ratings(" ", "\n"), ReadOptions::default()).expect_err("blanks");
    assert!(
        error.to_string().ends_with(
            "the header line, split at commas, is one column: user_id item_id rating: name what \
             stands between the columns with --delimiter, or the columns with --user-col and --item-col"
        ),
        "{error}"
    );
    let error = import("x.txt", ratings("\u{1}", "\n"), ReadOptions::default());
    let message = error.expect_err("control characters").to_string();
    assert!(message.contains("user_id\\u{1}item_id"), "{message}");
    let error = import(
        "x.csv",
        "ada@example.org 7\nbob 8\n",
        ReadOptions::default(),
    );
    let message = error.expect_err("no header").to_string();
    assert!(!message.contains("ada"), "{message}");
}

#[test]
fn a_named_separator_goes_before_what_a_name_stands_for() {
    let options = || ReadOptions {
        delimiter: Some(";".parse().expect("a character")),
        ..ReadOptions::default()
    };
    let (_, sink) = import("ratings.dat", ratings(";", "\n"), options()).expect("readable");
    assert_eq!(sink.rows.len(), 240);
}

#[test]
fn a_file_without_a_good_row_is_a_failure_with_its_reason() {
    let fails =
        |name: &str, text: &str| import(name, text, ReadOptions::default()).expect_err(text);
    let error = fails("x.csv", "user_id,item_id\n");
    assert!(matches!(error, ImportError::NoRows(_)), "{error}");
    let error = fails("x.csv", "");
    assert!(matches!(error, ImportError::Empty(_)), "{error}");
    for (name, text, rows) in [
        (
            "x.csv",
            "user_id,item_id,timestamp\na,x,06/24/2022 21:20\nb,x,soon\n",
            2,
        ),
        ("x.jsonl", "{\n  \"user\": 1\n}\n", 3),
        ("ratings.dat", "one\ntwo\n", 2),
    ] {
        let error = fails(name, text);
        let is_all = matches!(error, ImportError::AllRejected { rows: all, .. } if all == rows);
        assert!(is_all, "{error}");
        assert!(
            error.to_string().contains("nothing was imported"),
            "{error}"
        );
    }
}

#[test]
fn items_say_everything_in_columns_or_as_over_http() {
    let csv = "item_id,title,tags,properties,timestamp,hidden\n\
        a,A,x|y,\"{\"\"p\"\":1.5,\"\"q\"\":\"\"v\"\",\"\"r\"\":true}\",2023-11-14T22:13:20Z,true\n\
        b,B,\"[\"\"one|two\"\"]\",,,\n\
        c,,,{},,\n\
        d,D,,no json,,\n\
        e,E,,\"{\"\"two words\"\":1}\",,\n\
        f,,x,,,\n";
    let json = r#"{"id":"a","title":"A","tags":["x","y"],"properties":{"p":1.5,"q":"v","r":true,"s":null},"timestamp":1700000000,"hidden":true}
{"id":"b","title":"B","tags":["one|two"]}
{"id":"c","title":null,"properties":{}}
{"id":"d","title":"D","properties":"no json"}
{"id":"e","title":"E","properties":{"two words":1}}
{"id":"f","tags":["x"]}
"#;
    let read = [("x.csv", csv), ("x.jsonl", json)].map(|(name, text)| {
        let read = import_titles(name, text.as_bytes(), ReadOptions::default());
        let (counts, sink) = read.expect("readable");
        assert_eq!((counts.titles_read, counts.titles_taken), (6, 4), "{name}");
        let items = sink.said.into_iter().map(|(id, said)| {
            let mut item = ItemDescription::of(ItemId::new(&id).expect("an id"));
            said.apply(&mut item);
            item.timestamp = item.timestamp.map(|at| UnixMillis::from_timestamp(at).0);
            serde_json::to_string(&item).expect("text")
        });
        items.collect::<Vec<_>>()
    });
    assert_eq!(read[0], read[1]);
    let first = r#"{"id":"a","title":"A","tags":["x","y"],"properties":{"p":1.5,"q":"v","r":true},"timestamp":1700000000000,"hidden":true}"#;
    assert_eq!(read[0][0], first);
}
