//! Texts that are not UTF-8: which encoding was named, and what is recognised without a name.

use std::str::FromStr;

/// The encoding of a text file, by any of the names that browsers know and Python's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

/// The text names no encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the name of an encoding, such as utf-8, utf-16, latin1, windows-1252 or shift_jis"
)]
pub struct UnknownEncoding;

/// Names that Python knows and browsers do not.
const ALIASES: [(&str, &str); 9] = [
    ("latin", "latin1"),
    ("utf8sig", "utf-8"),
    ("utf16", "utf-16"),
    ("utf16le", "utf-16le"),
    ("utf16be", "utf-16be"),
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
];

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Self, UnknownEncoding> {
        let plain: String = name
            .chars()
            .filter(|c| c.is_ascii_alphanumeric())
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let alias = ALIASES.iter().find(|(python, _)| *python == plain);
        let names = [name, &name.replace('_', "-"), &plain];
        names
            .into_iter()
            .chain(alias.map(|(_, label)| *label))
            .find_map(|label| encoding_rs::Encoding::for_label(label.as_bytes()))
            .filter(|encoding| *encoding != encoding_rs::REPLACEMENT)
            .map(Self)
            .ok_or(UnknownEncoding)
    }
}

impl Encoding {
    /// What a text that begins with `head` is decoded from; `None` for UTF-8, which is read as it
    /// is. Of the two orders of UTF-16 the one that `head` shows is meant.
    pub(super) fn decoder(self, head: &[u8]) -> Option<&'static encoding_rs::Encoding> {
        if self.0 == encoding_rs::UTF_8 {
            return None;
        }
        match utf16_order(head) {
            Some(order) if self.0 == encoding_rs::UTF_16LE => Some(order),
            _ => Some(self.0),
        }
    }
}

/// Bytes of UTF-16 looked at: its NULs show in the first words of a header.
const SHOWN_BYTES_MAX: usize = 512;

/// The byte order of UTF-16, when `head` has its mark or is plainly that: every other byte of a
/// header is NUL.
pub(super) fn utf16_order(head: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    if head.starts_with(&[0xff, 0xfe]) {
        return Some(encoding_rs::UTF_16LE);
    }
    if head.starts_with(&[0xfe, 0xff]) {
        return Some(encoding_rs::UTF_16BE);
    }
    let shown = &head[..head.len().min(SHOWN_BYTES_MAX)];
    let (pairs, _) = shown.as_chunks::<2>();
    let count = |place: usize| pairs.iter().filter(|pair| pair[place] == 0).count();
    let (first, second) = (count(0), count(1));
    // Letters, digits and delimiters are most of any row.
    let is_most = |nuls: usize| pairs.len() > 1 && nuls * 2 > pairs.len();
    match (is_most(first), is_most(second)) {
        (false, true) => Some(encoding_rs::UTF_16LE),
        (true, false) => Some(encoding_rs::UTF_16BE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_have_the_names_that_people_use() {
        for (name, encoding) in [
            ("latin1", encoding_rs::WINDOWS_1252),
            ("latin-1", encoding_rs::WINDOWS_1252),
            ("Latin_1", encoding_rs::WINDOWS_1252),
            ("ISO-8859-1", encoding_rs::WINDOWS_1252),
            ("iso8859_15", encoding_rs::ISO_8859_15),
            ("cp1252", encoding_rs::WINDOWS_1252),
            ("utf8", encoding_rs::UTF_8),
            ("utf-8-sig", encoding_rs::UTF_8),
            ("UTF-16", encoding_rs::UTF_16LE),
            ("utf_16_le", encoding_rs::UTF_16LE),
            ("utf-16be", encoding_rs::UTF_16BE),
            ("cp932", encoding_rs::SHIFT_JIS),
            ("gb18030", encoding_rs::GB18030),
        ] {
            assert_eq!(name.parse(), Ok(Encoding(encoding)), "{name}");
        }
        for name in ["", "klingon", "hz-gb-2312"] {
            assert_eq!(name.parse::<Encoding>(), Err(UnknownEncoding), "{name}");
        }
    }

    #[test]
    fn utf16_shows_with_and_without_its_mark() {
        let encode = |text: &str, big: bool| -> Vec<u8> {
            let bytes = |unit: u16| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            };
            text.encode_utf16().flat_map(bytes).collect()
        };
        for text in ["user_id,item_id\nä,日本\n", "\u{feff}日本,item\n"] {
            assert_eq!(
                utf16_order(&encode(text, false)),
                Some(encoding_rs::UTF_16LE)
            );
            assert_eq!(
                utf16_order(&encode(text, true)),
                Some(encoding_rs::UTF_16BE)
            );
        }
        assert_eq!(utf16_order("user_id,item_id\nä,日本\n".as_bytes()), None);
        assert_eq!(utf16_order(&[0; 64]), None);
        assert_eq!(utf16_order(b""), None);
    }
}
