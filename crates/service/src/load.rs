//! From the store to a trainer, and from a trained model back to the store.

use std::sync::Arc;

use crate::activity::{Activity, wanted_hours};
use crate::dirty::DirtyRows;
use crate::history::{Unseen, learnt, unseen, wanted};
use crate::learner::{IalsLearner, Learner};
use crate::neural_learner::NeuralLearner;
use crate::rows::RowTable;
use crate::snapshot::{ServedModel, Snapshot};
use crate::trainer::Trainer;
use recant_core::model::{Entry, Factors, Ials, InteractionMatrix};
use recant_core::optim::als;
use recant_neural::Block;
use recant_store::{
    LogPosition, ModelHeader, SHARED_ROW_VALUES, Store, StoreError, Tensor, WriteBatch,
};
use recant_types::{FeedbackTypes, IalsHyperparameters, ModelConfiguration, ModelSpecification};

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
/// User factors of implicit ALS are not stored: each is the exact minimiser for its history and the
/// item factors, and is solved for here. Those of a neural model are, under each person's key. Cost:
/// one half sweep over the users, or drawing the examples, besides reading.
pub fn load(
    store: &Store,
    configured: impl Into<ModelConfiguration>,
    seed: u64,
) -> Result<Loaded, StoreError> {
    let loaded_at = *store.watch_log().borrow();
    let header = store.model_header()?;
    let (model, seed) = header
        .as_ref()
        .map_or_else(|| (configured.into(), seed), |h| (h.model.clone(), h.seed));
    let items = store.items()?.into_iter();
    let items = RowTable::from_rows(items.map(|(row, record)| (row, record.id)));
    let users = RowTable::from_rows(store.users()?);
    let feedback = store.feedback()?;
    let Histories {
        matrix,
        unseen,
        activity,
    } = read_histories(
        store,
        &feedback,
        users.directory().capacity(),
        items.directory().capacity(),
    )?;
    let learner = match model {
        ModelConfiguration::Ials(hyperparameters) => {
            let model = read_ials(store, hyperparameters, &matrix)?;
            Learner::Ials(Box::new(IalsLearner::new(model, als::CACHE_BYTES_MAX)))
        }
        ModelConfiguration::Neural(specification) => {
            read_neural(store, specification, &matrix, seed, header.is_some())?.into()
        }
    };
    let counts = (0..matrix.item_rows() as u32).map(|row| matrix.item(row).len() as u32);
    let item_counts: imbl::Vector<u32> = counts.collect();
    let popular = (0..matrix.item_rows() as u32).filter_map(|row| {
        let item = items.directory().id(row)?.clone();
        Some((row, item, wanted(matrix.item(row)))).filter(|(_, _, count)| *count > 0)
    });
    let popular = popular.collect();
    let trainer = Trainer {
        matrix,
        learner,
        seed,
        users,
        items,
        item_counts,
        popular,
        activity,
        feedback,
        unseen,
    };
    Ok(Loaded {
        trainer,
        header,
        loaded_at,
    })
}

fn read_ials(
    store: &Store,
    hyperparameters: IalsHyperparameters,
    matrix: &InteractionMatrix,
) -> Result<Ials, StoreError> {
    let mut factors = Factors::zeros(matrix.item_rows(), hyperparameters.dim);
    store.visit_tensor(Tensor::ItemFactors, |row, values| {
        if !matrix.item(row).is_empty() && values.len() == hyperparameters.dim {
            factors.row_mut(row as usize).copy_from_slice(&values);
        }
    })?;
    let mut model = Ials::from_item_factors(hyperparameters, matrix.user_rows(), factors);
    als::solve_users_to_rounding(&mut model, matrix);
    Ok(model)
}

/// Reads rows and layers of a neural model. A row that is not there stays zero, to be learnt; without
/// the layers the rows are worth nothing.
fn read_neural(
    store: &Store,
    specification: ModelSpecification,
    matrix: &InteractionMatrix,
    seed: u64,
    is_stored: bool,
) -> Result<NeuralLearner, StoreError> {
    let mut learner = NeuralLearner::new(specification, matrix, seed);
    let at = &mut learner.parameters;
    let layout = *at.layout();
    store.visit_user_factors(|row, values| {
        if !matrix.user(row).is_empty() && values.len() == layout.user_width {
            at.user_mut(row).copy_from_slice(&values);
        }
    })?;
    store.visit_tensor(Tensor::ItemFactors, |row, values| {
        if !matrix.item(row).is_empty() && values.len() == layout.item_width {
            let values = values.iter().map(|value| *value as f32);
            at.item_mut(row)
                .iter_mut()
                .zip(values)
                .for_each(|(to, from)| *to = from);
        }
    })?;
    let mut layers = Vec::with_capacity(layout.shared);
    store.visit_tensor(Tensor::Shared, |_, values| {
        layers.extend(values.iter().map(|value| *value as f32));
    })?;
    if layers.len() == layout.shared {
        at.block_mut(Block::Shared).copy_from_slice(&layers);
    } else if is_stored {
        tracing::error!("layers of the stored model are missing: it is learnt anew; better train");
        at.values_mut().fill(0.0);
    }
    Ok(learner)
}

