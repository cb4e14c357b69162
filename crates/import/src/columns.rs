//! Which columns are wanted, by which names, and where a header has them.

use std::path::Path;

use super::error::ImportError;

/// Most columns of a header that an error message names.
const COLUMNS_NAMED_MAX: usize = 20;

/// Most characters of one column name that an error message repeats.
const COLUMN_NAME_CHARACTERS_MAX: usize = 40;

/// Names that the caller gave for columns, where the usual ones do not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Who; otherwise `user_id`, `userId` or `user`.
    pub user: Option<String>,
    /// With what; otherwise `item_id`, `itemId`, `item`, `movie_id` or `movieId`.
    pub item: Option<String>,
    /// How much; otherwise `weight` or `rating`, where a file has one.
    pub weight: Option<String>,
    /// When; otherwise `timestamp`, where a file has it.
    pub time: Option<String>,
    /// What was done, by the name of a type of feedback; otherwise `feedback_type`, where a file has
    /// it.
    pub feedback: Option<String>,
}

/// One wanted column.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// What messages call it.
    pub(super) name: &'static str,
    /// Names it may have, the preferred first; compared without regard to ASCII case.
    pub(super) names: Vec<String>,
    /// The flag that names it.
    pub(super) flag: &'static str,
    /// Whether a file without it is refused.
    pub(super) required: bool,
    /// What it holds.
    pub(super) kind: Kind,
}

/// What a wanted column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ids, which must be exact.
    Id,
    /// Weights: a null is an empty one.
    Weight,
    /// Times.
    Time,
    /// Words.
    Text,
    /// Something with parts, taken as its JSON; a text stays as it is.
    Parts,
    /// Yes or no.
    Truth,
}

impl Wanted {
    fn new(
        name: &'static str,
        flag: &'static str,
        given: Option<&String>,
        usual: &[&str],
        required: bool,
    ) -> Self {
        let names = match given {
            Some(given) => vec![given.clone()],
            None => usual.iter().map(|&name| name.to_owned()).collect(),
        };
        Self {
            name,
            names,
            flag,
            // A name that the caller gave is meant to be there.
            required: required || given.is_some(),
            kind: match name {
                "user_id" | "item_id" => Kind::Id,
                "weight" => Kind::Weight,
                "timestamp" => Kind::Time,
                "tags" | "properties" => Kind::Parts,
                "hidden" => Kind::Truth,
                _ => Kind::Text,
            },
        }
    }

    /// Whether a record with `cell` in this column, whose header is `header`, is a header again:
    /// its name, or another that the column could have.
    pub(super) fn is_header(&self, cell: &str, header: &str) -> bool {
        cell.eq_ignore_ascii_case(header) || self.preference(cell).is_some()
    }

    /// How well `name` names this column: 0 is best, `None` not at all.
    pub(super) fn preference(&self, name: &str) -> Option<usize> {
        self.names
            .iter()
            .position(|wanted| wanted.eq_ignore_ascii_case(name))
    }
}

const USER_NAMES: [&str; 3] = ["user_id", "userId", "user"];
const ITEM_NAMES: [&str; 5] = ["item_id", "itemId", "item", "movie_id", "movieId"];

/// Positions of the fields of an interaction among the wanted columns.
pub(super) mod interaction {
    pub(in super::super) const USER: usize = 0;
    pub(in super::super) const ITEM: usize = 1;
    pub(in super::super) const WEIGHT: usize = 2;
    pub(in super::super) const TIME: usize = 3;
    pub(in super::super) const FEEDBACK: usize = 4;
}

/// Positions of the fields of an item among the wanted columns.
pub(super) mod item {
    pub(in super::super) const ITEM: usize = 0;
    pub(in super::super) const TITLE: usize = 1;
    pub(in super::super) const TAGS: usize = 2;
    pub(in super::super) const PROPERTIES: usize = 3;
    pub(in super::super) const TIME: usize = 4;
    pub(in super::super) const HIDDEN: usize = 5;
}

