//! A part of every history set aside, to see how well a model trained on the rest finds it.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;

use recant_core::model::{Entry, InteractionMatrix};

/// Least interactions a user must have for some of them to be held out: below it the rest says too
/// little about them.
pub const HISTORY_MIN: usize = 5;

/// A split of the interactions.
#[derive(Debug, Clone)]
pub struct Holdout {
    /// What is trained on; the rows are those of the whole.
    pub train: InteractionMatrix,
    /// What is held out, items ascending, by user row; empty for users with a short history.
    pub held_out: Vec<Vec<u32>>,
}

impl Holdout {
    /// Users of whom something is held out.
    pub fn users(&self) -> usize {
        self.held_out
            .iter()
            .filter(|held_out| !held_out.is_empty())
            .count()
    }
}

/// Holds out `share` of the interactions of every user with at least [`HISTORY_MIN`], rounded, at
/// least one and never all.
///
/// Which ones follows from `seed`, the user's row and the history alone: neither other users nor
/// threads change it. Cost: O(pairs).
pub fn hold_out(matrix: &InteractionMatrix, share: f64, seed: u64) -> Holdout {
    let (histories, held_out) = (0..matrix.user_rows() as u32)
        .map(|user| split(matrix.user(user), share, seed, user))
        .unzip();
    Holdout {
        train: InteractionMatrix::from_histories(histories, matrix.item_rows()),
        held_out,
    }
}

fn split(history: &[Entry], share: f64, seed: u64, user: u32) -> (Vec<Entry>, Vec<u32>) {
    if history.len() < HISTORY_MIN {
        return (history.to_vec(), Vec::new());
    }
    let wanted = (share * history.len() as f64).round() as usize;
    let count = wanted.clamp(1, history.len() - 1);
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    random.set_stream(u64::from(user));
    let mut shuffled = history.to_vec();
    shuffled.shuffle(&mut random);
    let train = shuffled.split_off(count);
    let mut held_out: Vec<u32> = shuffled.iter().map(|entry| entry.index).collect();
    held_out.sort_unstable();
    (train, held_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> InteractionMatrix {
        let entry = |index| Entry::wanted(index, 1.5);
        let histories =
            (0..12u32).map(|user| (0..user).map(|k| entry((k * 7 + user) % 40)).collect());
        InteractionMatrix::from_histories(histories.collect(), 40)
    }

    #[test]
    fn both_parts_together_are_the_whole_and_nothing_is_in_both() {
        let whole = matrix();
        let split = hold_out(&whole, 0.2, 3);
        let mut evaluated = 0;
        for user in 0..whole.user_rows() as u32 {
            let held_out = &split.held_out[user as usize];
            let mut all: Vec<u32> = split.train.user(user).iter().map(|e| e.index).collect();
            all.extend(held_out);
            all.sort_unstable();
            let expected: Vec<u32> = whole.user(user).iter().map(|e| e.index).collect();
            assert_eq!(all, expected);
            let history = expected.len();
            if history < HISTORY_MIN {
                assert!(held_out.is_empty())
            } else {
                assert_eq!(
                    held_out.len(),
                    ((0.2 * history as f64).round() as usize).max(1)
                );
                evaluated += 1;
            }
        }
        assert_eq!((split.users(), evaluated), (7, 7));
        assert_eq!(split.train.item_rows(), whole.item_rows());
    }

    #[test]
    fn the_seed_decides_and_other_users_do_not() {
        let whole = matrix();
        let split = hold_out(&whole, 0.4, 3);
        assert_eq!(split.held_out, hold_out(&whole, 0.4, 3).held_out);
        assert_ne!(split.held_out, hold_out(&whole, 0.4, 4).held_out);
        let mut without = whole.clone();
        without.remove_user(6);
        assert_eq!(split.held_out[9], hold_out(&without, 0.4, 3).held_out[9]);
    }

    #[test]
    fn somebody_always_keeps_something_and_gives_something() {
        let whole = matrix();
        assert!(hold_out(&whole, 0.0, 1).held_out[5].len() == 1);
        assert!(hold_out(&whole, 1.0, 1).train.user(5).len() == 1);
    }
}
