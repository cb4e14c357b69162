//! A fixed set of examples: every retained pair with negatives of its own.

use rayon::prelude::*;

use crate::graph::Graph;
use crate::negatives::Source;

/// The examples are made anew when those of one user in so many changed.
const REBUILD_SHARE: usize = 4;

/// How examples are made out of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Seed of the negatives.
    pub seed: u64,
    /// Negatives of each pair.
    pub negatives: usize,
}

/// One appearance of an item in the examples of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence(u32);

impl Occurrence {
    fn new(user: u32, is_positive: bool) -> Self {
        Self(user << 1 | u32::from(is_positive))
    }

    /// Whose examples the item appears in.
    pub fn user(self) -> u32 {
        self.0 >> 1
    }

    /// Whether the user interacted with the item; otherwise it is a negative of some pair.
    pub fn is_positive(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The examples of one epoch, found from either side.
///
/// A **group** is a pair's item followed by its negatives, [`Examples::stride`] items in all. A
/// place whose negative could not be drawn, because the user has interacted with everything, holds
/// the pair's own item and counts for nothing. The whole is a function of seed, epoch and the
/// retained pairs: made from scratch or brought up to date by [`Examples::update`], it is the same.
///
/// Memory: 4 bytes an example in each orientation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examples {
    sampling: Sampling,
    epoch: u64,
    by_user: Vec<Vec<u32>>,
    by_item: Vec<Vec<Occurrence>>,
    /// Examples of each user, without empty places.
    weights: Vec<u32>,
}

impl Examples {
    /// The examples of every pair in `graph`. O(pairs · negatives) draws, on the threads of rayon.
    pub fn new(graph: &Graph, sampling: Sampling, epoch: u64) -> Self {
        let by_user: Vec<Vec<u32>> = (0..graph.user_rows() as u32)
            .into_par_iter()
            .map(|user| groups_of(graph, sampling, epoch, user))
            .collect();
        let mut counts = vec![0; graph.item_rows()];
        for item in by_user.iter().flatten() {
            counts[*item as usize] += 1;
        }
        let mut examples = Self {
            sampling,
            epoch,
            by_user: Vec::new(),
            weights: vec![0; by_user.len()],
            by_item: counts.into_iter().map(Vec::with_capacity).collect(),
        };
        for (user, groups) in by_user.iter().enumerate() {
            for (item, occurrence) in occurrences(groups, examples.stride(), user as u32) {
                examples.by_item[item as usize].push(occurrence);
                examples.weights[user] += 1;
            }
        }
        let lists = examples.by_item.par_iter_mut();
        lists.for_each(|list| list.sort_unstable());
        examples.by_user = by_user;
        examples
    }

    /// Items in a group: the positive and its negatives.
    pub fn stride(&self) -> usize {
        self.sampling.negatives + 1
    }

    /// How they were made.
    pub fn sampling(&self) -> Sampling {
        self.sampling
    }

    /// The groups of a user, one after the other; empty for a row that does not exist.
    pub fn user(&self, row: u32) -> &[u32] {
        self.by_user.get(row as usize).map_or(&[], Vec::as_slice)
    }

    /// Where an item appears, sorted by user.
    pub fn item(&self, row: u32) -> &[Occurrence] {
        self.by_item.get(row as usize).map_or(&[], Vec::as_slice)
    }

    /// Rows of users.
    pub fn user_rows(&self) -> usize {
        self.by_user.len()
    }

    /// Rows of items.
    pub fn item_rows(&self) -> usize {
        self.by_item.len()
    }

    /// Examples of a user, without empty places.
    pub fn user_weight(&self, row: u32) -> usize {
        self.weights.get(row as usize).map_or(0, |w| *w as usize)
    }

