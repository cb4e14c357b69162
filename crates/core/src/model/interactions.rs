//! Who interacted with what, found from either side.

use std::sync::Arc;

/// The other side of an interaction, seen from one side: 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Row of the other side.
    pub index: u32,
    /// Confidence c > 0.
    pub weight: f32,
    /// The preference t that the score is drawn to, 0 to 1: 1 for something wanted, 0 for something
    /// unwanted. Several events of a pair, `Σ c_k (x − t_k)²`, are one of weight `c = Σ c_k` and
    /// target `Σ c_k t_k / c`, up to a constant.
    pub target: f32,
}

impl Entry {
    /// Something wanted: of target 1.
    pub fn wanted(index: u32, weight: f32) -> Self {
        Self {
            index,
            weight,
            target: 1.0,
        }
    }

    /// Whether the preference is nearer to wanted than to unwanted.
    pub fn is_wanted(&self) -> bool {
        self.target >= 0.5
    }

    /// The same pair, seen from the side of `index`.
    fn seen_from(self, index: u32) -> Self {
        Self { index, ..self }
    }
}

/// A sparse matrix of weights and targets in both orientations, each list sorted by index.
///
/// Inserting or removing a pair costs a binary search and a move within two lists. The lists sit
/// behind `Arc`: a clone shares all of them, and a list is copied at most once per clone, when it
/// changes. The users' are in a persistent vector besides, so that a snapshot shares them in constant
/// time; a clone of the whole matrix costs a pointer an item. Memory: 12 bytes a pair in each
/// orientation, and per row a vector's header.
#[derive(Debug, Clone, Default)]
pub struct InteractionMatrix {
    by_user: imbl::Vector<Arc<Vec<Entry>>>,
    by_item: Vec<Arc<Vec<Entry>>>,
    active_users: usize,
    active_items: usize,
    interactions: usize,
}

/// Pairs that a typical weight is taken from, about.
const TYPICAL_PAIRS: usize = 65_536;

fn position(list: &[Entry], index: u32) -> Result<usize, usize> {
    list.binary_search_by_key(&index, |entry| entry.index)
}

/// Puts the entry into the sorted list; returns the one it replaces.
fn put(list: &mut Vec<Entry>, entry: Entry) -> Option<Entry> {
    match position(list, entry.index) {
        Ok(at) => Some(std::mem::replace(&mut list[at], entry)),
        Err(at) => {
            list.insert(at, entry);
            None
        }
    }
}

fn take(list: &mut Vec<Entry>, index: u32) -> Option<Entry> {
    position(list, index).ok().map(|at| list.remove(at))
}

impl InteractionMatrix {
    /// A matrix without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// The matrix whose row u holds `histories[u]`, with room for at least `items` items. Lists
    /// may come in any order; of entries with the same index the last one counts.
    /// Cost: O(pairs) and a sort of every list that is not sorted yet.
    pub fn from_histories(mut histories: Vec<Vec<Entry>>, items: usize) -> Self {
        let mut counts = vec![0usize; items];
        for history in &mut histories {
            sort_and_unite(history);
            for entry in history.iter() {
                let item = entry.index as usize;
                if item >= counts.len() {
                    counts.resize(item + 1, 0);
                }
                counts[item] += 1;
            }
        }
        let mut by_item: Vec<Vec<Entry>> = counts
            .iter()
            .map(|count| Vec::with_capacity(*count))
            .collect();
        for (user, history) in histories.iter().enumerate() {
            for entry in history {
                by_item[entry.index as usize].push(entry.seen_from(user as u32));
            }
        }
        Self {
            active_users: histories
                .iter()
                .filter(|history| !history.is_empty())
                .count(),
            active_items: counts.iter().filter(|count| **count > 0).count(),
            interactions: counts.iter().sum(),
            by_user: histories.into_iter().map(Arc::new).collect(),
            by_item: by_item.into_iter().map(Arc::new).collect(),
        }
    }

    /// Makes room for `users` × `items` rows.
    pub fn grow(&mut self, users: usize, items: usize) {
        while self.by_user.len() < users {
            self.by_user.push_back(Arc::default());
        }
        if self.by_item.len() < items {
            self.by_item.resize_with(items, Arc::default);
        }
    }

