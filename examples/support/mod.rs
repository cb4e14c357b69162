//! A small catalogue in a store, trained and served in this process.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use recant_core::optim::als::TrainingOptions;
use recant_lab::demo::{Catalogue, CatalogueSize, generate};
use recant_service::{Service, ServiceOptions, WorkerGuard, WorkerOptions, train};
use recant_store::ImportSession;
use recant_store::{Store, StoreOptions};
use recant_types::{IalsHyperparameters, ModelConfiguration};

/// The root mean square that is certified.
const TARGET: f64 = 1e-4;

const HYPERPARAMETERS: IalsHyperparameters = IalsHyperparameters {
    dim: 32,
    alpha0: 0.3,
    lambda: 0.05,
    nu: 1.0,
};

/// Invents a catalogue: 200 people, 120 items.
pub fn catalogue() -> Result<Catalogue, Box<dyn Error>> {
    let size = CatalogueSize {
        users: 200,
        items: 120,
        interactions: 4_000,
    };
    Ok(generate(&size, 1)?)
}

/// Imports it into a new store at `directory`, trains, and starts a service on it.
pub async fn serve(
    catalogue: &Catalogue,
    directory: &Path,
) -> Result<(Service, WorkerGuard), Box<dyn Error>> {
    let session = ImportSession::begin(directory, &StoreOptions::default())?;
    let mut writer = session.writer()?;
    for item in &catalogue.items {
        writer.set_title(&item.id, &item.title)?;
    }
    for (user, item) in &catalogue.interactions {
        let user = &catalogue.users[*user as usize];
        let item = &catalogue.items[*item as usize].id;
        writer.push(user, item, 1.0, None)?;
    }
    writer.finish()?;
    drop(session);
    let store = Store::open(directory, &StoreOptions::default())?;
    let options = TrainingOptions::default();
    let trained = train(&store, HYPERPARAMETERS, &options, TARGET, &mut |_| {
        ControlFlow::Continue(())
    })?;
    println!(
        "trained: {} sweeps, residual {:.1e}",
        trained.report.sweeps, trained.report.residual
    );
    Ok(Service::start(store, service_options()).await?)
}

fn service_options() -> ServiceOptions {
    ServiceOptions {
        model: ModelConfiguration::Ials(HYPERPARAMETERS),
        seed: 1,
        queue_max: 100,
        certificate_wait_max: None,
        receipt_issuer: Arc::from("an example"),
        content: None,
        worker: WorkerOptions {
            update_budget: Duration::from_millis(6),
            update_tolerance: 1e-6,
            tolerance: 1e-6,
            refinement_rounds: 3,
            certificate_target: TARGET,
            threads: 0,
            cholesky_cache_bytes_max: 1 << 28,
        },
    }
}
