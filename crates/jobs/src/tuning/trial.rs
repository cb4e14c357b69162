//! One setting and how it did.

use recant_eval::Accuracy;
use recant_types::IalsHyperparameters;

/// How a trial was trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A few sweeps.
    Screened,
    /// To the certificate, or until that proved out of reach.
    FullyTrained,
}

/// Whether a fully trained setting's certificate closes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Certifiable {
    /// Whether it met the target, with a column to spare.
    pub holds: bool,
    /// The certified root mean square.
    pub root_mean_square: f64,
    /// Where the ceiling of d columns binds: about which λ would close it.
    pub lambda: Option<f64>,
}

/// One setting and how it did.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// The setting.
    pub hyperparameters: IalsHyperparameters,
    /// How far it was trained.
    pub stage: Stage,
    /// What it finds of the held-out interactions.
    pub accuracy: Accuracy,
    /// Sweeps of its training.
    pub sweeps: usize,
    /// Columns that carry something, of a fully trained setting.
    pub rank: Option<usize>,
    /// Whether its certificate closes, of a fully trained setting.
    pub certifiable: Option<Certifiable>,
    /// Time it took.
    pub seconds: f64,
}

impl Trial {
    /// Whether it is fully trained and its certificate closes.
    pub fn is_certifiable(&self) -> bool {
        self.certifiable
            .is_some_and(|certifiable| certifiable.holds)
    }

    /// Its settings with about the λ that would close its certificate, where that is known.
    pub(super) fn with_closing_lambda(&self) -> Option<IalsHyperparameters> {
        Some(IalsHyperparameters {
            lambda: self.certifiable?.lambda?,
            ..self.hyperparameters
        })
    }

    /// Its settings, with a third more dimensions than its rank where the certificate closes: the
    /// whole of the data has more to say than the part it was trained on.
    pub(super) fn recommended(&self) -> IalsHyperparameters {
        let ceiling = self.hyperparameters.dim;
        let needed = match self.rank {
            Some(rank) if self.is_certifiable() => rank + (rank / 3).max(8),
            _ => ceiling,
        };
        IalsHyperparameters {
            dim: needed.next_multiple_of(8).min(ceiling),
            ..self.hyperparameters
        }
    }
}
