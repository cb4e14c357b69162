//! The law itself, over files of arbitrary bytes: rows read are the records of the file.

use proptest::prelude::*;
use recant_import::{ImportError, ReadOptions};

use super::support::import;

/// The records of a file whose lines end in newlines, counted by another means than reading it.
fn lines(text: &str) -> u64 {
    let is_row = |line: &&str| !line.trim_matches([' ', '\r']).is_empty();
    text.split('\n').filter(is_row).count() as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_line_of_interactions_is_a_row_whatever_is_in_it(
        body in "(([a-c0-9\"',;\\\\ ]|null|\u{e9}|user_id|item_id|1e9|\t|\r){0,12}\n){0,8}",
        tabs in any::<bool>(),
    ) {
        let delimiter = if tabs { "\t" } else { "," };
        let text = ["user_id", "item_id", "weight", "timestamp"].join(delimiter) + "\n" + &body;
        let read = match import("x.csv", &text, ReadOptions::default()) {
            Ok((counts, _)) => counts.read,
            Err(ImportError::AllRejected { rows, .. }) => rows,
            Err(ImportError::NoRows(_)) => 0,
            Err(error) => panic!("{error}"),
        };
        prop_assert_eq!(read, lines(&body));
    }

    #[test]
    fn every_line_of_json_is_a_row_whatever_is_in_it(
        body in "((\\{\"user\":(1|\"a\"|null|1\\.5),\"item\":(\"x\"|7)(,\"weight\":(2|\"\"|9e9))?\\}|[a{}\": ]{0,6})\n){1,8}",
    ) {
        let read = match import("x.jsonl", &body, ReadOptions::default()) {
            Ok((counts, _)) => counts.read,
            Err(ImportError::AllRejected { rows, .. }) => rows,
            Err(ImportError::Empty(_)) => 0,
            Err(error) => panic!("{error}"),
        };
        prop_assert_eq!(read, lines(&body));
    }
}
