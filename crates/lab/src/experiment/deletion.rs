//! Deletions drawn from data, and the users they concern.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;

use super::recipe::{DeletionSpec, UserChoice};
use recant_core::model::{InteractionMatrix, RowSets};
use recant_eval::{Cohort, Member, PerGroup};

/// A user and an item.
pub(crate) type Pair = (u32, u32);

/// Interactions that are erased, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// What each step erases at once.
    pub steps: Vec<Vec<Pair>>,
    /// After how many steps the model is compared, rising; the last is the number of steps.
    pub checkpoints: Vec<usize>,
}

/// Why a deletion cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NothingToDelete(String);

impl Deletion {
    /// Draws what `spec` asks for from `train`; the same for the same seed.
    pub(crate) fn draw(
        spec: &DeletionSpec,
        train: &InteractionMatrix,
        seed: u64,
    ) -> Result<Self, NothingToDelete> {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let at_once = |pairs: Vec<Pair>| Self {
            steps: vec![pairs],
            checkpoints: vec![1],
        };
        let share_of = |share: f64, whole: usize, what: &str| {
            let count = (share * whole as f64).round() as usize;
            let told = || NothingToDelete(format!("{share} of {whole} {what} is none at all"));
            if count > 0 { Ok(count) } else { Err(told()) }
        };
        match spec {
            DeletionSpec::Pair => Ok(at_once(some(&mut pairs(train), 1, &mut random))),
            DeletionSpec::User => {
                let user = some(&mut users(train), 1, &mut random);
                Ok(at_once(everything_of(train, &user)))
            }
            DeletionSpec::Pairs { share } => {
                let count = share_of(*share, train.interactions(), "interactions")?;
                Ok(at_once(some(&mut pairs(train), count, &mut random)))
            }
            DeletionSpec::Users { share, choice } => {
                let count = share_of(*share, train.active_users(), "users")?;
                let users = chosen(train, *choice, count, &mut random);
                Ok(at_once(everything_of(train, &users)))
            }
            DeletionSpec::Sequence { count, checkpoints } => {
                if 2 * count > train.interactions() {
                    let whole = train.interactions();
                    return Err(NothingToDelete(format!(
                        "{count} deletions are more than half of {whole} interactions"
                    )));
                }
                let pairs = some(&mut pairs(train), *count, &mut random);
                let last = (checkpoints.last() != Some(count)).then_some(*count);
                Ok(Self {
                    steps: pairs.into_iter().map(|pair| vec![pair]).collect(),
                    checkpoints: checkpoints.iter().copied().chain(last).collect(),
                })
            }
        }
    }

    /// What the first `steps` erase, in order.
    pub(crate) fn until(&self, steps: usize) -> Vec<Pair> {
        self.steps[..steps].iter().flatten().copied().collect()
    }
}

fn users(train: &InteractionMatrix) -> Vec<u32> {
    (0..train.user_rows() as u32)
        .filter(|user| !train.user(*user).is_empty())
        .collect()
}

fn everything_of(train: &InteractionMatrix, users: &[u32]) -> Vec<Pair> {
    let of = |user: &u32| {
        let user = *user;
        train
            .user(user)
            .iter()
            .map(move |entry| (user, entry.index))
    };
    users.iter().flat_map(of).collect()
}

fn pairs(train: &InteractionMatrix) -> Vec<Pair> {
    everything_of(train, &users(train))
}

/// `count` of the values, or all where there are fewer.
fn some<T: Clone>(values: &mut [T], count: usize, random: &mut ChaCha12Rng) -> Vec<T> {
    let (some, _) = values.partial_shuffle(random, count);
    some.to_vec()
}

fn chosen(
    train: &InteractionMatrix,
    choice: UserChoice,
    count: usize,
    random: &mut ChaCha12Rng,
) -> Vec<u32> {
    let mut users = users(train);
    // Of equally active users, which are taken is drawn.
    users.shuffle(random);
    let activity = |user: &u32| train.user(*user).len();
    match choice {
        UserChoice::Random => {}
        UserChoice::MostActive => users.sort_by_key(|user| std::cmp::Reverse(activity(user))),
        UserChoice::LeastActive => users.sort_by_key(activity),
    }
    users.truncate(count);
    users
}

/// `train` without these pairs.
pub(crate) fn without(train: &InteractionMatrix, pairs: &[Pair]) -> InteractionMatrix {
    let mut left = train.clone();
    for (user, item) in pairs {
        left.remove(*user, *item);
    }
    left
}

/// The rows whose interactions changed, each once, ascending.
pub(crate) fn touched(pairs: &[Pair]) -> RowSets {
    RowSets::from_pairs(pairs)
}