    /// Adds the pair of `user` and the item of `entry`, or replaces what there was of it; returns
    /// that. Rows grow as needed.
    pub fn insert(&mut self, user: u32, entry: Entry) -> Option<Entry> {
        let item = entry.index;
        self.grow(user as usize + 1, item as usize + 1);
        let own = Arc::make_mut(&mut self.by_item[item as usize]);
        put(own, entry.seen_from(user));
        let first_of_item = own.len() == 1;
        let history = &mut self.by_user[user as usize];
        let previous = put(Arc::make_mut(history), entry);
        if previous.is_none() {
            self.interactions += 1;
            self.active_items += usize::from(first_of_item);
            self.active_users += usize::from(history.len() == 1);
        }
        previous
    }

    /// Takes a pair away; returns it as its user's entry.
    pub fn remove(&mut self, user: u32, item: u32) -> Option<Entry> {
        let own = self.by_item.get_mut(item as usize)?;
        position(own, user).ok()?;
        let own = Arc::make_mut(own);
        let removed = take(own, user)?;
        self.active_items -= usize::from(own.is_empty());
        let history = &mut self.by_user[user as usize];
        take(Arc::make_mut(history), item);
        self.active_users -= usize::from(history.is_empty());
        self.interactions -= 1;
        Some(removed.seen_from(item))
    }

    /// Takes everything of a user away, and returns it.
    pub fn remove_user(&mut self, user: u32) -> Vec<Entry> {
        let Some(history) = self.by_user.get_mut(user as usize) else {
            return Vec::new();
        };
        let removed = std::mem::take(history);
        for entry in removed.iter() {
            let own = Arc::make_mut(&mut self.by_item[entry.index as usize]);
            take(own, user);
            self.active_items -= usize::from(own.is_empty());
        }
        self.interactions -= removed.len();
        self.active_users -= usize::from(!removed.is_empty());
        Arc::unwrap_or_clone(removed)
    }

    /// Takes every interaction with an item away, and returns them.
    pub fn remove_item(&mut self, item: u32) -> Vec<Entry> {
        let Some(own) = self.by_item.get_mut(item as usize) else {
            return Vec::new();
        };
        let removed = std::mem::take(own);
        for entry in removed.iter() {
            let history = &mut self.by_user[entry.index as usize];
            take(Arc::make_mut(history), item);
            self.active_users -= usize::from(history.is_empty());
        }
        self.interactions -= removed.len();
        self.active_items -= usize::from(!removed.is_empty());
        Arc::unwrap_or_clone(removed)
    }

    /// The items of a user, ascending; empty for a row that does not exist.
    pub fn user(&self, user: u32) -> &[Entry] {
        self.by_user
            .get(user as usize)
            .map_or(&[], |history| history.as_slice())
    }

    /// The users of an item, ascending; empty for a row that does not exist.
    pub fn item(&self, item: u32) -> &[Entry] {
        self.by_item
            .get(item as usize)
            .map_or(&[], |list| list.as_slice())
    }

    /// The users' lists, to share with a snapshot; constant time.
    pub fn histories(&self) -> imbl::Vector<Arc<Vec<Entry>>> {
        self.by_user.clone()
    }

    /// Every user row is below this.
    pub fn user_rows(&self) -> usize {
        self.by_user.len()
    }

    /// Every item row is below this.
    pub fn item_rows(&self) -> usize {
        self.by_item.len()
    }

    /// Users with at least one interaction.
    pub fn active_users(&self) -> usize {
        self.active_users
    }

    /// Items with at least one interaction.
    pub fn active_items(&self) -> usize {
        self.active_items
    }

    /// Number of pairs.
    pub fn interactions(&self) -> usize {
        self.interactions
    }

    /// The geometric mean of the weights, which no huge or tiny one moves far; of the pairs of every
    /// so many users where there are very many. 1 without pairs. Cost: some 10⁵ logarithms at most.
    pub fn typical_weight(&self) -> f64 {
        let stride = (self.interactions / TYPICAL_PAIRS).max(1);
        let (mut sum, mut count) = (0.0, 0usize);
        for history in self.by_user.iter().step_by(stride) {
            sum += (history.iter())
                .map(|entry| f64::from(entry.weight).ln())
                .sum::<f64>();
            count += history.len();
        }
        (sum / count.max(1) as f64).exp()
    }
}

