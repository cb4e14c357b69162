//! What is said about items, as readers see it: by id, and by row of the version it belongs to.

use std::cmp::Reverse;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::expression::Expression;
use crate::patience::Patience;
use recant_core::topk::Bitmap;
use recant_types::{ItemDescription, ItemId, UnixMillis};

/// Most expressions whose rows are followed.
const FILTERS_MAX: usize = 32;

/// The items there are: those that are described and those that people interacted with.
///
/// A part of every version. Descriptions change while the model stays as it is, and rows change
/// hands while descriptions stay; both cost what changed, for all containers share their nodes with
/// the version before.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    entries: imbl::OrdMap<ItemId, Entry>,
    /// By row of the model, items with interactions.
    rows: imbl::Vector<Option<Placed>>,
    /// Rows of hidden items.
    hidden: Bitmap,
    /// Rows by tag.
    tags: imbl::HashMap<Arc<str>, Bitmap>,
    /// Rows by expression, of those that were asked for lately.
    filters: Vec<Filtered>,
    /// Those that say when they appeared, the latest first.
    appeared: imbl::OrdMap<(Reverse<UnixMillis>, ItemId), Arc<ItemDescription>>,
    /// Grows with every change of a description.
    edition: u64,
}

/// The rows of which an expression is true, followed through every change.
#[derive(Debug, Clone)]
struct Filtered {
    expression: Expression,
    rows: Bitmap,
    /// When it was asked for last, of all such questions to all versions.
    used: Arc<AtomicU64>,
}

/// One item.
#[derive(Debug, Clone)]
struct Entry {
    description: Option<Arc<ItemDescription>>,
    /// Its row, when it has interactions.
    row: Option<u32>,
}

/// The item at a row.
#[derive(Debug, Clone)]
struct Placed {
    id: ItemId,
    description: Option<Arc<ItemDescription>>,
}

/// One change of a description.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    /// This is said now.
    Describe(Arc<ItemDescription>),
    /// Nothing is said any more.
    Remove(ItemId),
}

impl Catalogue {
    /// What is said about an item that is there; empty when it has interactions alone.
    pub fn item(&self, id: &ItemId) -> Option<Arc<ItemDescription>> {
        let entry = self.entries.get(id)?;
        Some(said(id, entry))
    }