/// The users that are compared after `pairs` were deleted: of each group at most `users_max`,
/// drawn by `seed` for each group anew, so that no group leans towards another.
pub(crate) fn cohort(
    retained: &InteractionMatrix,
    pairs: &[Pair],
    users_max: usize,
    seed: u64,
) -> Cohort {
    let touched = touched(pairs);
    let neighbours = touched.items.iter().flat_map(|item| retained.item(*item));
    let mut affected: BTreeSet<u32> = neighbours.map(|entry| entry.index).collect();
    let has_some_left = |user: &u32| !retained.user(*user).is_empty();
    affected.extend(touched.users.iter().copied().filter(has_some_left));
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut drawn = |group: Vec<u32>| -> BTreeSet<u32> {
        let mut group = group;
        some(&mut group, users_max, &mut random)
            .into_iter()
            .collect()
    };
    let all = drawn(users(retained));
    let affected = drawn(affected.into_iter().collect());
    let deleted = drawn(touched.users);
    let everybody: BTreeSet<u32> = all
        .iter()
        .chain(&affected)
        .chain(&deleted)
        .copied()
        .collect();
    let member = |user: u32| Member {
        user,
        groups: PerGroup {
            all: all.contains(&user),
            affected: affected.contains(&user),
            deleted: deleted.contains(&user),
        },
    };
    Cohort {
        members: everybody.into_iter().map(member).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use recant_core::model::Entry;

    /// User u has items u, u + 1, … 2u, of 120.
    fn train() -> InteractionMatrix {
        let entry = |index| Entry::wanted(index, 1.0);
        let histories = (0..60u32).map(|user| (user..=2 * user).map(entry).collect());
        InteractionMatrix::from_histories(histories.collect(), 120)
    }

    fn spec() -> impl Strategy<Value = DeletionSpec> {
        let choice = prop_oneof![
            Just(UserChoice::Random),
            Just(UserChoice::MostActive),
            Just(UserChoice::LeastActive)
        ];
        prop_oneof![
            Just(DeletionSpec::Pair),
            Just(DeletionSpec::User),
            (0.001f64..0.5).prop_map(|share| DeletionSpec::Pairs { share }),
            (0.02f64..0.5, choice)
                .prop_map(|(share, choice)| DeletionSpec::Users { share, choice }),
            (2usize..200).prop_map(|count| DeletionSpec::Sequence {
                count,
                checkpoints: vec![1],
            }),
        ]
    }

    proptest! {
        /// Every pair is there and deleted once; the same seed deletes the same.
        #[test]
        fn what_is_drawn_is_there_and_reproducible(spec in spec(), seed in 0u64..50) {
            let train = train();
            let deletion = Deletion::draw(&spec, &train, seed).expect("there is enough");
            prop_assert_eq!(&deletion, &Deletion::draw(&spec, &train, seed).expect("again"));
            let pairs = deletion.until(deletion.steps.len());
            let distinct: BTreeSet<_> = pairs.iter().collect();
            prop_assert_eq!(distinct.len(), pairs.len());
            let left = without(&train, &pairs);
            prop_assert_eq!(left.interactions(), train.interactions() - pairs.len());
            prop_assert_eq!(deletion.checkpoints.last(), Some(&deletion.steps.len()));
        }

        #[test]
        fn the_groups_are_those_of_their_definitions(spec in spec(), seed in 0u64..50) {
            let train = train();
            let deletion = Deletion::draw(&spec, &train, seed).expect("there is enough");
            let pairs = deletion.until(deletion.steps.len());
            let left = without(&train, &pairs);
            let cohort = cohort(&left, &pairs, usize::MAX, seed);
            for user in 0..60 {
                let lost = pairs.iter().any(|pair| pair.0 == user);
                let active = !left.user(user).is_empty();
                let shares = left.user(user).iter().any(|e| pairs.iter().any(|p| p.1 == e.index));
                let expected = PerGroup {
                    all: active,
                    affected: active && (lost || shares),
                    deleted: lost,
                };
                let found = cohort.members.iter().find(|member| member.user == user);
                prop_assert_eq!(found.map(|m| m.groups).unwrap_or_default(), expected);
            }
        }
    }

    #[test]
    fn the_most_and_least_active_are_taken_whole() {
        let users = |choice, share| {
            let spec = DeletionSpec::Users { share, choice };
            let deletion = Deletion::draw(&spec, &train(), 1).expect("there is enough");
            touched(&deletion.until(1)).users
        };
        assert_eq!(users(UserChoice::MostActive, 0.05), [57, 58, 59]);
        assert_eq!(users(UserChoice::LeastActive, 0.05), [0, 1, 2]);
    }

    #[test]
    fn a_large_group_is_sampled_and_a_small_one_is_not() {
        let train = train();
        let pairs = everything_of(&train, &[3]);
        let cohort = cohort(&without(&train, &pairs), &pairs, 10, 1);
        let count = |of: fn(&PerGroup<bool>) -> bool| {
            cohort
                .members
                .iter()
                .filter(|member| of(&member.groups))
                .count()
        };
        assert_eq!(
            (count(|groups| groups.all), count(|groups| groups.deleted)),
            (10, 1)
        );
    }

    #[test]
    fn a_share_that_is_nobody_is_refused() {
        let spec = DeletionSpec::Users {
            share: 0.001,
            choice: UserChoice::Random,
        };
        let told = Deletion::draw(&spec, &train(), 1)
            .expect_err("nobody")
            .to_string();
        assert_eq!(told, "0.001 of 60 users is none at all");
    }
}
