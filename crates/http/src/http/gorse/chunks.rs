//! Texts of any length as properties, which are short: in pieces, under names with numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use recant_types::PropertyValue;

/// What the names of all properties begin with that only this face reads.
const RESERVED: &str = "gorse_";

/// Longest piece: the longest text of a property.
const PIECE_BYTES_MAX: usize = 1_024;

/// Most pieces: together they are as long as all that may be said.
const PIECES_MAX: usize = 29;

/// Properties by name.
pub(super) type Properties = BTreeMap<Arc<str>, PropertyValue>;

/// The text is longer than all that may be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Labels, Categories and Comment are longer than what may be said of one item or person")]
pub(super) struct TooLong;

/// Whether a name is one of this face's.
pub(super) fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED)
}

/// The names that pieces of `what` may have.
pub(super) fn names(what: &str) -> impl Iterator<Item = Arc<str>> + '_ {
    (1..=PIECES_MAX).map(move |number| match number {
        1 => Arc::from(format!("{RESERVED}{what}")),
        number => Arc::from(format!("{RESERVED}{what}_{number}")),
    })
}

/// Puts `text` into `properties`, in pieces; an empty one, too.
pub(super) fn put(what: &str, text: &str, properties: &mut Properties) -> Result<(), TooLong> {
    let mut names = names(what);
    let mut rest = text;
    loop {
        let (piece, more) = rest.split_at(end_of_piece(rest));
        let name = names.next().ok_or(TooLong)?;
        properties.insert(name, PropertyValue::Text(Arc::from(piece)));
        rest = more;
        if rest.is_empty() {
            return Ok(());
        }
    }
}

/// Where the first piece of a text ends: between two characters.
fn end_of_piece(text: &str) -> usize {
    let mut end = text.len().min(PIECE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}

/// The text in `properties`; `None` when there is none.
pub(super) fn get(what: &str, properties: &Properties) -> Option<String> {
    let piece = |name: Arc<str>| match properties.get(&name)? {
        PropertyValue::Text(text) => Some(Arc::clone(text)),
        PropertyValue::Number(_) | PropertyValue::Truth(_) => None,
    };
    let mut pieces = names(what).map_while(piece);
    let mut text = pieces.next()?.to_string();
    pieces.for_each(|piece| text.push_str(&piece));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_any_length_reads_back() {
        for text in [
            "",
            "short",
            &"é".repeat(511),
            &"€".repeat(1_000),
            &"x".repeat(29_000),
        ] {
            let mut properties = Properties::new();
            put("labels", text, &mut properties).expect("short enough");
            let longest = properties.values().map(|value| match value {
                PropertyValue::Text(text) => text.len(),
                _ => 0,
            });
            assert!(longest.max() <= Some(PIECE_BYTES_MAX));
            assert!(properties.keys().all(|name| is_reserved(name)));
            assert_eq!(get("labels", &properties).as_deref(), Some(text));
        }
        let mut properties = Properties::new();
        let long = put("labels", &"x".repeat(40_000), &mut properties);
        assert_eq!(long, Err(TooLong));
        assert_eq!(get("comment", &properties), None);
    }
}
