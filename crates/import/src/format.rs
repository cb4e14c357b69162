//! The formats, and how one is recognised.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::reader::FormatDescription;

/// Declares [`Format`] from one line a format: its name here, and its description, which lies beside
/// its reader. Contents are tried in this order.
macro_rules! declare_formats {
    ($($(#[$doc:meta])* $name:ident = $description:path,)*) => {
        /// How the rows of a file are written.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Format {
            $($(#[$doc])* $name,)*
        }

        impl Format {
            /// Every format.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// How it is recognised and read.
            pub(super) fn description(self) -> &'static FormatDescription {
                match self {
                    $(Self::$name => &$description,)*
                }
            }
        }
    };
}

declare_formats! {
    /// Apache Parquet.
    Parquet = crate::parquet::PARQUET,
    /// One JSON object a line.
    JsonLines = crate::json_lines::JSON_LINES,
    /// MovieLens `ratings.dat` and `movies.dat`: fields between `::`, no header, perhaps Latin-1.
    MovieLensDat = crate::movielens::DAT,
    /// MovieLens `u.data`: user, item, rating, timestamp between tabs, no header.
    MovieLensData = crate::movielens::DATA,
    /// MovieLens `u.item`: item, title and more between bars, no header, perhaps Latin-1.
    MovieLensItem = crate::movielens::ITEM,
    /// A header line, then fields between tabs; quotes mean nothing.
    Tsv = crate::delimited::TSV,
    /// A header line, then fields between commas, tabs, semicolons or bars, whichever the header
    /// has; quoted as in RFC 4180, unless it is tabs. What nothing else recognises.
    Csv = crate::delimited::CSV,
}

/// The text is not the name of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("format must be one of {}", names())]
pub struct UnknownFormat;

fn names() -> String {
    let names: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
    names.join(", ")
}

impl Format {
    /// The name used on the command line.
    pub fn as_str(self) -> &'static str {
        self.description().name
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
        Self::find(|description| description.extensions.contains(&extension))
    }

    fn by_content(head: &[u8]) -> Self {
        Self::find(|description| (description.is_content)(head)).unwrap_or(Self::Csv)
    }

    fn find(is_it: impl Fn(&FormatDescription) -> bool) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|format| is_it(format.description()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;
    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        Self::find(|description| description.name == text).ok_or(UnknownFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_reads_back_from_its_name() {
        for &format in Format::ALL {
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
}
