//! Which items may be in a list: what every call that answers one understands.

use super::parameters::{Parameters, invalid};
use super::problem::{INVALID_BODY, INVALID_FILTER, Problem};
use recant_service::{Expression, QUERY_ITEMS_MAX, QUERY_TAGS_MAX, Selection};
use recant_types::{Given, ItemId};

/// The parameters of a selection; those besides `filter` may be repeated.
pub(super) const SELECTION: [&str; 6] =
    ["exclude", "allow", "tag", "tags_all", "tags_none", "filter"];

/// The same, as the description shows them.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "says what `selection_of` reads")]
pub(super) struct SelectionParameters {
    /// Leave out these items too, with commas between them; may be repeated, like the four below
    exclude: Option<String>,
    /// Take only from these items, with commas between them
    allow: Option<String>,
    /// Take only items with at least one of these tags, with commas between them
    tag: Option<String>,
    /// Take only items with each of these tags
    tags_all: Option<String>,
    /// Leave out items with one of these tags
    tags_none: Option<String>,
    /// Take only items of which this is true: CEL over tags, properties, timestamp and title
    #[param(example = "\"drama\" in tags && properties.price < 20")]
    filter: Option<String>,
}

/// Reads a selection from a query string.
pub(super) fn selection_of(parameters: &mut Parameters) -> Result<Selection, Problem> {
    Ok(Selection {
        exclude: parameters.items("exclude", QUERY_ITEMS_MAX)?,
        allow: parameters.some_items("allow", QUERY_ITEMS_MAX)?,
        tags: parameters.tags("tag", QUERY_TAGS_MAX)?,
        tags_all: parameters.tags("tags_all", QUERY_TAGS_MAX)?,
        tags_none: parameters.tags("tags_none", QUERY_TAGS_MAX)?,
        filter: parameters
            .text("filter")
            .map(|text| expression(&text))
            .transpose()?,
    })
}

/// What a body says of a selection.
#[derive(Default)]
pub(super) struct SelectionFields {
    /// None of these.
    pub(super) exclude: Vec<Given<ItemId>>,
    /// Only these.
    pub(super) allow: Option<Vec<Given<ItemId>>>,
    /// At least one of these.
    pub(super) tags: Vec<String>,
    /// Each of these.
    pub(super) tags_all: Vec<String>,
    /// None of these.
    pub(super) tags_none: Vec<String>,
    /// True of each.
    pub(super) filter: Option<String>,
}

impl SelectionFields {
    /// The selection, within its bounds.
    pub(super) fn check(self) -> Result<Selection, Problem> {
        let refuse = |detail: String| Err(Problem::new(&INVALID_BODY, detail));
        let allowed = self.allow.as_ref().map_or(0, Vec::len);
        if self.exclude.len().max(allowed) > QUERY_ITEMS_MAX {
            return refuse(format!(
                "exclude and allow may name up to {QUERY_ITEMS_MAX} items each"
            ));
        }
        let named = [&self.tags, &self.tags_all, &self.tags_none];
        if named.iter().any(|tags| tags.len() > QUERY_TAGS_MAX) {
            return refuse(format!(
                "tags, tags_all and tags_none may name up to {QUERY_TAGS_MAX} tags each"
            ));
        }
        Ok(Selection {
            exclude: Given::ids(self.exclude),
            allow: self.allow.map(Given::ids),
            tags: self.tags,
            tags_all: self.tags_all,
            tags_none: self.tags_none,
            filter: self.filter.as_deref().map(expression).transpose()?,
        })
    }
}

/// Reads an expression.
pub(super) fn expression(text: &str) -> Result<Expression, Problem> {
    let compiled = Expression::compile(text);
    compiled.map_err(|fault| Problem::new(&INVALID_FILTER, format!("filter: {fault}")))
}

/// Where a page begins: how many of the best are left out before it.
pub(super) fn offset_of(parameters: &mut Parameters) -> Result<usize, Problem> {
    parameters.number("offset", 0..=recant_service::OFFSET_MAX, 0)
}

/// Refuses proofs about anything but the head of a list.
pub(super) fn refuse_explained_page(explain: bool, offset: usize) -> Result<(), Problem> {
    if explain && offset > 0 {
        return Err(invalid(
            "explain is for the head of a list: leave offset out",
        ));
    }
    Ok(())
}