    /// Number of examples, without empty places.
    pub fn len(&self) -> usize {
        self.weights.iter().map(|weight| *weight as usize).sum()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Brings the examples up to date with `graph`, in which pairs of `users` changed and no
    /// others. Returns the users whose examples changed, sorted.
    ///
    /// Cost: a look at every item, the examples of the users concerned, and a pass over the lists
    /// of their items. Those concerned are `users`, whoever drew an item that went out of use, and
    /// everybody when an item came into use: their draws may fall on it now.
    pub fn update(&mut self, graph: &Graph, users: &[u32]) -> Vec<u32> {
        let range = |rows: usize| rows.next_power_of_two();
        let is_new_range = range(graph.item_rows()) != range(self.item_rows());
        self.by_item.resize_with(graph.item_rows(), Vec::new);
        self.by_user.resize_with(graph.user_rows(), Vec::new);
        self.weights.resize(graph.user_rows(), 0);
        let renewed: Vec<(u32, Vec<u32>)> = self
            .concerned(graph, users, is_new_range)
            .into_par_iter()
            .map(|user| (user, groups_of(graph, self.sampling, self.epoch, user)))
            .filter(|(user, groups)| self.user(*user) != groups)
            .collect();
        let changed = renewed.iter().map(|(user, _)| *user).collect();
        if renewed.len() * REBUILD_SHARE > self.by_user.len() {
            *self = Self::new(graph, self.sampling, self.epoch);
        } else {
            renewed
                .into_iter()
                .for_each(|(user, groups)| self.replace(user, groups));
        }
        changed
    }

    fn concerned(&self, graph: &Graph, users: &[u32], everybody: bool) -> Vec<u32> {
        let items = 0..self.item_rows() as u32;
        let in_use = |item: u32| graph.is_in_use(item);
        let mut changed = items.filter(|item| in_use(*item) == self.item(*item).is_empty());
        let mut rows = users.to_vec();
        if everybody || changed.clone().any(in_use) {
            return (0..graph.user_rows() as u32).collect();
        }
        let drawers = changed.by_ref().flat_map(|item| self.item(item));
        rows.extend(drawers.map(|place| place.user()));
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    fn replace(&mut self, user: u32, groups: Vec<u32>) {
        let stride = self.stride();
        let before = std::mem::replace(&mut self.by_user[user as usize], groups);
        let mut items = before;
        items.extend_from_slice(&self.by_user[user as usize]);
        items.sort_unstable();
        items.dedup();
        for item in items {
            self.by_item[item as usize].retain(|place| place.user() != user);
        }
        let Self {
            by_user,
            by_item,
            weights,
            ..
        } = self;
        weights[user as usize] = 0;
        for (item, occurrence) in occurrences(&by_user[user as usize], stride, user) {
            let list = &mut by_item[item as usize];
            let at = list.partition_point(|other| *other < occurrence);
            list.insert(at, occurrence);
            weights[user as usize] += 1;
        }
    }
}

/// The groups of a user, in the order of their items.
///
/// What the user does not want takes the place of negatives that would be drawn: one of the first group,
/// one of the second and so on, and round again. There is room for as many as negatives; of a user who
/// wants nothing nothing is learnt.
pub(super) fn groups_of(graph: &Graph, sampling: Sampling, epoch: u64, user: u32) -> Vec<u32> {
    let items = graph.users.neighbours(user);
    let unwanted = graph.unwanted.neighbours(user);
    let mut groups = Vec::with_capacity(items.len() * (sampling.negatives + 1));
    for (place, item) in items.iter().enumerate() {
        let source = Source::new(sampling.seed, epoch, user, *item);
        groups.push(*item);
        groups.extend((0..sampling.negatives).map(|draw| {
            let known = unwanted.get(draw * items.len() + place).copied();
            let drawn = || source.negative(graph, user, draw as u64);
            known.or_else(drawn).unwrap_or(*item)
        }));
    }
    groups
}

/// The places of `groups` that count, each with its item.
fn occurrences(
    groups: &[u32],
    stride: usize,
    user: u32,
) -> impl Iterator<Item = (u32, Occurrence)> + '_ {
    groups.chunks_exact(stride).flat_map(move |group| {
        let places = group.iter().enumerate();
        places
            .filter(|(place, item)| *place == 0 || **item != group[0])
            .map(move |(place, item)| (*item, Occurrence::new(user, place == 0)))
    })
}
