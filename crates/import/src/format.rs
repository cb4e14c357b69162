//! The formats, and how one is recognised.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header line, then fields between commas, tabs, semicolons or bars, whichever the header
    /// has; quoted as in RFC 4180, unless it is tabs.
    Csv,
    /// A header line, then fields between tabs; quotes mean nothing.
    Tsv,
    /// MovieLens `u.data`: user, item, rating, timestamp between tabs, no header.
    MovieLensData,
    /// MovieLens `ratings.dat` and `movies.dat`: fields between `::`, no header, perhaps Latin-1.
    MovieLensDat,
    /// MovieLens `u.item`: item, title and more between bars, no header, perhaps Latin-1.
    MovieLensItem,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
}

/// The text is not the name of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("format must be one of csv, tsv, u.data, dat, u.item, jsonl, parquet")]
pub struct UnknownFormat;

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] = [
        Self::Csv,
        Self::Tsv,
        Self::MovieLensData,
        Self::MovieLensDat,
        Self::MovieLensItem,
        Self::JsonLines,
        Self::Parquet,
    ];

    /// The name used on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::MovieLensData => "u.data",
            Self::MovieLensDat => "dat",
            Self::MovieLensItem => "u.item",
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
        }
    }

    /// By extension (that of a compression left aside), or else by the first bytes.
    pub(super) fn detect(path: &Path, head: &[u8]) -> Self {
        Self::by_extension(path).unwrap_or_else(|| Self::by_content(head))
    }

    fn by_extension(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = [".gz", ".zst", ".zstd"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(&name);
        let (_, extension) = name.rsplit_once('.')?;
        match extension {
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "dat" => Some(Self::MovieLensDat),
            "item" => Some(Self::MovieLensItem),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            "parquet" | "pq" => Some(Self::Parquet),
            _ => None,
        }
    }

    fn by_content(head: &[u8]) -> Self {
        let line = first_line(head);
        let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
        let all_numbers = |line: &[u8]| {
            line.split(|&byte| byte == b'\t')
                .all(|field| !field.is_empty() && field.iter().all(u8::is_ascii_digit))
        };
        if head.starts_with(b"PAR1") {
            Self::Parquet
        } else if matches!(first, Some(b'{' | b'[')) {
            Self::JsonLines
        } else if line.windows(2).any(|pair| pair == b"::") {
            Self::MovieLensDat
        } else if line.contains(&b'\t') && all_numbers(line) {
            Self::MovieLensData
        } else {
            Self::Csv
        }
    }
}

/// The separator of a header line: of tab, comma, semicolon and bar the one that occurs most
/// outside quotes; a comma when there is none.
pub(super) fn sniff_delimiter(head: &[u8]) -> u8 {
    let mut counts = [(b',', 0), (b'\t', 0), (b';', 0), (b'|', 0)];
    let mut quoted = false;
    for &byte in first_line(head) {
        quoted ^= byte == b'"';
        let counted = counts.iter_mut().find(|(delimiter, _)| *delimiter == byte);
        if let Some((_, count)) = counted.filter(|_| !quoted) {
            *count += 1;
        }
    }
    let mut best = counts[0];
    for candidate in counts {
        if candidate.1 > best.1 {
            best = candidate;
        }
    }
    best.0
}

/// The first line that is not blank, without its ending.
fn first_line(head: &[u8]) -> &[u8] {
    head.split(|&byte| matches!(byte, b'\n' | b'\r'))
        .map(<[u8]>::trim_ascii_end)
        .find(|line| !line.is_empty())
        .unwrap_or_default()
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;
    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or(UnknownFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_back_from_its_name() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert_eq!("xml".parse::<Format>(), Err(UnknownFormat));
    }

    #[test]
    fn the_extension_decides_then_the_content() {
        let detect = |path: &str, head: &[u8]| Format::detect(Path::new(path), head);
        assert_eq!(detect("a.csv.gz", b"{"), Format::Csv);
        assert_eq!(detect("a.ndjson.zst", b""), Format::JsonLines);
        assert_eq!(detect("ml/RATINGS.DAT", b""), Format::MovieLensDat);
        assert_eq!(detect("u.item", b""), Format::MovieLensItem);
        assert_eq!(
            detect("u.data", b"196\t242\t3\t881250949\n"),
            Format::MovieLensData
        );
        assert_eq!(detect("u.data", b"user_id\titem_id\n1\t2\n"), Format::Csv);
        assert_eq!(
            detect("x", b"1::1193::5::978300760\n"),
            Format::MovieLensDat
        );
        assert_eq!(detect("x", b"\n {\"user\":1}\n"), Format::JsonLines);
        assert_eq!(detect("x", b"PAR1...."), Format::Parquet);
        assert_eq!(detect("x", b"user_id,item_id\n"), Format::Csv);
    }

    #[test]
    fn the_delimiter_is_the_commonest_outside_quotes() {
        assert_eq!(sniff_delimiter(b"user_id;item_id\n1,2;3"), b';');
        assert_eq!(sniff_delimiter(b"\"a;b;c\",item_id"), b',');
        assert_eq!(sniff_delimiter(b"\r\nuser_id\titem_id\r\n"), b'\t');
        assert_eq!(sniff_delimiter(b"user_id"), b',');
    }
}
