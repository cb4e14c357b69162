//! What is deleted.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{InteractionMatrix, RowSets};

/// Single pairs and single users that are tried.
const SINGLE: usize = 3;

/// One part in so many, where a share is deleted.
const SHARE: usize = 100;

/// Data without something, and where it was.
pub struct Deletion {
    /// The interactions that are left.
    pub matrix: InteractionMatrix,
    /// Rows whose interactions changed.
    pub touched: RowSets,
    /// Whether the retrain to compare with begins from random factors of another seed.
    pub retrained: bool,
}

/// What a kind of deletion is, in words.
pub fn described(kind: &str) -> String {
    let what = match kind {
        "pair" => "one interaction",
        "user" => "one user",
        "pairs" => "1 % of the interactions",
        _ => "1 % of the users",
    };
    format!("{what} deleted")
}

impl Deletion {
    /// The deletions of a kind, each from all of `matrix`.
    pub fn of(kind: &str, matrix: &InteractionMatrix) -> Vec<Self> {
        let mut random = ChaCha12Rng::seed_from_u64(3);
        let users: Vec<u32> = (0..matrix.user_rows() as u32)
            .filter(|user| !matrix.user(*user).is_empty())
            .collect();
        let any = |random: &mut ChaCha12Rng| users[random.random_range(0..users.len())];
        let without = |pairs: Vec<(u32, u32)>| Self::without(matrix, pairs, kind == "pairs");
        let all_of = |user: &u32| {
            let user = *user;
            let history = matrix.user(user).iter();
            history
                .map(move |entry| (user, entry.index))
                .collect::<Vec<_>>()
        };
        match kind {
            "pair" => (0..SINGLE)
                .map(|_| {
                    let pairs = all_of(&any(&mut random));
                    without(vec![pairs[random.random_range(0..pairs.len())]])
                })
                .collect(),
            "user" => (0..SINGLE)
                .map(|_| without(all_of(&any(&mut random))))
                .collect(),
            "pairs" => {
                let mut pairs: Vec<(u32, u32)> = users.iter().flat_map(all_of).collect();
                let (some, _) = pairs.partial_shuffle(&mut random, matrix.interactions() / SHARE);
                vec![without(some.to_vec())]
            }
            _ => {
                let mut users = users.clone();
                let count = (users.len() / SHARE).max(1);
                let (some, _) = users.partial_shuffle(&mut random, count);
                vec![without(some.iter().flat_map(all_of).collect())]
            }
        }
    }

    fn without(matrix: &InteractionMatrix, pairs: Vec<(u32, u32)>, retrained: bool) -> Self {
        let mut left = matrix.clone();
        let mut touched = RowSets::default();
        for (user, item) in pairs {
            left.remove(user, item).expect("it was there");
            touched.users.push(user);
            touched.items.push(item);
        }
        for rows in [&mut touched.users, &mut touched.items] {
            rows.sort_unstable();
            rows.dedup();
        }
        Self {
            matrix: left,
            touched,
            retrained,
        }
    }
}
