//! Items in the order of a score.

use std::cmp::Reverse;

use recant_types::ItemId;

/// Item rows by a score, best first, ties in the order of the bytes of their ids: rows are each node's own.
///
/// Kept up by whoever changes scores, O(log items) a change; a snapshot takes a copy in constant time.
#[derive(Debug, Clone)]
pub struct Ranking<S: Ord> {
    order: imbl::OrdSet<(Reverse<S>, ItemId, u32)>,
    places: imbl::HashMap<u32, (S, ItemId)>,
}

/// The items that somebody wanted, by the number of people who did.
pub type Popularity = Ranking<u32>;

impl<S: Ord + Copy> Default for Ranking<S> {
    fn default() -> Self {
        Self {
            order: imbl::OrdSet::new(),
            places: imbl::HashMap::new(),
        }
    }
}

impl<S: Ord + Copy> Ranking<S> {
    /// Moves the item at `row` to the place of its score, or takes out what is there.
    pub fn set(&mut self, row: u32, place: Option<(S, &ItemId)>) {
        let before = self.place(row);
        if before == place {
            return;
        }
        if let Some((score, item)) = before {
            let before = (Reverse(score), item.clone(), row);
            self.order.remove(&before);
        }
        match place {
            Some((score, item)) => {
                self.order.insert((Reverse(score), item.clone(), row));
                self.places.insert(row, (score, item.clone()));
            }
            None => {
                self.places.remove(&row);
            }
        }
    }

    /// The score of the item at `row`, if it is among them.
    pub fn score(&self, row: u32) -> Option<S> {
        self.place(row).map(|(score, _)| score)
    }

    /// What orders the item at `row`, if it is among them: its score, the largest first, and its id.
    pub(crate) fn place(&self, row: u32) -> Option<(S, &ItemId)> {
        self.places.get(&row).map(|(score, item)| (*score, item))
    }

    /// Item rows with their scores, best first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, S)> + '_ {
        self.order
            .iter()
            .map(|(Reverse(score), _, row)| (*row, *score))
    }
}

impl Popularity {
    /// How many people wanted the item at `row`.
    pub fn count(&self, row: u32) -> u32 {
        self.score(row).unwrap_or(0)
    }

    /// Moves `item`, which is at `row`, to the place of `count`; one that nobody wanted has none, nor a row without
    /// an item.
    pub fn set_count(&mut self, row: u32, item: Option<&ItemId>, count: u32) {
        self.set(row, item.filter(|_| count > 0).map(|item| (count, item)));
    }
}

impl<S: Ord + Copy> FromIterator<(u32, ItemId, S)> for Ranking<S> {
    /// Of item rows with their ids and scores, each row once.
    fn from_iter<I: IntoIterator<Item = (u32, ItemId, S)>>(scores: I) -> Self {
        let places = scores
            .into_iter()
            .map(|(row, item, score)| (row, (score, item)));
        let places: imbl::HashMap<u32, (S, ItemId)> = places.collect();
        let order = places
            .iter()
            .map(|(row, (score, item))| (Reverse(*score), item.clone(), *row));
        Self {
            order: order.collect(),
            places,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ItemId {
        ItemId::new(name).expect("an id")
    }

    fn order(popular: &Popularity) -> Vec<(u32, u32)> {
        popular.iter().collect()
    }

    #[test]
    fn items_move_with_their_counts() {
        let counts = [(0, id("a"), 3), (2, id("c"), 5), (3, id("d"), 3)];
        let mut popular: Popularity = counts.into_iter().collect();
        assert_eq!(order(&popular), [(2, 5), (0, 3), (3, 3)]);
        let version = popular.clone();
        popular.set_count(2, None, 0);
        popular.set_count(1, Some(&id("b")), 9);
        popular.set_count(3, Some(&id("d")), 3);
        assert_eq!((popular.count(1), popular.count(2)), (9, 0));
        assert_eq!(order(&popular), [(1, 9), (0, 3), (3, 3)]);
        assert_eq!(order(&version), [(2, 5), (0, 3), (3, 3)]);
    }

    #[test]
    fn of_equal_counts_the_first_id_comes_first_whatever_its_row() {
        let counts = [
            (0, id("b"), 3),
            (1, id("B"), 3),
            (2, id("10"), 3),
            (3, id("9"), 3),
        ];
        let mut popular: Popularity = counts.into_iter().collect();
        assert_eq!(order(&popular), [(2, 3), (3, 3), (1, 3), (0, 3)]);
        // Another item at the row of one that is gone, as often wanted.
        popular.set_count(2, Some(&id("z")), 3);
        assert_eq!(order(&popular), [(3, 3), (1, 3), (0, 3), (2, 3)]);
    }
}
