//! Pairs in a store of their own.
#![allow(dead_code)]

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use recant_core::model::InteractionMatrix;
use recant_core::optim::als::TrainingOptions;
use recant_http::{CertificateSettings, LearningSettings, TrainingSettings};
use recant_import::{RowSink, SinkError, TakenRow};
use recant_service::ServiceOptions;
use recant_service::WorkerOptions;
use recant_store::{ImportSession, ImportWriter, Store, StoreOptions};
use recant_types::{DescriptionPatch, IalsHyperparameters, ItemId, UserId};

use super::table::shown;

/// Takes the rows of files into a store, as the command `import` does.
pub struct StoreSink<'a>(pub ImportWriter<'a>);

impl RowSink for StoreSink<'_> {
    fn push(&mut self, row: TakenRow<'_>, weight: f32) -> Result<(), SinkError> {
        let feedback = self.0.feedback_number(row.feedback)?;
        self.0
            .push_typed(feedback, row.user, row.item, weight, row.timestamp)
            .map_err(SinkError::from)
    }

    fn withdraw(&mut self, row: TakenRow<'_>) -> Result<(), SinkError> {
        let feedback = self.0.feedback_number(row.feedback)?;
        self.0
            .withdraw(feedback, row.user, row.item, row.timestamp)
            .map_err(SinkError::from)
    }

    fn describe(&mut self, item: &str, said: &DescriptionPatch) -> Result<(), SinkError> {
        self.0.describe(item, said).map_err(SinkError::from)
    }
}

/// Stores the pairs of `matrix`, with ids made of their rows, in a new store at `path`.
pub fn store(path: &Path, matrix: &InteractionMatrix) {
    store_dated(path, matrix, |_, _| None);
}

/// The same, where `timestamp` says of a user and an item when it happened.
pub fn store_dated(
    path: &Path,
    matrix: &InteractionMatrix,
    timestamp: impl Fn(u32, u32) -> Option<i64>,
) {
    let session = ImportSession::begin(path, &StoreOptions::default()).expect("a new store");
    let mut writer = session.writer().expect("a writer");
    for user in 0..matrix.user_rows() as u32 {
        for entry in matrix.user(user) {
            let timestamp = timestamp(user, entry.index);
            let (user, item) = (format!("user-{user}"), format!("item-{}", entry.index));
            writer
                .push(&user, &item, entry.weight, timestamp)
                .expect("a row is taken");
        }
    }
    writer.finish().expect("the pairs are stored");
}

/// The ids that [`store`] gave a pair of rows.
pub fn ids(user: u32, item: u32) -> (UserId, ItemId) {
    let user = UserId::new(&format!("user-{user}")).expect("an id");
    (user, ItemId::new(&format!("item-{item}")).expect("an id"))
}

/// Trains the model of the store at `path` to its certificate, and returns how long that took.
pub fn train(path: &Path, hyper: IalsHyperparameters) -> Duration {
    let store = Store::open(path, &StoreOptions::default()).expect("a store");
    let started = Instant::now();
    recant_service::train(
        &store,
        hyper,
        &TrainingOptions::default(),
        CertificateSettings::default().target,
        &mut |_| ControlFlow::Continue(()),
    )
    .expect("it trains");
    started.elapsed()
}

/// Stores the pairs of `matrix` at `path`, trains to the certificate, and says so.
pub fn store_and_train(
    path: &Path,
    name: &str,
    matrix: &InteractionMatrix,
    hyper: IalsHyperparameters,
) {
    store(path, matrix);
    super::describe(name, matrix, hyper);
    println!(
        "trained to the certificate in {}",
        shown(train(path, hyper))
    );
}

/// A service as it is without any setting.
pub fn service_options(hyper: IalsHyperparameters) -> ServiceOptions {
    let learning = LearningSettings::default();
    ServiceOptions {
        model: hyper.into(),
        seed: 1,
        queue_max: learning.queue_max as usize,
        certificate_wait_max: CertificateSettings::default().wait_max(),
        receipt_issuer: "recant".into(),
        content: None,
        worker: WorkerOptions {
            update_budget: learning.budget(),
            update_tolerance: learning.tolerance,
            tolerance: TrainingSettings::default().tolerance,
            refinement_rounds: TrainingSettings::default().rounds as usize,
            certificate_target: CertificateSettings::default().target,
            threads: learning.threads,
            cholesky_cache_bytes_max: learning.cholesky_cache_bytes_max as usize,
        },
    }
}