/// What the service keeps of all histories.
struct Histories {
    /// What is learnt of them.
    matrix: InteractionMatrix,
    /// Which of their items do not count as seen.
    unseen: Unseen,
    /// When items were wanted.
    activity: Activity,
}

fn read_histories(
    store: &Store,
    feedback: &FeedbackTypes,
    users: usize,
    items: usize,
) -> Result<Histories, StoreError> {
    let mut histories: Vec<Vec<Entry>> = vec![Vec::new(); users];
    let mut hours = vec![Vec::new(); users];
    let mut all_unseen = Unseen::new();
    let asks = !feedback.all_are_seen();
    store.visit_histories(|row, held| {
        if let Some(slot) = histories.get_mut(row as usize) {
            *slot = learnt(feedback, held).collect();
        }
        if let Some(slot) = hours.get_mut(row as usize) {
            *slot = wanted_hours(feedback, held);
        }
        let unseen = if asks {
            unseen(feedback, held)
        } else {
            Vec::new()
        };
        if !unseen.is_empty() {
            all_unseen.insert(row, Arc::new(unseen));
        }
    })?;
    Ok(Histories {
        matrix: InteractionMatrix::from_histories(histories, items),
        unseen: all_unseen,
        activity: Activity::of_users(hours, items),
    })
}

/// The records that make `trainer`'s model the stored one: the header and every item row.
pub(crate) fn whole_model(trainer: &Trainer, header: &ModelHeader) -> WriteBatch {
    let mut batch = WriteBatch::default();
    batch.remove_tensor(Tensor::ItemFactors);
    batch.remove_tensor(Tensor::Shared);
    batch.remove_user_factors();
    for row in 0..trainer.matrix.item_rows() as u32 {
        put_item_row(&mut batch, trainer, row);
    }
    if let Learner::Neural(learner) = &trainer.learner {
        for row in 0..trainer.matrix.user_rows() as u32 {
            put_user_row(&mut batch, trainer, learner, row, header.learnt);
        }
        put_layers(&mut batch, learner);
    }
    batch.put_model_header(header);
    batch
}

/// The records that bring the stored rows to what the trainer has made of the `dirty` ones, and the
/// layers with them if they are not those of the `live` version, which is stored.
pub(crate) fn dirty_rows(
    trainer: &Trainer,
    dirty: &DirtyRows,
    live: &Snapshot,
    known: LogPosition,
) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for row in dirty.item_rows() {
        put_item_row(&mut batch, trainer, row);
    }
    if let Learner::Neural(learner) = &trainer.learner {
        for row in dirty.user_rows() {
            put_user_row(&mut batch, trainer, learner, row, known);
        }
        let is_stored = match &live.model {
            ServedModel::Ials { .. } => false,
            ServedModel::Neural(network) => network.shared == learner.parameters.shared(),
        };
        if !is_stored {
            put_layers(&mut batch, learner);
        }
    }
    batch
}

/// The records that bring the stored rows to what a leader's version has in the `dirty` rows, or in all.
pub(crate) fn followed_rows(trainer: &Trainer, dirty: &DirtyRows, is_image: bool) -> WriteBatch {
    let mut batch = WriteBatch::default();
    if is_image {
        batch.remove_tensor(Tensor::ItemFactors);
    }
    for row in dirty.item_rows() {
        put_item_row(&mut batch, trainer, row);
    }
    batch
}

/// Writes the factors of one item, or takes them away when nothing is left of it.
fn put_item_row(batch: &mut WriteBatch, trainer: &Trainer, row: u32) {
    if trainer.matrix.item(row).is_empty() {
        batch.remove_tensor_row(Tensor::ItemFactors, row);
    } else {
        batch.put_tensor_row(Tensor::ItemFactors, row, &trainer.learner.item_row(row));
    }
}

/// Writes a user's row of a neural model, which stands for the log up to `known`. The row of a user
/// who is gone goes with the user.
fn put_user_row(
    batch: &mut WriteBatch,
    trainer: &Trainer,
    learner: &NeuralLearner,
    row: u32,
    known: LogPosition,
) {
    if !trainer.matrix.user(row).is_empty() {
        batch.put_user_factors(row, learner.parameters.user(row), known);
    }
}

/// Writes the layers of a neural model.
fn put_layers(batch: &mut WriteBatch, learner: &NeuralLearner) {
    let rows = learner.parameters.shared().chunks(SHARED_ROW_VALUES);
    for (row, values) in (0..).zip(rows) {
        let values: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
        batch.put_tensor_row(Tensor::Shared, row, &values);
    }
}
