//! The law that no row vanishes: what was read is what was kept, left out or rejected.

use std::collections::BTreeMap;

use super::error::{Rejection, Unbalanced};

/// Why rows were rejected, and how many for each reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections(BTreeMap<&'static str, u64>);

impl Rejections {
    pub(super) fn add(&mut self, reason: &Rejection) {
        *self.0.entry(reason.code()).or_default() += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// The reasons in one word each, with how many rows have it.
    pub fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().map(|(code, count)| (*code, *count))
    }
}

/// What a sink says became of the rows it was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SinkTotals {
    /// Pairs that are new.
    pub kept: u64,
    /// Rows of pairs that another row stands for: a newer one, or one that was held.
    pub duplicate: u64,
    /// Rows that an erasure names which was accepted after they happened.
    pub held_back: u64,
    /// Rows that are kept and not processed, because the processing of their user is restricted.
    pub restricted: u64,
    /// Rows that took their pair back, being the newest and below the wanted rating.
    pub filtered: u64,
    /// Rows that the sink did not take, with a reason for each.
    pub refused: u64,
    /// Rows that never came as far as the sink could tell.
    pub undelivered: u64,
}

/// What became of every row that was read: the parts add up to it, or there is none of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    read: u64,
    sink: SinkTotals,
    /// Rows that are below the wanted rating and never reached the sink.
    filtered: u64,
    rejected: Rejections,
}

impl Account {
    /// Closes the account over `read` rows: `rejected` and `filtered` by the reader, the rest given to
    /// a sink, which says what it did.
    pub fn close(
        read: u64,
        rejected: Rejections,
        filtered: u64,
        sink: SinkTotals,
    ) -> Result<Self, Unbalanced> {
        let parts = [
            sink.kept,
            sink.duplicate,
            sink.held_back,
            sink.restricted,
            sink.filtered,
            sink.refused,
            sink.undelivered,
            filtered,
            rejected.total(),
        ];
        let accounted = parts
            .iter()
            .fold(0, |sum: u64, part| sum.saturating_add(*part));
        if accounted != read {
            return Err(Unbalanced { read, accounted });
        }
        Ok(Self {
            read,
            sink,
            filtered,
            rejected,
        })
    }

    /// Rows read: the records of the files, good or bad.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Pairs that are new.
    pub fn kept(&self) -> u64 {
        self.sink.kept
    }

    /// Rows of pairs that another row stands for.
    pub fn duplicate(&self) -> u64 {
        self.sink.duplicate
    }

    /// Rows that an erasure names which was accepted after they happened.
    pub fn held_back(&self) -> u64 {
        self.sink.held_back
    }

    /// Rows that are kept and not processed.
    pub fn restricted(&self) -> u64 {
        self.sink.restricted
    }

    /// Rows that decide for their pair and are below the wanted rating.
    pub fn filtered(&self) -> u64 {
        self.sink.filtered + self.filtered
    }

    /// Rows that the sink did not take.
    pub fn refused(&self) -> u64 {
        self.sink.refused
    }

    /// Rows that never came as far as the sink could tell.
    pub fn undelivered(&self) -> u64 {
        self.sink.undelivered
    }

    /// Rows that could not be used.
    pub fn rejected(&self) -> &Rejections {
        &self.rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_closes_only_when_its_parts_add_up() {
        let mut rejected = Rejections::default();
        rejected.add(&Rejection::WeightEmpty);
        rejected.add(&Rejection::HeaderAgain);
        rejected.add(&Rejection::WeightEmpty);
        let sink = SinkTotals {
            kept: 5,
            duplicate: 2,
            held_back: 1,
            restricted: 3,
            filtered: 1,
            refused: 4,
            undelivered: 6,
        };
        let account = Account::close(27, rejected.clone(), 2, sink).expect("it adds up");
        assert_eq!((account.refused(), account.undelivered()), (4, 6));
        assert_eq!((account.filtered(), account.rejected().total()), (3, 3));
        let reasons: Vec<_> = account.rejected().by_reason().collect();
        assert_eq!(reasons, [("header", 1), ("weight_empty", 2)]);
        for read in [26, 28] {
            let unbalanced = Account::close(read, rejected.clone(), 2, sink);
            let accounted = 27;
            assert_eq!(unbalanced, Err(Unbalanced { read, accounted }));
        }
    }
}
