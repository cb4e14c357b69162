//! Items by the number of their interactions.

use std::cmp::Reverse;

/// The items that have interactions, most first, ties in row order.
///
/// Kept up by the trainer, O(log items) a change; a snapshot takes a copy in constant time.
#[derive(Debug, Clone, Default)]
pub struct Popularity(imbl::OrdSet<(Reverse<u32>, u32)>);

impl Popularity {
    /// Moves the item at `row` from the place of `before` interactions to that of `after`.
    pub fn change(&mut self, row: u32, before: u32, after: u32) {
        if before == after {
            return;
        }
        self.0.remove(&(Reverse(before), row));
        if after > 0 {
            self.0.insert((Reverse(after), row));
        }
    }

    /// Item rows with their counts, most first.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().map(|(Reverse(count), row)| (*row, *count))
    }
}

impl FromIterator<(u32, u32)> for Popularity {
    /// Of item rows with their counts, each row once.
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(counts: I) -> Self {
        let counted = counts.into_iter().filter(|(_, count)| *count > 0);
        Self(counted.map(|(row, count)| (Reverse(count), row)).collect())
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
        popular.change(2, 5, 0);
        popular.change(1, 0, 9);
        popular.change(3, 3, 3);
        assert_eq!(order(&popular), [(1, 9), (0, 3), (3, 3)]);
        assert_eq!(order(&version), [(2, 5), (0, 3), (3, 3)]);
    }
}
