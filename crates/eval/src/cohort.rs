//! Which users a measure is taken over.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Users handed to one parallel task. Fixed, so that sums do not depend on the number of threads.
const USERS_PER_TASK: usize = 32;

/// A group of users that every measure is given for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Users with at least one interaction left.
    All,
    /// Those of them who lost something, or share an item with what was deleted.
    Affected,
    /// Users who lost something, whether or not anything of theirs is left.
    Deleted,
}

/// One value for each [`Group`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerGroup<T> {
    /// Over [`Group::All`].
    pub all: T,
    /// Over [`Group::Affected`].
    pub affected: T,
    /// Over [`Group::Deleted`].
    pub deleted: T,
}

impl<T> PerGroup<T> {
    /// The value of one group.
    pub fn get(&self, group: Group) -> &T {
        match group {
            Group::All => &self.all,
            Group::Affected => &self.affected,
            Group::Deleted => &self.deleted,
        }
    }

    /// What `change` makes of each value.
    pub fn map<U>(&self, change: impl Fn(&T) -> U) -> PerGroup<U> {
        PerGroup {
            all: change(&self.all),
            affected: change(&self.affected),
            deleted: change(&self.deleted),
        }
    }
}

/// One user and the groups the user is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Row of the user.
    pub user: u32,
    /// In which groups.
    pub groups: PerGroup<bool>,
}

/// The users that are measured, ascending, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cohort {
    /// The users.
    pub members: Vec<Member>,
}

/// Something that sums what is measured of users.
pub(super) trait Sums: Clone + Send + Default {
    /// What is measured of one user.
    type Sample: Send;

    /// Takes one user's sample in.
    fn add(&mut self, sample: &Self::Sample);
}

impl Cohort {
    /// Measures every member, a fixed number of users at a time, and sums the samples by group, in
    /// the order of the users. The same for any number of threads.
    pub(super) fn sum<S: Sums>(
        &self,
        measure: impl Fn(&[u32]) -> Vec<S::Sample> + Sync,
    ) -> PerGroup<S> {
        let samples: Vec<Vec<S::Sample>> = self
            .members
            .par_chunks(USERS_PER_TASK)
            .map(|members| {
                let users: Vec<u32> = members.iter().map(|member| member.user).collect();
                measure(&users)
            })
            .collect();
        let mut sums = PerGroup::<S>::default();
        for (member, sample) in self.members.iter().zip(samples.iter().flatten()) {
            let groups = member.groups;
            for (inside, sum) in [
                (groups.all, &mut sums.all),
                (groups.affected, &mut sums.affected),
                (groups.deleted, &mut sums.deleted),
            ] {
                if inside {
                    sum.add(sample);
                }
            }
        }
        sums
    }
}

/// A mean of the values that are defined.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    pub(super) fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.count += 1;
        }
    }

    /// `None` when no value was defined.
    pub(super) fn value(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Listed(Vec<u32>);

    impl Sums for Listed {
        type Sample = u32;

        fn add(&mut self, sample: &u32) {
            self.0.push(*sample);
        }
    }

    #[test]
    fn every_group_gets_its_members_in_order() {
        let members = (0..100u32).map(|user| Member {
            user,
            groups: PerGroup {
                all: user % 10 != 0,
                affected: user % 2 == 1,
                deleted: user % 10 == 0,
            },
        });
        let cohort = Cohort {
            members: members.collect(),
        };
        let sums: PerGroup<Listed> = cohort.sum(|users| users.to_vec());
        let expected = |inside: fn(&u32) -> bool| -> Vec<u32> { (0..100).filter(inside).collect() };
        assert_eq!(sums.all.0, expected(|user| user % 10 != 0));
        assert_eq!(sums.affected.0, expected(|user| user % 2 == 1));
        assert_eq!(sums.deleted.0, expected(|user| user % 10 == 0));
    }

    #[test]
    fn a_mean_leaves_out_what_is_undefined() {
        let mut mean = Mean::default();
        assert_eq!(mean.value(), None);
        for value in [Some(1.0), None, Some(2.0)] {
            mean.add(value);
        }
        assert_eq!(mean.value(), Some(1.5));
    }
}
