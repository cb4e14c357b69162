//! Making the next version out of the trainer: what changed is copied, the rest is shared.

use std::sync::Arc;

use crate::service::dirty::DirtyRows;
use crate::service::snapshot::{Quality, Snapshot};
use crate::service::trainer::Trainer;
use crate::topk::rows::PagedRows;

impl Trainer {
    /// The whole state as a snapshot. Cost: every row once.
    pub fn snapshot(&self, version: u64, quality: Quality) -> Snapshot {
        let dim = self.model.hyper.dim;
        let factors = |rows: usize, row_of: &dyn Fn(usize) -> Vec<f32>| {
            PagedRows::from_rows(rows, dim, |row, into| into.copy_from_slice(&row_of(row)))
        };
        let user_factors = factors(self.model.users.rows(), &|row| {
            narrow(self.model.users.row(row))
        });
        let item_factors = factors(self.model.items.rows(), &|row| {
            narrow(self.model.items.row(row))
        });
        self.assemble(user_factors, item_factors, version, quality)
    }

    /// The state as a snapshot that shares with `previous` every page without a dirty row.
    /// Cost: the pages of the dirty rows, whatever the number of users and items.
    pub fn snapshot_after(
        &self,
        previous: &Snapshot,
        dirty: &DirtyRows,
        version: u64,
        quality: Quality,
    ) -> Snapshot {
        let mut user_factors = previous.user_factors.clone();
        user_factors.grow(self.model.users.rows());
        for row in dirty.user_rows() {
            user_factors.set_row(row, &narrow(self.model.users.row(row as usize)));
        }
        let mut item_factors = previous.item_factors.clone();
        item_factors.grow(self.model.items.rows());
        for row in dirty.item_rows() {
            item_factors.set_row(row, &narrow(self.model.items.row(row as usize)));
        }
        self.assemble(user_factors, item_factors, version, quality)
    }

    fn assemble(
        &self,
        user_factors: PagedRows,
        item_factors: PagedRows,
        version: u64,
        quality: Quality,
    ) -> Snapshot {
        Snapshot {
            version,
            hyperparameters: self.model.hyper,
            seed: self.seed,
            users: self.users.directory().clone(),
            items: self.items.directory().clone(),
            titles: self.titles.clone(),
            user_factors,
            item_factors,
            item_gramian: Arc::new(self.model.item_gramian.clone()),
            histories: self.matrix.histories(),
            item_counts: self.item_counts.clone(),
            active_users: self.matrix.active_users(),
            active_items: self.matrix.active_items(),
            interactions: self.matrix.interactions(),
            quality,
        }
    }
}

fn narrow(row: &[f64]) -> Vec<f32> {
    row.iter().map(|value| *value as f32).collect()
}