    /// The next items after `after` in the order of their ids' bytes.
    pub fn items_after(
        &self,
        after: Option<&ItemId>,
    ) -> impl Iterator<Item = Arc<ItemDescription>> + '_ {
        let start = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.clone()));
        let entries = self.entries.range((start, Bound::Unbounded));
        entries.map(|(id, entry)| said(id, entry))
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The title of the item at `row`.
    pub fn title(&self, row: u32) -> Option<Arc<str>> {
        self.at(row)?.title.clone()
    }

    /// What is said about the item at `row`, if something is.
    pub fn at(&self, row: u32) -> Option<&Arc<ItemDescription>> {
        self.placed(row as usize)?.description.as_ref()
    }

    fn placed(&self, row: usize) -> Option<&Placed> {
        self.rows.get(row)?.as_ref()
    }

    /// The rows of hidden items.
    pub fn hidden(&self) -> &Bitmap {
        &self.hidden
    }

    /// The rows of items with a tag; `None` when there are none.
    pub fn tagged(&self, tag: &str) -> Option<&Bitmap> {
        self.tags.get(tag)
    }

    /// The rows of which an expression is true, if they are at hand.
    pub(crate) fn filtered(&self, expression: &Expression) -> Option<Bitmap> {
        let mut filters = self.filters.iter();
        let found = filters.find(|held| held.expression.text() == expression.text())?;
        found.used.store(next_use(), Ordering::Relaxed);
        Some(found.rows.clone())
    }

    /// The rows of which an expression is true, found by asking it of each; `None` when that takes
    /// longer than `patience`.
    pub(crate) fn filter(&self, expression: &Expression, patience: Duration) -> Option<Bitmap> {
        let patience = Patience::new(patience);
        let mut rows = Bitmap::default();
        for (row, placed) in (0..).zip(&self.rows) {
            if patience.is_over(row as usize) {
                return None;
            }
            if is_true(expression, placed.as_ref()) {
                rows.set(row, true);
            }
        }
        Some(rows)
    }

    /// Keeps `rows`, of which `expression` is true in the version `of`, and follows them from now on;
    /// the one that was not asked for the longest makes room.
    pub(crate) fn keep_filter(&mut self, expression: &Expression, mut rows: Bitmap, of: &Self) {
        if self.filtered(expression).is_some() {
            return;
        }
        for row in 0..self.rows.len().max(of.rows.len()) {
            let (here, there) = (self.placed(row), of.placed(row));
            let same = match (here, there) {
                (Some(here), Some(there)) => here.is(there),
                _ => here.is_none() && there.is_none(),
            };
            if !same {
                rows.set(row as u32, is_true(expression, here));
            }
        }
        if self.filters.len() >= FILTERS_MAX {
            let used = self.filters.iter().enumerate();
            let used = used.map(|(at, held)| (held.used.load(Ordering::Relaxed), at));
            if let Some((_, oldest)) = used.min() {
                self.filters.swap_remove(oldest);
            }
        }
        self.filters.push(Filtered {
            expression: expression.clone(),
            rows,
            used: Arc::new(AtomicU64::new(next_use())),
        });
    }

    /// What is said about an item that nobody interacted with; `None` when nothing is, or when somebody did.
    pub(crate) fn untouched(&self, id: &ItemId) -> Option<&Arc<ItemDescription>> {
        let entry = self.entries.get(id)?;
        entry.description.as_ref().filter(|_| entry.row.is_none())
    }

    /// Everything that is said, in the order of the items' ids, with the item's row where somebody
    /// interacted with it.
    pub(crate) fn said(&self) -> impl Iterator<Item = (&Arc<ItemDescription>, Option<u32>)> + '_ {
        let entries = self.entries.values();
        entries.filter_map(|entry| Some((entry.description.as_ref()?, entry.row)))
    }

    /// Grows with every change of a description.
    pub(crate) fn edition(&self) -> u64 {
        self.edition
    }

    /// Whether the same is said here and there.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        self.edition == other.edition
    }

    /// Makes changes of descriptions. O(log items) each, and for each tag that comes or goes.
    pub(crate) fn edit<'a>(&mut self, edits: impl IntoIterator<Item = &'a Edit>) {
        for edit in edits {
            match edit {
                Edit::Describe(description) => {
                    self.describe(&description.id, Some(Arc::clone(description)));
                }
                Edit::Remove(id) => self.describe(id, None),
            }
        }
        self.edition += 1;
    }

    /// Items that appeared before `now`, the latest first, with when they did; of those at one moment
    /// in the order of their ids' bytes.
    pub(crate) fn appeared_before(
        &self,
        now: UnixMillis,
    ) -> impl Iterator<Item = (UnixMillis, &Arc<ItemDescription>)> + '_ {
        let latest = self.appeared.iter();
        let appeared = latest.map(|((Reverse(at), _), said)| (*at, said));
        appeared.skip_while(move |(at, _)| *at > now)
    }

    /// Puts an item into its place among those that say when they appeared.
    fn date(&mut self, before: Option<&ItemDescription>, now: Option<&Arc<ItemDescription>>) {
        let place = |said: &ItemDescription| {
            let at = UnixMillis::from_timestamp(said.timestamp?);
            Some((Reverse(at), said.id.clone()))
        };
        if let Some(place) = before.and_then(place) {
            self.appeared.remove(&place);
        }
        if let Some((place, said)) = now.and_then(|said| Some((place(said)?, said))) {
            self.appeared.insert(place, Arc::clone(said));
        }
    }

    fn describe(&mut self, id: &ItemId, description: Option<Arc<ItemDescription>>) {
        let before = self.entries.get(id).cloned();
        let said_before = before.as_ref().and_then(|entry| entry.description.as_ref());
        self.date(said_before.map(Arc::as_ref), description.as_ref());
        let row = before.and_then(|entry| entry.row);
        if description.is_none() && row.is_none() {
            self.entries.remove(id);
            return;
        }
        if let Some(row) = row {
            let placed = Placed {
                id: id.clone(),
                description: description.clone(),
            };
            self.replace(row, Some(placed));
        }
        self.entries.insert(id.clone(), Entry { description, row });
    }

    /// The item at `row` is this one now, which has interactions; or there is none with any.
    pub(crate) fn place(&mut self, row: u32, id: Option<&ItemId>) {
        let before = self.placed(row as usize);
        let before = before.map(|placed| placed.id.clone());
        if before.as_ref() == id {
            return;
        }
        if let Some(before) = before {
            self.leave(row, &before);
        }
        let placed = id.map(|id| {
            let held = self.entries.get(id);
            let description = held.and_then(|entry| entry.description.clone());
            let entry = Entry {
                description: description.clone(),
                row: Some(row),
            };
            self.entries.insert(id.clone(), entry);
            Placed {
                id: id.clone(),
                description,
            }
        });
        self.replace(row, placed);
    }

    /// The item that was at `row` is not there any more; it may be at another one already.
    fn leave(&mut self, row: u32, id: &ItemId) {
        let Some(entry) = self.entries.get(id).filter(|entry| entry.row == Some(row)) else {
            return;
        };
        match entry.description.clone() {
            None => drop(self.entries.remove(id)),
            description => {
                let entry = Entry {
                    description,
                    row: None,
                };
                self.entries.insert(id.clone(), entry);
            }
        }
    }

    /// Exchanges what is at `row`, with the sets that the row is in.
    fn replace(&mut self, row: u32, placed: Option<Placed>) {
        while self.rows.len() <= row as usize {
            self.rows.push_back(None);
        }
        for filter in &mut self.filters {
            let is_in = is_true(&filter.expression, placed.as_ref());
            filter.rows.set(row, is_in);
        }
        let now = placed
            .as_ref()
            .and_then(|placed| placed.description.clone());
        let before = self.rows.set(row as usize, placed);
        let before = before.and_then(|placed| placed.description);
        let is_hidden = now.as_ref().is_some_and(|now| now.hidden);
        self.hidden.set(row, is_hidden);
        let tags = |said: &Option<Arc<ItemDescription>>| {
            said.as_ref()
                .map_or_else(Vec::new, |said| said.tags.clone())
        };
        let (before, now) = (tags(&before), tags(&now));
        for tag in before.iter().filter(|tag| now.binary_search(tag).is_err()) {
            self.tag(tag, row, false);
        }
        for tag in now.iter().filter(|tag| before.binary_search(tag).is_err()) {
            self.tag(tag, row, true);
        }
    }

    fn tag(&mut self, tag: &Arc<str>, row: u32, is_tagged: bool) {
        let mut rows = self.tags.get(tag).cloned().unwrap_or_default();
        rows.set(row, is_tagged);
        if rows.is_empty() {
            self.tags.remove(tag);
        } else {
            self.tags.insert(Arc::clone(tag), rows);
        }
    }

    /// Rows from this one on hold nothing.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }
}

