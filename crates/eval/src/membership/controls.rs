//! Pairs never trained on that are like the erased ones.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};

use recant_core::model::InteractionMatrix;

/// Items drawn for each erased pair, of which the one with the nearest popularity is taken.
const CANDIDATES: usize = 64;

/// Draws after which a user with hardly an item left is given up.
const DRAWS_MAX: usize = 40 * CANDIDATES;

/// Where the pairs never trained on come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlKind {
    /// Held-out interactions of the same user: true ones that no model saw. The fair comparison.
    HeldOut,
    /// Items that the same user has neither in the data nor held out. What an attacker without a
    /// held-out set would use; a model that merely recommends well tells these apart too.
    NonInteractions,
}

/// Erased pairs, each with a pair never trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controls {
    /// The erased pairs that found one, as (user, item).
    pub erased: Vec<(u32, u32)>,
    /// For each of them, in the same order, the pair it is compared with: of the same user.
    pub controls: Vec<(u32, u32)>,
}

/// For each erased pair (u, i) an item j of the same user that no model was trained on and whose
/// popularity, `|ln(1 + count)|` of users in `original`, is nearest to that of i: so both the user's
/// activity and the item's popularity are matched.
///
/// With [`ControlKind::HeldOut`] j is any of the user's held-out items, the same one for several i
/// where there are few; a user without any is left out. With [`ControlKind::NonInteractions`] it is
/// the best of 64 drawn by `seed`, user and item. `original` is the data before the deletion,
/// `held_out` the held-out items by user row, ascending. Cost: O(erased · (held out + 64)).
pub fn controls(
    kind: ControlKind,
    erased: &[(u32, u32)],
    original: &InteractionMatrix,
    held_out: &[Vec<u32>],
    seed: u64,
) -> Controls {
    let popularity = |item: u32| (1.0 + original.item(item).len() as f64).ln();
    let mut found = Controls {
        erased: Vec::new(),
        controls: Vec::new(),
    };
    for (user, item) in erased.iter().copied() {
        let own_held_out = held_out.get(user as usize).map_or(&[][..], Vec::as_slice);
        let candidates = match kind {
            ControlKind::HeldOut => own_held_out.to_vec(),
            ControlKind::NonInteractions => unseen_items(original, own_held_out, user, item, seed),
        };
        let distance = |other: &u32| (popularity(*other) - popularity(item)).abs();
        let nearest = candidates
            .into_iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)));
        if let Some(nearest) = nearest {
            found.erased.push((user, item));
            found.controls.push((user, nearest));
        }
    }
    found
}

/// Up to 64 active items that the user never had.
fn unseen_items(
    original: &InteractionMatrix,
    held_out: &[u32],
    user: u32,
    item: u32,
    seed: u64,
) -> Vec<u32> {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    random.set_stream((u64::from(user) << 32) | u64::from(item));
    let history = original.user(user);
    let is_unseen = |item: &u32| {
        let had = history.binary_search_by_key(item, |entry| entry.index);
        had.is_err() && held_out.binary_search(item).is_err() && !original.item(*item).is_empty()
    };
    let items = original.item_rows() as u32;
    (0..DRAWS_MAX)
        .map(|_| random.random_range(0..items))
        .filter(is_unseen)
        .take(CANDIDATES)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_core::model::Entry;

    /// Item i is had by the users from i on.
    fn original() -> InteractionMatrix {
        let entry = |index| Entry::wanted(index, 1.0);
        let histories = (0..30u32).map(|user| (0..=user.min(19)).map(entry).collect());
        InteractionMatrix::from_histories(histories.collect(), 40)
    }

    #[test]
    fn held_out_controls_are_the_users_own_nearest_in_popularity() {
        let mut held_out = vec![Vec::new(); 30];
        held_out[10] = vec![12, 15, 30];
        let erased = [(10, 9), (10, 3), (11, 4)];
        let found = controls(ControlKind::HeldOut, &erased, &original(), &held_out, 1);
        // Nobody of row 11 is left to compare with; 12 is nearest to both others.
        assert_eq!(found.erased, [(10, 9), (10, 3)]);
        assert_eq!(found.controls, [(10, 12), (10, 12)]);
    }

    #[test]
    fn unseen_items_were_never_had_and_are_active() {
        let (original, mut held_out) = (original(), vec![Vec::new(); 30]);
        held_out[5] = vec![7];
        let erased: Vec<(u32, u32)> = (0..=5).map(|item| (5, item)).collect();
        let found = controls(
            ControlKind::NonInteractions,
            &erased,
            &original,
            &held_out,
            3,
        );
        assert_eq!(found.erased, erased);
        for (user, item) in &found.controls {
            assert_eq!(*user, 5);
            assert!(*item > 5 && *item != 7 && *item < 20, "{item}");
        }
        // 6 is the most popular of those, and so nearest to every one of the erased.
        assert!(found.controls.iter().all(|pair| *pair == (5, 6)));
    }

    #[test]
    fn a_user_who_has_everything_has_no_unseen_items() {
        let original = original();
        let held_out = vec![Vec::new(); 30];
        let found = controls(
            ControlKind::NonInteractions,
            &[(25, 3)],
            &original,
            &held_out,
            3,
        );
        assert_eq!(found.erased, []);
    }
}
