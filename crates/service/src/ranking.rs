//! Items in the order of a score.

use std::cmp::Reverse;

/// Item rows by a score, best first, ties in row order.
///
/// Kept up by whoever changes scores, O(log items) a change; a snapshot takes a copy in constant time.
#[derive(Debug, Clone)]
pub struct Ranking<S: Ord> {
    order: imbl::OrdSet<(Reverse<S>, u32)>,
    scores: imbl::HashMap<u32, S>,
}

/// The items that somebody wanted, by the number of people who did.
pub type Popularity = Ranking<u32>;

impl<S: Ord + Copy> Default for Ranking<S> {
    fn default() -> Self {
        Self {
            order: imbl::OrdSet::new(),
            scores: imbl::HashMap::new(),
        }
    }
}

impl<S: Ord + Copy> Ranking<S> {
    /// Moves the item at `row` to the place of `score`, or takes it out.
    pub fn set(&mut self, row: u32, score: Option<S>) {
        let before = match score {
            Some(score) => self.scores.insert(row, score),
            None => self.scores.remove(&row),
        };
        if before == score {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(Reverse(before), row));
        }
        if let Some(score) = score {
            self.order.insert((Reverse(score), row));
        }
    }

    /// The score of the item at `row`, if it is among them.
    pub fn score(&self, row: u32) -> Option<S> {
        self.scores.get(&row).copied()
    }

    /// Item rows with their scores, best first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, S)> + '_ {
        self.order
            .iter()
            .map(|(Reverse(score), row)| (*row, *score))
    }
}

impl Popularity {
    /// How many people wanted the item at `row`.
    pub fn count(&self, row: u32) -> u32 {
        self.score(row).unwrap_or(0)
    }

    /// Moves the item at `row` to the place of `count`; one that nobody wanted has none.
    pub fn set_count(&mut self, row: u32, count: u32) {
        self.set(row, (count > 0).then_some(count));
    }
}

impl<S: Ord + Copy> FromIterator<(u32, S)> for Ranking<S> {
    /// Of item rows with their scores, each row once.
    fn from_iter<I: IntoIterator<Item = (u32, S)>>(scores: I) -> Self {
        let scores: imbl::HashMap<u32, S> = scores.into_iter().collect();
        let order = scores.iter().map(|(row, score)| (Reverse(*score), *row));
        Self {
            order: order.collect(),
            scores,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_move_with_their_counts() {
        let mut popular: Popularity = [(0, 3), (2, 5), (3, 3)].into_iter().collect();
        let order = |popular: &Popularity| popular.iter().collect::<Vec<_>>();
        assert_eq!(order(&popular), [(2, 5), (0, 3), (3, 3)]);
        let version = popular.clone();
        popular.set_count(2, 0);
        popular.set_count(1, 9);
        popular.set_count(3, 3);
        assert_eq!((popular.count(1), popular.count(2)), (9, 0));
        assert_eq!(order(&popular), [(1, 9), (0, 3), (3, 3)]);
        assert_eq!(order(&version), [(2, 5), (0, 3), (3, 3)]);
    }
}
