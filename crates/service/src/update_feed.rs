//! The leader's versions for the other nodes: what changed from the one that a node has to the newest.
//!
//! What changed is known by rows, which the worker collects as it makes a version; the factors are read
//! from the newest version when they are sent. So no earlier version is kept for it, which would hold people
//! who were erased since; and what is kept of the newest one has no histories.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::dirty::DirtyRows;
use crate::model_update::ModelUpdate;
use crate::rows::RowDirectory;
use crate::snapshot::{ServedModel, Snapshot};
use recant_core::model::Gramian;
use recant_core::topk::PagedRows;
use recant_store::ModelHeader;
use recant_types::{ItemId, UserId};

/// Rows that are remembered of earlier steps, all steps together. Whoever is further behind gets an image.
const ROWS_KEPT_MAX: usize = 1 << 18;

/// An update of more rows is made on a blocking thread.
const ROWS_INLINE_MAX: usize = 4_096;

/// A version, by term and number.
type Version = (u64, u64);

/// The versions of this node while it leads.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    newest: watch::Sender<Option<Arc<Newest>>>,
    steps: Mutex<Steps>,
}

/// What is sent of a version: its factors, and whose they are.
#[derive(Debug)]
struct Newest {
    header: ModelHeader,
    is_confirmed: bool,
    users: RowDirectory<UserId>,
    items: RowDirectory<ItemId>,
    user_factors: PagedRows,
    item_factors: PagedRows,
    item_gramian: Arc<Gramian>,
}

/// The last versions, each with the rows in which it may differ from the one before.
#[derive(Debug, Default)]
struct Steps {
    /// The version before the first step.
    base: Option<Version>,
    steps: VecDeque<(Version, DirtyRows)>,
    rows: usize,
}

impl Steps {
    fn push(&mut self, version: Version, changed: Option<DirtyRows>) {
        let Some(changed) = changed else {
            *self = Self {
                base: Some(version),
                ..Self::default()
            };
            return;
        };
        self.rows += changed.len();
        self.steps.push_back((version, changed));
        while self.rows > ROWS_KEPT_MAX
            && let Some((version, dropped)) = self.steps.pop_front()
        {
            self.rows -= dropped.len();
            self.base = Some(version);
        }
    }

    /// The rows that may have changed since the version `after`; `None` when it is not known any more.
    fn since(&self, after: Version) -> Option<DirtyRows> {
        let is_it = |(version, _): &(Version, DirtyRows)| *version == after;
        // The same version may have been published again, with another header.
        let first = match self.steps.iter().rposition(is_it) {
            Some(at) => at + 1,
            None if self.base == Some(after) => 0,
            None => return None,
        };
        let mut changed = DirtyRows::default();
        self.steps
            .range(first..)
            .for_each(|(_, rows)| changed.merge(rows));
        Some(changed)
    }
}

impl Versions {
    fn steps(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A version is the live one, which may differ from the one before in the rows `changed`, or in all.
    pub(crate) fn publish(
        &self,
        snapshot: &Snapshot,
        header: ModelHeader,
        changed: Option<DirtyRows>,
    ) {
        let ServedModel::Ials { item_gramian, .. } = &snapshot.model else {
            return;
        };
        let newest = Newest {
            is_confirmed: snapshot.quality.confirmed,
            users: snapshot.users.clone(),
            items: snapshot.items.clone(),
            user_factors: snapshot.user_factors.clone(),
            item_factors: snapshot.item_factors.clone(),
            item_gramian: Arc::clone(item_gramian),
            header,
        };
        let mut steps = self.steps();
        steps.push(newest.version(), changed);
        self.newest.send_replace(Some(Arc::new(newest)));
    }

    /// This node leads no more, or not yet.
    pub(crate) fn clear(&self) {
        *self.steps() = Steps::default();
        self.newest.send_replace(None);
    }

    /// What a node that has the version `after`, or nothing, is sent.
    pub(crate) fn feed(self: &Arc<Self>, after: Option<Version>) -> UpdateFeed {
        UpdateFeed {
            versions: Arc::clone(self),
            newest: self.newest.subscribe(),
            after,
            is_first: true,
            is_due: true,
        }
    }

    /// What brings a node that has the version `after` to `newest`, if it is still the newest one.
    fn update(&self, after: Option<Version>, newest: &Arc<Newest>) -> Option<ModelUpdate> {
        let changed = {
            let steps = self.steps();
            let is_newest = self
                .newest
                .borrow()
                .as_ref()
                .is_some_and(|it| Arc::ptr_eq(it, newest));
            if !is_newest {
                return None;
            }
            after.and_then(|after| steps.since(after))
        };
        Some(match changed {
            Some(changed) => newest.delta(after, &changed),
            None => newest.image(),
        })
    }
}

impl Newest {
    fn version(&self) -> Version {
        (self.header.term, self.header.version)
    }

