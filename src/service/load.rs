//! From the store to a trainer, and from a trained model back to the store.

use std::sync::Arc;

use crate::model::factors::Factors;
use crate::model::hyper::IalsHyperparameters;
use crate::model::ials::Ials;
use crate::model::interactions::{Entry, InteractionMatrix};
use crate::optim::als;
use crate::service::rows::RowTable;
use crate::service::tags::Tags;
use crate::service::trainer::Trainer;
use crate::store::batch::{Tensor, WriteBatch};
use crate::store::log::LogPosition;
use crate::store::records::ModelHeader;
use crate::store::{Store, StoreError};
use crate::unlearn::converge::Warm;

/// A trainer as the store holds it.
#[derive(Debug)]
pub struct Loaded {
    /// Data and factors. Without a stored model the factors are zero.
    pub trainer: Trainer,
    /// The header of the stored model, if there is one.
    pub header: Option<ModelHeader>,
    /// The newest entry of the log when reading began. What erasures up to it named had left the
    /// store, but for erasures of items.
    pub loaded_at: LogPosition,
}

/// Reads everything the service keeps in memory.
///
/// User factors are not stored: each is the exact minimiser for its history and the item factors,
/// and is solved for here. Cost: one half sweep over the users, besides reading.
pub fn load(
    store: &Store,
    hyperparameters: IalsHyperparameters,
    seed: u64,
) -> Result<Loaded, StoreError> {
    let loaded_at = *store.watch_log().borrow();
    let header = store.model_header()?;
    let (hyperparameters, seed) = header
        .as_ref()
        .map_or((hyperparameters, seed), |h| (h.hyperparameters, h.seed));
    let (items, titles, tags) = read_items(store)?;
    let users = RowTable::from_rows(store.users()?);
    let matrix = read_matrix(
        store,
        users.directory().capacity(),
        items.directory().capacity(),
    )?;
    let mut factors = Factors::zeros(items.directory().capacity(), hyperparameters.dim);
    store.visit_tensor(Tensor::ItemFactors, |row, values| {
        if !matrix.item(row).is_empty() && values.len() == hyperparameters.dim {
            factors.row_mut(row as usize).copy_from_slice(&values);
        }
    })?;
    let mut model = Ials::from_item_factors(hyperparameters, matrix.user_rows(), factors);
    als::solve_users(&mut model, &matrix);
    let counts = (0..matrix.item_rows() as u32).map(|row| matrix.item(row).len() as u32);
    let item_counts: imbl::Vector<u32> = counts.collect();
    let popular = (0..).zip(item_counts.iter().copied()).collect();
    let trainer = Trainer {
        matrix,
        model,
        seed,
        users,
        items,
        titles,
        tags,
        item_counts,
        warm: Warm::new(als::KEPT_BYTES_MAX),
        popular,
    };
    Ok(Loaded {
        trainer,
        header,
        loaded_at,
    })
}

type Items = (
    RowTable<crate::ids::ItemId>,
    imbl::Vector<Option<Arc<str>>>,
    Tags,
);

fn read_items(store: &Store) -> Result<Items, StoreError> {
    let (mut ids, mut tags) = (Vec::new(), Vec::new());
    let mut titles: imbl::Vector<Option<Arc<str>>> = imbl::Vector::new();
    for (row, record) in store.items()? {
        while titles.len() <= row as usize {
            titles.push_back(None);
        }
        titles.set(row as usize, record.title);
        ids.push((row, record.id));
        tags.push((row, record.tags));
    }
    Ok((RowTable::from_rows(ids), titles, Tags::new(tags)))
}

fn read_matrix(store: &Store, users: usize, items: usize) -> Result<InteractionMatrix, StoreError> {
    let mut histories: Vec<Vec<Entry>> = vec![Vec::new(); users];
    store.visit_histories(|row, held| {
        if let Some(slot) = histories.get_mut(row as usize) {
            *slot = held
                .iter()
                .map(|h| Entry {
                    index: h.item,
                    weight: h.weight,
                })
                .collect();
        }
    })?;
    Ok(InteractionMatrix::from_histories(histories, items))
}

/// The records that make `trainer`'s model the stored one: the header and every item row.
pub fn whole_model(trainer: &Trainer, header: &ModelHeader) -> WriteBatch {
    let mut batch = WriteBatch::default();
    batch.remove_tensor(Tensor::ItemFactors);
    for row in 0..trainer.model.items.rows() as u32 {
        put_item_row(&mut batch, trainer, row);
    }
    batch.put_model_header(header);
    batch
}

/// Writes the factors of one item, or takes them away when nothing is left of it.
pub fn put_item_row(batch: &mut WriteBatch, trainer: &Trainer, row: u32) {
    if trainer.matrix.item(row).is_empty() {
        batch.remove_tensor_row(Tensor::ItemFactors, row);
    } else {
        batch.put_tensor_row(
            Tensor::ItemFactors,
            row,
            trainer.model.items.row(row as usize),
        );
    }
}
