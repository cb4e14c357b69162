//! The range of weights, and the ways into it.

use recant_import::{ImportOptions, ReadOptions};
use recant_types::WeightTransform;

use super::support::{import, import_paths, rejected, write};

fn transformed(name: &str) -> ReadOptions {
    ReadOptions {
        weights: name.parse().expect("a transform"),
        ..ReadOptions::default()
    }
}

#[test]
fn weights_out_of_range_are_refused_with_the_way_out() {
    let text =
        "user_id,item_id,weight\na,x,3000000\nb,x,0\nc,x,-1\nd,x,1e-9\ne,x,inf\nf,x,1000000\n";
    let (counts, sink) = import("x.csv", text, ReadOptions::default()).expect("one is good");
    assert_eq!(sink.users(), ["f"]);
    assert_eq!(rejected(&counts, "weight_too_large"), 2);
    assert_eq!(rejected(&counts, "weight_too_small"), 3);
    assert!(
        counts.rejected_first[0]
            .to_string()
            .contains("--weights log1p")
    );
    for (name, first) in [
        ("log1p", 3e6f64.ln_1p() as f32),
        ("sqrt", 3e6f32.sqrt()),
        ("clip=50", 50.0),
    ] {
        let (_, sink) = import("x.csv", text, transformed(name)).expect(name);
        assert_eq!(
            (sink.users()[0], sink.rows[0].weight),
            ("a", Some(first)),
            "{name}"
        );
    }
}

#[test]
fn binary_keeps_what_was_only_seen() {
    let text = "\"User-ID\";\"ISBN\";\"Book-Rating\"\r\n\"1\";\"X\";\"0\"\r\n\"2\";\"Y\";\"5\"\r\n\"3\";\"Z\";\"\"\r\n";
    let mut options = transformed("binary");
    options.columns.user = Some(String::from("User-ID"));
    options.columns.item = Some(String::from("ISBN"));
    options.columns.weight = Some(String::from("Book-Rating"));
    let (counts, sink) = import("x.csv", text, options.clone()).expect("readable");
    assert_eq!(
        (counts.rejected.total(), sink.users()),
        (0, vec!["1", "2", "3"])
    );
    assert!(sink.rows.iter().all(|row| row.weight == Some(1.0)));
    options.weights = WeightTransform::Identity;
    let (counts, sink) = import("x.csv", text, options).expect("one is good");
    assert_eq!(sink.users(), ["2"]);
    assert_eq!(
        (
            rejected(&counts, "weight_empty"),
            rejected(&counts, "weight_too_small")
        ),
        (1, 1)
    );
}

#[test]
fn an_empty_weight_is_no_weight_of_one() {
    for (name, text) in [
        ("x.csv", "user_id,item_id,weight\na,x,\nb,x,2\nc,x,nan\n"),
        (
            "x.jsonl",
            "{\"user\":1,\"item\":2,\"weight\":null}\n{\"user\":1,\"item\":2,\"weight\":2}\n{\"user\":1,\"item\":2,\"weight\":\"\"}\n",
        ),
    ] {
        let (counts, sink) = import(name, text, ReadOptions::default()).expect("one is good");
        assert_eq!(
            (sink.rows.len(), rejected(&counts, "weight_empty")),
            (1, 2),
            "{name}"
        );
    }
    let json = "{\"user\":1,\"item\":2}\n";
    let (_, sink) = import("x.jsonl", json, ReadOptions::default()).expect("readable");
    assert_eq!(sink.rows[0].weight, Some(1.0), "a row that has none at all");
}

#[test]
fn rows_below_the_wanted_rating_take_their_pair_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "user_id,item_id,rating,timestamp\nu,i,5,1200000000\nu,i,2,1500000000\nv,i,-3,1\n";
    let path = write(folder.path(), "x.csv", text);
    let options = ImportOptions {
        min_rating: Some(4.0),
        ..ImportOptions::default()
    };
    let (_, sink) = import_paths(&[path], &options).expect("readable");
    let weights: Vec<_> = sink.rows.iter().map(|row| row.weight).collect();
    assert_eq!(weights, [Some(5.0), None, None], "the sink decides by time");
}