impl Placed {
    /// Whether the same is said here and there, of the same item.
    fn is(&self, other: &Self) -> bool {
        let same = match (&self.description, &other.description) {
            (Some(here), Some(there)) => Arc::ptr_eq(here, there),
            (None, None) => true,
            _ => false,
        };
        same && self.id == other.id
    }
}

/// The number of the next question for a filter.
fn next_use() -> u64 {
    static USES: AtomicU64 = AtomicU64::new(0);
    USES.fetch_add(1, Ordering::Relaxed)
}

/// Whether an expression is true of the item at a row; of none it is not.
fn is_true(expression: &Expression, placed: Option<&Placed>) -> bool {
    placed.is_some_and(|placed| match &placed.description {
        Some(description) => expression.matches(description),
        None => expression.matches(&ItemDescription::of(placed.id.clone())),
    })
}

/// What is said about an item; that nothing is, when it has interactions alone.
fn said(id: &ItemId, entry: &Entry) -> Arc<ItemDescription> {
    entry
        .description
        .clone()
        .unwrap_or_else(|| Arc::new(ItemDescription::of(id.clone())))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const ITEMS: u8 = 6;
    const ROWS: u32 = 8;
    const FILTERS: [&str; 2] = ["'tag-1' in tags", "!tags.exists(tag, tag == 'tag-2')"];

    #[derive(Debug, Clone)]
    enum Step {
        Describe(u8, Vec<u8>, bool),
        Remove(u8),
        /// The item is the one at the row from now on.
        Move(u8, u32),
        /// The row holds nothing.
        Clear(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        let item = 0..ITEMS;
        prop_oneof![
            (
                item.clone(),
                prop::collection::vec(0_u8..4, 0..4),
                any::<bool>()
            )
                .prop_map(|(item, tags, hidden)| Step::Describe(item, tags, hidden)),
            item.clone().prop_map(Step::Remove),
            (item, 0..ROWS).prop_map(|(item, row)| Step::Move(item, row)),
            (0..ROWS).prop_map(Step::Clear),
        ]
    }

    fn id(item: u8) -> ItemId {
        ItemId::new(&format!("item-{item}")).expect("an id")
    }

    fn tag(tag: u8) -> Arc<str> {
        Arc::from(format!("tag-{tag}"))
    }

    /// Everything a catalogue shows.
    fn shown(catalogue: &Catalogue) -> impl PartialEq + std::fmt::Debug + use<> {
        let listed: Vec<_> = catalogue
            .items_after(None)
            .map(|said| (said.id.expose().to_owned(), said.tags.clone(), said.hidden))
            .collect();
        let rows: Vec<_> = (0..ROWS).map(|row| catalogue.at(row).cloned()).collect();
        let tagged: Vec<Vec<u32>> = (0..4)
            .map(|at| {
                catalogue
                    .tagged(&tag(at))
                    .map_or_else(Vec::new, |set| set.iter().collect())
            })
            .collect();
        let hidden: Vec<u32> = catalogue.hidden().iter().collect();
        let appeared = catalogue.appeared_before(UnixMillis(3_000));
        let appeared: Vec<_> = appeared.map(|(at, said)| (at, Arc::clone(said))).collect();
        // Followed where it is kept, and found anew where it is not.
        let filtered = |text: &str| {
            let expression = Expression::compile(text).expect(text);
            let kept = catalogue.filtered(&expression);
            let anew = || {
                catalogue
                    .filter(&expression, Duration::MAX)
                    .expect("patience")
            };
            kept.unwrap_or_else(anew).iter().collect::<Vec<u32>>()
        };
        let filtered = FILTERS.map(filtered);
        (
            listed,
            rows,
            tagged,
            hidden,
            appeared,
            filtered,
            catalogue.len(),
        )
    }

    proptest! {
        /// Followed step by step a catalogue shows what one shows that is made at the end, and a
        /// version from before is not reached.
        #[test]
        fn a_catalogue_that_is_followed_is_one_made_anew(
            steps in prop::collection::vec(step(), 0..60),
            kept_at in 0_usize..60,
            filtered_at in 0_usize..20,
        ) {
            let mut followed = Catalogue::default();
            let mut said: BTreeMap<u8, Arc<ItemDescription>> = BTreeMap::new();
            let mut at: BTreeMap<u32, u8> = BTreeMap::new();
            let (mut kept, mut behind) = (None, None);
            for (number, step) in steps.iter().enumerate() {
                if number == filtered_at {
                    for text in FILTERS {
                        let expression = Expression::compile(text).expect(text);
                        // Found in a version that is behind by now.
                        let of = behind.as_ref().unwrap_or(&followed).clone();
                        let rows = of.filter(&expression, Duration::MAX).expect("patience");
                        followed.keep_filter(&expression, rows, &of);
                    }
                }
                if number + 3 == filtered_at {
                    behind = Some(followed.clone());
                }
                if number == kept_at {
                    kept = Some((followed.clone(), shown(&followed)));
                }
                match step {
                    Step::Describe(item, tags, hidden) => {
                        let mut description = ItemDescription::of(id(*item));
                        description.set_tags(tags.iter().map(|at| tag(*at)));
                        description.hidden = *hidden;
                        // Before, at and after the moment that is asked about; or never.
                        description.timestamp = tags.first().map(|tag| 1 + i64::from(*tag));
                        let description = Arc::new(description);
                        said.insert(*item, Arc::clone(&description));
                        followed.edit(&[Edit::Describe(description)]);
                    }
                    Step::Remove(item) => {
                        said.remove(item);
                        followed.edit(&[Edit::Remove(id(*item))]);
                    }
                    Step::Move(item, row) => {
                        // The new row comes first or last: a directory changes both at once.
                        let before = at.iter().find(|(_, held)| *held == item);
                        let before = before.map(|(row, _)| *row);
                        at.retain(|_, held| held != item);
                        at.insert(*row, *item);
                        let mut rows: BTreeSet<u32> = before.into_iter().collect();
                        rows.insert(*row);
                        for row in rows {
                            let now = at.get(&row).map(|item| id(*item));
                            followed.place(row, now.as_ref());
                        }
                    }
                    Step::Clear(row) => {
                        at.remove(row);
                        followed.place(*row, None);
                    }
                }
            }
            let mut anew = Catalogue::default();
            for (row, item) in &at {
                anew.place(*row, Some(&id(*item)));
            }
            let edits = said.values().map(|said| Edit::Describe(Arc::clone(said)));
            anew.edit(&edits.collect::<Vec<_>>());
            prop_assert!(shown(&followed) == shown(&anew), "{steps:?}");
            let there: BTreeSet<u8> = said.keys().chain(at.values()).copied().collect();
            prop_assert_eq!(followed.len(), there.len());
            if let Some((version, before)) = kept {
                prop_assert!(shown(&version) == before);
            }
        }
    }
}