    fn image(&self) -> ModelUpdate {
        let (users, items) = (self.users.capacity() as u32, self.items.capacity() as u32);
        self.of_rows(None, 0..users, 0..items)
    }

    fn delta(&self, previous: Option<Version>, changed: &DirtyRows) -> ModelUpdate {
        self.of_rows(previous, changed.user_rows(), changed.item_rows())
    }

    fn of_rows(
        &self,
        previous: Option<Version>,
        users: impl Iterator<Item = u32>,
        items: impl Iterator<Item = u32>,
    ) -> ModelUpdate {
        let (term, number) = self.version();
        let gramian = self.item_gramian.matrix();
        let columns = (0..gramian.ncols()).flat_map(|column| self.item_gramian.column(column));
        ModelUpdate {
            term,
            number,
            previous,
            header: self.header.clone(),
            is_confirmed: self.is_confirmed,
            gramian: columns.copied().collect(),
            items: items
                .filter_map(|row| Some((self.items.id(row)?.clone(), at(&self.item_factors, row)?)))
                .collect(),
            users: users
                .filter_map(|row| Some((self.users.id(row)?.clone(), at(&self.user_factors, row)?)))
                .collect(),
        }
    }
}

fn at(factors: &PagedRows, row: u32) -> Option<Vec<f32>> {
    ((row as usize) < factors.rows()).then(|| factors.row(row).to_vec())
}

/// What one node is sent, update after update.
///
/// It says nothing while the node it is of does not lead.
#[derive(Debug)]
pub struct UpdateFeed {
    versions: Arc<Versions>,
    newest: watch::Receiver<Option<Arc<Newest>>>,
    /// The version that the node has.
    after: Option<Version>,
    /// Nothing was sent yet: the newest version may be the one that the node has.
    is_first: bool,
    /// The newest version was not looked at yet.
    is_due: bool,
}

impl UpdateFeed {
    /// The next update: from what was sent last to the newest version, once there is a newer one. Dropping the
    /// answer loses nothing.
    pub async fn next(&mut self) -> Arc<ModelUpdate> {
        loop {
            if !self.is_due && self.newest.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            self.is_due = true;
            let newest = self.newest.borrow_and_update().clone();
            let is_news =
                |newest: &Arc<Newest>| !self.is_first || self.after != Some(newest.version());
            if let Some(newest) = newest.filter(is_news) {
                // Without one there is a newer version already.
                if let Some(update) = self.make(newest).await {
                    self.after = Some(update.version());
                    (self.is_first, self.is_due) = (false, false);
                    return Arc::new(update);
                }
                continue;
            }
            (self.is_first, self.is_due) = (false, false);
        }
    }

    async fn make(&self, newest: Arc<Newest>) -> Option<ModelUpdate> {
        let (versions, after) = (Arc::clone(&self.versions), self.after);
        let known = after.and_then(|after| versions.steps().since(after));
        let rows = known.map_or_else(|| newest.users.len() + newest.items.len(), |it| it.len());
        if rows <= ROWS_INLINE_MAX {
            return versions.update(after, &newest);
        }
        let made = tokio::task::spawn_blocking(move || versions.update(after, &newest)).await;
        made.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(users: &[u32]) -> DirtyRows {
        let mut rows = DirtyRows::default();
        rows.users(users);
        rows
    }

    #[test]
    fn steps_add_up_from_wherever_a_node_is_and_not_from_anywhere_else() {
        let mut steps = Steps::default();
        steps.push((1, 1), None);
        steps.push((1, 2), Some(rows(&[1])));
        steps.push((1, 3), Some(rows(&[2, 3])));
        steps.push((1, 3), Some(rows(&[])));
        steps.push((1, 4), Some(rows(&[1])));
        assert_eq!(steps.since((1, 1)), Some(rows(&[1, 2, 3])));
        assert_eq!(steps.since((1, 2)), Some(rows(&[1, 2, 3])));
        assert_eq!(steps.since((1, 3)), Some(rows(&[1])));
        assert_eq!(steps.since((1, 4)), Some(rows(&[])));
        assert_eq!(steps.since((1, 5)), None);
        assert_eq!(steps.since((0, 4)), None);
        steps.push((2, 5), None);
        assert_eq!(steps.since((1, 4)), None);
        assert_eq!(steps.since((2, 5)), Some(rows(&[])));
    }

    #[test]
    fn steps_are_remembered_within_bounds() {
        let mut steps = Steps::default();
        steps.push((1, 0), None);
        let many: Vec<u32> = (0..ROWS_KEPT_MAX as u32 / 2).collect();
        for number in 1..9 {
            steps.push((1, number), Some(rows(&many)));
            assert!(steps.rows <= ROWS_KEPT_MAX);
        }
        assert_eq!(steps.since((1, 5)), None);
        assert_eq!(steps.since((1, 6)).map(|it| it.len()), Some(many.len()));
        assert_eq!(steps.steps.len(), 2);
    }
}
