//! How files are to be read, where they do not tell by themselves.

use recant_types::{FeedbackType, TimeRule, UnixMillis, WeightTransform};

use super::columns::Columns;
use super::encoding::Encoding;
use super::error::Rejection;
use super::format::Format;
use super::syntax::{Delimiter, Escape, Quote};

/// How the rows of a file are found and understood.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOptions {
    /// Names of the columns, where the usual ones do not fit.
    pub columns: Columns,
    /// The format of the interaction files, where name and content do not tell.
    pub format: Option<Format>,
    /// The encoding of texts that are not UTF-8.
    pub encoding: Option<Encoding>,
    /// What stands between the fields of CSV, where the header does not tell.
    pub delimiter: Option<Delimiter>,
    /// What stands around fields: `"`, but between tabs nothing, unless it is named.
    pub quote: Option<Quote>,
    /// What takes its meaning from a quote or a delimiter: nothing, unless it is named.
    pub escape: Option<Escape>,
    /// Takes words for nothing, such as `null`, for ids.
    pub keep_null_ids: bool,
    /// How times are read.
    pub times: TimeRule,
    /// What becomes of a number before it is a weight.
    pub weights: WeightTransform,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            columns: Columns::default(),
            format: None,
            encoding: None,
            delimiter: None,
            quote: None,
            escape: None,
            keep_null_ids: false,
            times: TimeRule::new(UnixMillis::now()),
            weights: WeightTransform::Identity,
        }
    }
}

/// How rows are read and which of them are kept.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportOptions {
    /// How they are read.
    pub read: ReadOptions,
    /// Keeps the pairs whose newest weight or rating is at least this; a row without one is
    /// filtered out.
    pub min_rating: Option<f32>,
    /// The types of feedback that rows may have.
    pub feedback: FeedbackChoice,
    /// Makes the first rejected row an error.
    pub strict: bool,
}

/// The types of feedback that rows may have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeedbackChoice {
    /// The type of rows that name none.
    pub default: FeedbackType,
    /// Those that rows may name besides.
    pub known: Vec<FeedbackType>,
}

impl FeedbackChoice {
    /// The type that a row means which gives this name, or none.
    pub(super) fn find(&self, name: Option<&str>) -> Result<&FeedbackType, Rejection> {
        let Some(name) = name else {
            return Ok(&self.default);
        };
        let mut types = std::iter::once(&self.default).chain(&self.known);
        types
            .find(|known| known.as_str() == name)
            .ok_or(Rejection::UnknownFeedback)
    }
}
