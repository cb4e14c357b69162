//! What fuzzing calls of this crate: filters, as a catalogue and as each item sees them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cel::objects::Key;
use cel::{Context, Program, Value};

use crate::catalogue::{Catalogue, Edit};
use crate::expression::{Expression, InvalidExpression};
use recant_core::topk::Bitmap;
use recant_types::{ItemDescription, ItemId, PropertyValue, UnixMillis};

/// More than the rows that one word of a bitmap holds.
const ITEMS: u32 = 70;

/// Reads a filter, and asks it of a catalogue; whether it was taken.
///
/// What is taken is true of the same items for the catalogue, which finds rows and follows them through
/// changes, and for the library that reads CEL, asked of one item at a time with everything that is said
/// about it.
pub fn filter(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let expression = match Expression::compile(text) {
        Ok(expression) => expression,
        Err(fault) => {
            check_fault(text, fault);
            return false;
        }
    };
    assert_eq!(&**expression.text(), text);
    assert_eq!(format!("{expression:?}"), "Expression(redacted)");
    let program = Program::compile(text).expect("it was read already");
    let catalogue = catalogue();
    let found = catalogue.filter(&expression, Duration::MAX);
    let found = found.expect("all the time there is");
    check_rows(&expression, &program, catalogue, &found);
    let mut followed = catalogue.clone();
    followed.keep_filter(&expression, found, catalogue);
    change(&mut followed);
    let found = followed.filtered(&expression).expect("it is kept");
    check_rows(&expression, &program, &followed, &found);
    true
}

/// The rows that were found are those of which the expression is true.
fn check_rows(expression: &Expression, program: &Program, catalogue: &Catalogue, found: &Bitmap) {
    // In which order the library goes through properties it does not say.
    let text = expression.text();
    let has_order = text.contains("map") || text.contains("filter");
    for row in 0..ITEMS {
        let item = said(catalogue, row);
        assert_eq!(found.contains(row), expression.matches(&item));
        if !has_order || item.properties.len() < 2 {
            assert_eq!(found.contains(row), is_true(program, &item));
        }
    }
    assert_eq!(found.iter().filter(|row| *row >= ITEMS).count(), 0);
}

/// A fault is at a place of the text, or at none, and its words are those of its reason.
fn check_fault(text: &str, fault: InvalidExpression) {
    let place = fault.at.map_or(String::new(), |(line, column)| {
        let lines: Vec<&str> = text.split('\n').collect();
        assert!((1..=lines.len()).contains(&line), "{fault}");
        // The place after the last character of a line is where something is missing.
        let columns = lines[line - 1].chars().count() + 1;
        assert!((1..=columns).contains(&column), "{fault}");
        format!(" (line {line}, column {column})")
    });
    assert_eq!(fault.to_string(), format!("{}{place}", fault.reason));
}

/// Whether a program is true of an item, by the library alone.
fn is_true(program: &Program, item: &ItemDescription) -> bool {
    let tags: Vec<String> = item.tags.iter().map(|tag| tag.to_string()).collect();
    let properties = item.properties.iter().map(|(name, value)| {
        let value = match value {
            PropertyValue::Text(text) => Value::from(text.to_string()),
            PropertyValue::Number(number) => Value::Float(*number),
            PropertyValue::Truth(truth) => Value::Bool(*truth),
        };
        (Key::from(name.to_string()), value)
    });
    let properties: HashMap<Key, Value> = properties.collect();
    let title = item.title.as_deref();
    let timestamp = item.timestamp.map(|at| UnixMillis::from_timestamp(at).0);
    let mut context = Context::default();
    context.add_variable_from_value("tags", tags);
    context.add_variable_from_value("properties", properties);
    context.add_variable_from_value("title", title.map_or(Value::Null, Value::from));
    context.add_variable_from_value("timestamp", timestamp.map_or(Value::Null, Value::Int));
    program.execute(&context) == Ok(Value::Bool(true))
}

/// What is said about the item at a row; nothing of one that has interactions alone.
fn said(catalogue: &Catalogue, row: u32) -> ItemDescription {
    let said = catalogue.at(row).map(|said| ItemDescription::clone(said));
    said.unwrap_or_else(|| ItemDescription::of(id(row)))
}

fn id(row: u32) -> ItemId {
    ItemId::new(&format!("item-{row}")).expect("an id")
}

/// Items of every kind, at the rows of their numbers.
fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let mut catalogue = Catalogue::default();
        for row in 0..ITEMS {
            catalogue.place(row, Some(&id(row)));
        }
        let described = (0..ITEMS).filter_map(describe);
        let edits: Vec<Edit> = described
            .map(|said| Edit::Describe(Arc::new(said)))
            .collect();
        catalogue.edit(&edits);
        catalogue
    })
}

/// Of some rows something else is said, of some nothing any more.
fn change(catalogue: &mut Catalogue) {
    let changed = (0..ITEMS).step_by(5).map(|row| match describe(row + 3) {
        Some(said) => Edit::Describe(Arc::new(ItemDescription {
            id: id(row),
            ..said
        })),
        None => Edit::Remove(id(row)),
    });
    catalogue.edit(&changed.collect::<Vec<_>>());
}

/// What is said about the item at a row: of some nothing, of the last as much as may be.
fn describe(row: u32) -> Option<ItemDescription> {
    let mut item = ItemDescription::of(id(row));
    if row + 1 == ITEMS {
        item.set_tags((0..100).map(|tag| Arc::from(format!("tag-{tag}"))));
        let number = |at: u32| {
            (
                Arc::from(format!("p{at}")),
                PropertyValue::Number(at.into()),
            )
        };
        item.properties = (0..100).map(number).collect();
        return Some(item);
    }
    let text = |text: &str| PropertyValue::Text(text.into());
    let said: [(&str, PropertyValue); 5] = [
        ("price", PropertyValue::Number(f64::from(row) / 2.0)),
        ("language", text(["en", "de", ""][row as usize % 3])),
        ("new", PropertyValue::Truth(row.is_multiple_of(2))),
        ("odd_name", text("a 'quoted' \"one\"")),
        ("price", text("free")),
    ];
    let count = row as usize % (said.len() + 1);
    let said = said.into_iter().take(count);
    item.properties = said.map(|(name, value)| (Arc::from(name), value)).collect();
    let tags = ["drama", "desert", "é", "tag-1"];
    item.set_tags(tags.into_iter().take(row as usize % 5).map(Arc::from));
    item.timestamp = (!row.is_multiple_of(3)).then_some(i64::from(row) * 1_000_000_000 - 3);
    item.title = (!row.is_multiple_of(4)).then(|| Arc::from(format!("Dune {row}")));
    (!row.is_multiple_of(11)).then_some(item)
}
