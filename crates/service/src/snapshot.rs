//! One version of the model as readers see it.

use std::sync::Arc;

use crate::activity::ItemHours;
use crate::catalogue::{Catalogue, Edit};
use crate::content::ContentRows;
use crate::dirty::Changes;
use crate::history::Unseen;
use crate::network::Network;
use crate::ranking::Popularity;
use crate::rows::RowDirectory;
use recant_core::model::{Entry, Gramian};
use recant_core::topk::{ItemIndex, PagedRows};
use recant_store::ModelHeader;
use recant_types::{Certificate, IalsHyperparameters, ItemId, ModelConfiguration, UserId};

/// Why a state of the trainer must not become a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// A factor is infinite or not a number, as f32 at the latest.
    #[error("the factors of {0} are not finite: the live version stays")]
    NotFinite(&'static str),
}

/// Everything one answer needs, all of the same version.
///
/// Made by the worker, shared by `Arc` with every reader, dropped when the last of them is done.
/// The large parts are persistent containers that share their nodes with the version before, so
/// making one costs what changed since then.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Grows with every swap and survives a restart.
    pub version: u64,
    /// The term of the leader that made it, where several nodes serve together; else 0.
    pub term: u64,
    /// Seed of the initial factors.
    pub seed: u64,
    /// Users with at least one interaction.
    pub users: RowDirectory<UserId>,
    /// Items known, with or without interactions.
    pub items: RowDirectory<ItemId>,
    /// What is said about items. It changes between versions, too.
    pub catalogue: Catalogue,
    /// Rows for described items that nobody interacted with. They change between versions, too.
    pub content: Option<ContentRows>,
    /// Users' factors, users × d.
    pub user_factors: PagedRows,
    /// Items' factors, items × d; a row without interactions is zero.
    pub item_factors: PagedRows,
    /// The same rows, those of items with interactions, in the order that finds the best ones.
    /// Nothing is in order when scores are not inner products.
    pub item_index: ItemIndex,
    /// Which model it is, with what scoring and folding in need besides the rows.
    pub model: ServedModel,
    /// Histories by user row, items ascending.
    pub histories: imbl::Vector<Arc<Vec<Entry>>>,
    /// Of users who have such pairs, by row: the rows of items that do not count as seen, ascending.
    pub unseen: Unseen,
    /// Pairs by item row.
    pub item_counts: imbl::Vector<u32>,
    /// Items that somebody wanted, the most popular first.
    pub popular: Popularity,
    /// When they did, as far as it is known.
    pub hours: ItemHours,
    /// Users with at least one interaction.
    pub active_users: usize,
    /// Items with at least one interaction.
    pub active_items: usize,
    /// Pairs held.
    pub interactions: usize,
    /// What was last measured, and of which version.
    pub quality: Quality,
}

/// One kind of model, as readers see it.
#[derive(Debug, Clone)]
pub enum ServedModel {
    /// Implicit ALS.
    Ials {
        /// What it minimises.
        hyperparameters: IalsHyperparameters,
        /// QᵀQ of the item factors, for folding in a history.
        item_gramian: Arc<Gramian>,
    },
    /// A neural model.
    Neural(Arc<Network>),
}

impl ServedModel {
    /// Kind and hyper-parameters.
    pub fn configuration(&self) -> ModelConfiguration {
        match self {
            Self::Ials {
                hyperparameters, ..
            } => ModelConfiguration::Ials(*hyperparameters),
            Self::Neural(network) => ModelConfiguration::Neural(network.specification.clone()),
        }
    }
}

/// The last measurement of the model; it may be of an earlier version than the live one.
#[derive(Debug, Clone, Default)]
pub struct Quality {
    /// The objective L.
    pub objective: Option<f64>,
    /// The relative gradient residual.
    pub residual: Option<f64>,
    /// The version both were measured at.
    pub measured_version: Option<u64>,
    /// The certificate given at that version.
    pub certificate: Option<Certificate>,
    /// Whether this process computed the certificate, for the very factors it serves. One that was
    /// read from the store is of user factors that have been solved for anew since.
    pub confirmed: bool,
}

