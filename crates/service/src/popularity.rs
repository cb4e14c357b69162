//! Items by the number of people who wanted them.

use std::cmp::Reverse;

/// The items that somebody wanted, most first, ties in row order.
///
/// Kept up by the trainer, O(log items) a change; a snapshot takes a copy in constant time.
#[derive(Debug, Clone, Default)]
pub struct Popularity {
    order: imbl::OrdSet<(Reverse<u32>, u32)>,
    counts: imbl::HashMap<u32, u32>,
}

impl Popularity {
    /// Moves the item at `row` to the place of `count`.
    pub fn set(&mut self, row: u32, count: u32) {
        let before = if count > 0 {
            self.counts.insert(row, count)
        } else {
            self.counts.remove(&row)
        };
        if before == Some(count) {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(Reverse(before), row));
        }
        if count > 0 {
            self.order.insert((Reverse(count), row));
        }
    }

    /// How many people wanted the item at `row`.
    pub fn count(&self, row: u32) -> u32 {
        self.counts.get(&row).copied().unwrap_or(0)
    }

    /// Item rows with their counts, most first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.order
            .iter()
            .map(|(Reverse(count), row)| (*row, *count))
    }
}

impl FromIterator<(u32, u32)> for Popularity {
    /// Of item rows with their counts, each row once.
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(counts: I) -> Self {
        let counts: imbl::HashMap<u32, u32> =
            counts.into_iter().filter(|(_, count)| *count > 0).collect();
        let order = counts.iter().map(|(row, count)| (Reverse(*count), *row));
        Self {
            order: order.collect(),
            counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_move_with_their_counts() {
        let mut popular: Popularity = [(0, 3), (1, 0), (2, 5), (3, 3)].into_iter().collect();
        let order = |popular: &Popularity| popular.iter().collect::<Vec<_>>();
        assert_eq!(order(&popular), [(2, 5), (0, 3), (3, 3)]);
        let version = popular.clone();
        popular.set(2, 0);
        popular.set(1, 9);
        popular.set(3, 3);
        assert_eq!((popular.count(1), popular.count(2)), (9, 0));
        assert_eq!(order(&popular), [(1, 9), (0, 3), (3, 3)]);
        assert_eq!(order(&version), [(2, 5), (0, 3), (3, 3)]);
    }
}