impl Columns {
    /// The columns of an interaction, in the order of [`interaction`].
    pub(super) fn of_interactions(&self) -> Vec<Wanted> {
        vec![
            Wanted::new(
                "user_id",
                "--user-col",
                self.user.as_ref(),
                &USER_NAMES,
                true,
            ),
            Wanted::new(
                "item_id",
                "--item-col",
                self.item.as_ref(),
                &ITEM_NAMES,
                true,
            ),
            Wanted::new(
                "weight",
                "--weight-col",
                self.weight.as_ref(),
                &["weight", "rating"],
                false,
            ),
            Wanted::new(
                "timestamp",
                "--time-col",
                self.time.as_ref(),
                &["timestamp"],
                false,
            ),
            Wanted::new(
                "feedback_type",
                "--type-col",
                self.feedback.as_ref(),
                &["feedback_type"],
                false,
            ),
        ]
    }

    /// The columns of an items file, in the order of [`item`]. The caller's name for the item
    /// column is tried first, then the usual ones: the two files need not agree.
    pub(super) fn of_items(&self) -> Vec<Wanted> {
        let mut item = Wanted::new("item_id", "--item-col", None, &ITEM_NAMES, true);
        item.names.splice(0..0, self.item.clone());
        item.names.push(String::from("id"));
        let named =
            |name, usual: &[&str]| Wanted::new(name, "a header name", None, usual, name == "title");
        vec![
            item,
            named("title", &["title", "name"]),
            named("tags", &["tags", "genres"]),
            named("properties", &["properties"]),
            named("timestamp", &["timestamp"]),
            named("hidden", &["hidden"]),
        ]
    }
}

/// Finds the wanted columns in a header.
///
/// Returns for each of `wanted` its index in `header`, `None` for an optional one that is absent.
pub(super) fn resolve(
    path: &Path,
    header: &[String],
    wanted: &[Wanted],
) -> Result<Vec<Option<usize>>, ImportError> {
    wanted
        .iter()
        .map(|column| resolve_one(path, header, column))
        .collect()
}

fn resolve_one(
    path: &Path,
    header: &[String],
    wanted: &Wanted,
) -> Result<Option<usize>, ImportError> {
    let best = (0..header.len())
        .filter_map(|index| Some((wanted.preference(&header[index])?, index)))
        .min();
    let Some((preference, index)) = best else {
        return if wanted.required {
            Err(missing(path, header, wanted))
        } else {
            Ok(None)
        };
    };
    let same = |name: &&String| wanted.preference(name) == Some(preference);
    if header.iter().filter(same).count() > 1 {
        return Err(ImportError::AmbiguousColumn {
            path: path.to_owned(),
            name: shown(&header[index]),
            flag: wanted.flag,
        });
    }
    Ok(Some(index))
}

fn missing(path: &Path, header: &[String], wanted: &Wanted) -> ImportError {
    if header.iter().any(|name| looks_like_data(name)) {
        return ImportError::NoHeader(path.to_owned());
    }
    if header
        .iter()
        .any(|name| name.len() > 1 && name.starts_with('"') && name.ends_with('"'))
    {
        return ImportError::QuotedHeader(path.to_owned());
    }
    ImportError::MissingColumn {
        path: path.to_owned(),
        wanted: shown(&wanted.names[0]),
        flag: wanted.flag,
        found: listed(header),
    }
}

/// Most digits a column name may have: a cell with more looks like `ada-0001`.
const COLUMN_NAME_DIGITS_MAX: usize = 2;

/// A header cell that is empty or holds a number or an address is not a name but a value, possibly
/// somebody's id.
fn looks_like_data(name: &str) -> bool {
    name.is_empty()
        || name.contains('@')
        || name.starts_with(|first: char| first.is_ascii_digit())
        || name.chars().filter(char::is_ascii_digit).count() > COLUMN_NAME_DIGITS_MAX
        || name.parse::<f64>().is_ok()
}