impl Quality {
    /// What is stored of it. Nothing was computed by this process yet.
    pub(crate) fn stored(header: &ModelHeader) -> Self {
        Self {
            objective: header.objective,
            residual: header.residual,
            measured_version: header.measured_version,
            certificate: header.certificate.clone(),
            confirmed: false,
        }
    }
}

impl Snapshot {
    /// The network that must score every item, when no index of inner products can find the best.
    pub(super) fn scoring_network(&self) -> Option<&Network> {
        match &self.model {
            ServedModel::Ials { .. } => None,
            ServedModel::Neural(network) => {
                (!network.is_inner_product()).then_some(network.as_ref())
            }
        }
    }

    /// Takes away what belongs to users of whom an erasure took something, and to items that lost
    /// everything: an earlier version that is kept must not know them any longer than the live one.
    /// Cost: the pages of these rows.
    pub(crate) fn forget(&mut self, changes: &Changes) {
        let (rows, zeros) = (self.user_factors.rows(), vec![0.0; self.user_factors.dim()]);
        let users = changes.lost.user_rows().chain(changes.emptied.user_rows());
        for row in users.filter(|row| (*row as usize) < rows) {
            self.users.clear(row);
            self.user_factors.set_row(row, &zeros);
            self.unseen.remove(&row);
            if (row as usize) < self.histories.len() {
                self.histories.set(row as usize, Arc::default());
            }
        }
        let rows = self.item_factors.rows();
        let items = changes.emptied.item_rows();
        let items: Vec<u32> = items.filter(|row| (*row as usize) < rows).collect();
        if items.is_empty() {
            return;
        }
        for row in &items {
            self.items.clear(*row);
            self.catalogue.place(*row, None);
            self.item_factors
                .set_row(*row, &vec![0.0; self.item_factors.dim()]);
            self.popular.set_count(*row, None, 0);
            if (*row as usize) < self.item_counts.len() {
                self.item_counts.set(*row as usize, 0);
            }
        }
        let gone: Vec<(u32, bool)> = items.iter().map(|row| (*row, false)).collect();
        self.item_index = self.item_index.updated(self.item_factors.clone(), &gone);
    }

    /// How many interactions the item at `row` has.
    pub fn item_count(&self, row: u32) -> u32 {
        self.item_counts.get(row as usize).copied().unwrap_or(0)
    }

    /// The history of the user at `row`, items ascending.
    pub fn history(&self, row: u32) -> &[Entry] {
        self.histories
            .get(row as usize)
            .map_or(&[], |history| history.as_slice())
    }

    /// The same model, with its catalogue changed.
    pub(crate) fn with_catalogue(&self, change: impl FnOnce(&mut Catalogue)) -> Arc<Self> {
        let mut changed = self.clone();
        change(&mut changed.catalogue);
        Arc::new(changed)
    }

    /// The same model, with these changes in what is said about items.
    pub(crate) fn edited(&self, edits: &[Edit]) -> Arc<Self> {
        let mut changed = self.clone();
        changed.catalogue.edit(edits);
        if let Some(content) = &mut changed.content {
            content.edit(edits);
        }
        Arc::new(changed)
    }

    /// Takes over what is said in `catalogue`, which is of another version. Cost: a look at every
    /// row.
    pub(crate) fn take_catalogue(&mut self, catalogue: &Catalogue) {
        self.catalogue = catalogue.clone();
        let rows = self.items.capacity().max(catalogue.rows());
        self.place_items(0..rows as u32);
    }

    /// Tells the catalogue which items are at `rows`.
    pub(crate) fn place_items(&mut self, rows: impl IntoIterator<Item = u32>) {
        for row in rows {
            let id = self.items.id(row).filter(|_| self.item_count(row) > 0);
            self.catalogue.place(row, id);
        }
    }
}
