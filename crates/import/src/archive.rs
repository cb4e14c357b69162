//! Files that are no rows: archives and the formats of other programs, told by their first bytes.

/// What a file is, and what to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign {
    pub(super) what: &'static str,
    pub(super) remedy: &'static str,
}

const UNPACK: &str = "unpack it first";
const EXPORT: &str = "export it as CSV or Parquet";

/// The first bytes, what they begin, and the way out.
const MAGICS: [(&[u8], &str, &str); 13] = [
    (b"PK\x03\x04", "a zip archive (or a workbook)", UNPACK),
    (b"PK\x05\x06", "an empty zip archive", UNPACK),
    (b"BZh", "bzip2 data", "unpack it with bunzip2 first"),
    (b"\xfd7zXZ\0", "xz data", "unpack it with unxz first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a rar archive", UNPACK),
    (
        b"\x04\x22\x4d\x18",
        "lz4 data",
        "unpack it with unlz4 first",
    ),
    (b"\xff\x06\0\0sNaPpY", "snappy data", UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a workbook", EXPORT),
    (b"ARROW1\0\0", "an Arrow file", EXPORT),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"SQLite format 3\0", "an SQLite database", EXPORT),
    (b"\x89HDF\r\n", "an HDF5 file", EXPORT),
];

/// Where a tar archive says that it is one.
const TAR_AT: usize = 257;

/// What the file that begins with `head` is, when it is known to hold no rows.
pub(super) fn recognise(head: &[u8]) -> Option<Foreign> {
    if head
        .get(TAR_AT..)
        .is_some_and(|rest| rest.starts_with(b"ustar"))
    {
        return Some(Foreign {
            what: "a tar archive",
            remedy: UNPACK,
        });
    }
    let found = MAGICS.iter().find(|(magic, ..)| head.starts_with(magic));
    // Text may begin like this, a block of bzip2 has its level next.
    let found = found.filter(|(magic, ..)| {
        *magic != b"BZh"
            || head
                .get(3..10)
                .is_some_and(|next| next[1..].starts_with(b"1AY&SY"))
    });
    found.map(|&(_, what, remedy)| Foreign { what, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_told_by_their_first_bytes_and_text_is_not() {
        let what = |head: &[u8]| recognise(head).map(|foreign| foreign.what);
        assert_eq!(
            what(b"PK\x03\x04\x14\0"),
            Some("a zip archive (or a workbook)")
        );
        assert_eq!(what(b"BZh91AY&SY\x01"), Some("bzip2 data"));
        assert_eq!(what(b"\xfd7zXZ\0\0\x04"), Some("xz data"));
        let mut tar = vec![b'u'; TAR_AT];
        tar.extend(b"ustar\0");
        assert_eq!(what(&tar), Some("a tar archive"));
        for text in [
            "BZhu,item",
            "PK,item",
            "Object,item",
            "user_id,item_id\n",
            "",
        ] {
            assert_eq!(what(text.as_bytes()), None, "{text}");
        }
    }
}