fn listed(header: &[String]) -> String {
    let mut names: Vec<String> = header
        .iter()
        .take(COLUMNS_NAMED_MAX)
        .map(|n| shown(n))
        .collect();
    if header.len() > COLUMNS_NAMED_MAX {
        names.push(format!("and {} more", header.len() - COLUMNS_NAMED_MAX));
    }
    names.join(", ")
}

pub(super) fn shown(name: &str) -> String {
    let printable = name.chars().filter(|character| !character.is_control());
    printable.take(COLUMN_NAME_CHARACTERS_MAX).collect()
}

/// The header as it was seen, when it has one column only: with what may be the delimiter in sight.
/// `None` when it may be data.
pub(super) fn unsplit(header: &[String]) -> Option<String> {
    let [only] = header else {
        return None;
    };
    let looks_like_names = only
        .split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
        .all(|word| !looks_like_data(word));
    let seen = only.chars().take(2 * COLUMN_NAME_CHARACTERS_MAX);
    looks_like_names.then(|| seen.flat_map(char::escape_debug).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn usual_names_are_found_in_any_order_and_case() {
        let wanted = Columns::default().of_interactions();
        let found = resolve(
            Path::new("f.csv"),
            &header(&["Timestamp", "movieId", "extra", "USER_ID", "rating"]),
            &wanted,
        )
        .expect("all there");
        assert_eq!(found, [Some(3), Some(1), Some(4), Some(0), None]);
    }

    #[test]
    fn a_weight_is_preferred_to_a_rating() {
        let wanted = Columns::default().of_interactions();
        let names = header(&["user", "item", "rating", "weight"]);
        let found = resolve(Path::new("f.csv"), &names, &wanted).expect("all there");
        assert_eq!(found, [Some(0), Some(1), Some(3), None, None]);
    }

    #[test]
    fn a_missing_column_names_those_found_and_the_flag() {
        let columns = Columns {
            weight: Some(String::from("stars")),
            ..Columns::default()
        };
        let wanted = columns.of_interactions();
        let error = |names: &[&str]| {
            resolve(Path::new("f.csv"), &header(names), &wanted)
                .expect_err("not usable")
                .to_string()
        };
        assert_eq!(
            error(&["who", "item_id"]),
            "f.csv: no user_id column: the columns are who, item_id: name it with --user-col"
        );
        assert_eq!(
            error(&["user", "item", "rating"]),
            "f.csv: no stars column: the columns are user, item, rating: name it with --weight-col"
        );
        assert_eq!(
            error(&["user", "User", "item"]),
            "f.csv: two columns are named user: rename one, or name another with --user-col"
        );
    }

    #[test]
    fn a_header_that_is_data_is_not_repeated() {
        let wanted = Columns::default().of_interactions();
        for first in ["196", "ada@example.org", "", "4f9a-secret", "ada-0001"] {
            let error = resolve(Path::new("f.csv"), &header(&[first, "242"]), &wanted)
                .expect_err("no header");
            assert!(matches!(error, ImportError::NoHeader(_)), "{error}");
            assert!(!error.to_string().contains("242"), "{error}");
        }
    }

    #[test]
    fn a_header_in_one_piece_shows_its_delimiter_unless_it_may_be_data() {
        let seen = |text: &str| unsplit(&[text.to_owned()]);
        assert_eq!(seen("user_id item_id").as_deref(), Some("user_id item_id"));
        assert_eq!(seen("user\u{1}item").as_deref(), Some("user\\u{1}item"));
        assert_eq!(seen("user::item").as_deref(), Some("user::item"));
        for data in ["ada@example.org 7", "196 242 3", "ada-0001 x"] {
            assert_eq!(seen(data), None);
        }
        assert_eq!(unsplit(&header(&["user", "thing"])), None);
    }

    #[test]
    fn a_long_header_is_cut() {
        let names: Vec<String> = (0..500).map(|_| "column".repeat(50)).collect();
        let wanted = Columns::default().of_interactions();
        let error = resolve(Path::new("f.csv"), &names, &wanted).expect_err("no user");
        assert!(error.to_string().contains("and 480 more"));
        assert!(error.to_string().len() < 1_200);
    }
}