fn sort_and_unite(history: &mut Vec<Entry>) {
    if history.is_sorted_by(|a, b| a.index < b.index) {
        return;
    }
    // Stable, then the last of each run of equals survives.
    history.sort_by_key(|entry| entry.index);
    history.reverse();
    history.dedup_by_key(|entry| entry.index);
    history.reverse();
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Weight and target of each pair.
    type Pairs = BTreeMap<(u32, u32), (f32, f32)>;

    fn value(entry: &Entry) -> (f32, f32) {
        (entry.weight, entry.target)
    }

    fn read(matrix: &InteractionMatrix) -> (Pairs, Pairs) {
        let (users, items) = (matrix.user_rows() as u32, matrix.item_rows() as u32);
        let by_user = (0..users)
            .flat_map(|u| matrix.user(u).iter().map(move |e| ((u, e.index), value(e))))
            .collect();
        let by_item = (0..items)
            .flat_map(|i| matrix.item(i).iter().map(move |e| ((e.index, i), value(e))))
            .collect();
        (by_user, by_item)
    }

    fn assert_equal(matrix: &InteractionMatrix, expected: &Pairs) {
        let (by_user, by_item) = read(matrix);
        assert_eq!(&by_user, expected);
        assert_eq!(&by_item, expected);
        let distinct = |side: fn(&(u32, u32)) -> u32| {
            expected
                .keys()
                .map(side)
                .collect::<std::collections::BTreeSet<_>>()
                .len()
        };
        assert_eq!(matrix.active_users(), distinct(|pair| pair.0));
        assert_eq!(matrix.active_items(), distinct(|pair| pair.1));
        assert_eq!(matrix.interactions(), expected.len());
    }

    proptest! {
        /// Whatever is done, both orientations and the counts are those of a plain map.
        #[test]
        fn any_sequence_of_changes_equals_a_plain_map(
            steps in prop::collection::vec((0u8..6, 0u32..8, 0u32..8, 1u32..5, 0u32..3), 0..120),
        ) {
            let (mut matrix, mut expected) = (InteractionMatrix::new(), Pairs::new());
            for (step, user, item, weight, target) in steps {
                let (weight, target) = (weight as f32, target as f32 / 2.0);
                match step {
                    0..=2 => {
                        let entry = Entry { index: item, weight, target };
                        let before = matrix.insert(user, entry).map(|e| value(&e));
                        prop_assert_eq!(before, expected.insert((user, item), (weight, target)));
                    }
                    3 => {
                        let removed = matrix.remove(user, item).map(|e| value(&e));
                        prop_assert_eq!(removed, expected.remove(&(user, item)));
                    }
                    4 => {
                        matrix.remove_user(user);
                        expected.retain(|(u, _), _| *u != user);
                    }
                    _ => {
                        matrix.remove_item(item);
                        expected.retain(|(_, i), _| *i != item);
                    }
                }
            }
            assert_equal(&matrix, &expected);
            let histories = (0..matrix.user_rows() as u32).map(|u| matrix.user(u).to_vec());
            assert_equal(&InteractionMatrix::from_histories(histories.collect(), 0), &expected);
        }
    }

    #[test]
    fn a_shared_copy_does_not_see_later_changes() {
        let mut matrix = InteractionMatrix::new();
        matrix.insert(0, Entry::wanted(3, 1.0));
        let shared = matrix.histories();
        matrix.insert(0, Entry::wanted(5, 1.0));
        matrix.remove(0, 3);
        assert_eq!(shared[0].iter().map(|e| e.index).collect::<Vec<_>>(), [3]);
        assert_eq!(
            matrix.user(0).iter().map(|e| e.index).collect::<Vec<_>>(),
            [5]
        );
    }

    #[test]
    fn a_clone_is_a_checkpoint_that_later_changes_do_not_reach() {
        let mut matrix = InteractionMatrix::new();
        for user in 0..4 {
            matrix.insert(user, Entry::wanted(user % 2, 1.0));
        }
        let (checkpoint, before) = (matrix.clone(), read(&matrix).0);
        matrix.insert(5, Entry::wanted(1, 1.0));
        matrix.remove(0, 0);
        matrix.remove_user(1);
        matrix.remove_item(0);
        assert_equal(&checkpoint, &before);
        assert_equal(
            &matrix,
            &Pairs::from([((3, 1), (1.0, 1.0)), ((5, 1), (1.0, 1.0))]),
        );
    }

    #[test]
    fn of_repeated_entries_the_last_one_counts() {
        let entry = Entry::wanted;
        let history = vec![entry(4, 1.0), entry(2, 1.0), entry(4, 3.0)];
        let matrix = InteractionMatrix::from_histories(vec![history], 0);
        assert_eq!(matrix.user(0), [entry(2, 1.0), entry(4, 3.0)]);
        assert_eq!(matrix.item_rows(), 5);
    }
}
