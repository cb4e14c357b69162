//! Cursors of pages: where the page before ended, in characters that a URL takes as they are.

use std::fmt::Write as _;

use super::refusal::Refusal;

/// The cursor for the names where a page ended.
pub(super) fn written(names: &[&str]) -> String {
    let json = serde_json::to_vec(names).expect("texts");
    json.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes all");
        text
    })
}

/// The names of a cursor.
pub(super) fn read<const COUNT: usize>(text: &str) -> Result<[String; COUNT], Refusal> {
    let names = bytes(text).and_then(|bytes| serde_json::from_slice::<Vec<String>>(&bytes).ok());
    let names = names.and_then(|names| names.try_into().ok());
    names.ok_or_else(|| Refusal::invalid("invalid cursor parameter: give that of the page before"))
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_needs_no_encoding() {
        let cursor = written(&["ada", "é & /", ""]);
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let names: [String; 3] = read(&cursor).expect("a cursor");
        assert_eq!(names, ["ada", "é & /", ""]);
        assert!(read::<2>(&cursor).is_err(), "of another kind of page");
        for bad in ["", "1", "zz", "5b5d5d", "ada"] {
            assert!(read::<1>(bad).is_err(), "{bad}");
        }
    }
}
