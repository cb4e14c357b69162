//! `recant demo`: the main job in one command.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::error::CliError;
use super::output::print;
use super::serve;
use super::settings::{StoreArgs, flag, open_store, store_options, thread_pool};
use super::train_neural::neural_training;
use recant_core::optim::als::TrainingOptions;
use recant_core::unlearn::Progress;
use recant_http::Settings;
use recant_lab::demo;
use recant_lab::demo::{Catalogue, CatalogueSize};
use recant_service::train_neural;
use recant_store::ImportSession;

/// Flags of `recant demo`; none is needed.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant demo
  recant demo --users 5000 --items 2000 --interactions 200000 --listen 127.0.0.1:9000")]
pub(crate) struct DemoArgs {
    /// Directory of the demo's store
    #[arg(long, value_name = "DIR", default_value = "recant-demo")]
    pub data_dir: PathBuf,
    /// Address to serve on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Number of invented users
    #[arg(long, value_name = "N", default_value_t = CatalogueSize::default().users)]
    pub users: usize,
    /// Number of invented items
    #[arg(long, value_name = "N", default_value_t = CatalogueSize::default().items)]
    pub items: usize,
    /// Number of invented interactions
    #[arg(long, value_name = "N", default_value_t = CatalogueSize::default().interactions)]
    pub interactions: usize,
    /// Seed of the catalogue and of the model
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl DemoArgs {
    /// The size of the catalogue asked for.
    pub(crate) fn size(&self) -> Result<CatalogueSize, CliError> {
        CatalogueSize {
            users: self.users,
            items: self.items,
            interactions: self.interactions,
        }
        .checked()
        .map_err(CliError::usage)
    }
}

/// Makes the catalogue, imports it, trains and serves. A directory that already holds a store is
/// served as it is, so that what was erased in it stays erased.
pub(super) fn run(args: &DemoArgs) -> Result<(), CliError> {
    let size = args.size()?;
    let listen = args.listen.to_string();
    let seed = args.seed.to_string();
    let store = StoreArgs {
        data_dir: Some(args.data_dir.clone()),
        config: None,
    };
    let (settings, traces) = store.serving_settings(vec![
        flag("--listen", "server.listen", &listen),
        flag("--seed", "model.seed", &seed),
    ])?;
    let catalogue = demo::generate(&size, args.seed).map_err(CliError::usage)?;
    if args.data_dir.join("CURRENT").exists() {
        print(&format!(
            "{} holds a catalogue already and is served as it is; remove it for a new one\n",
            args.data_dir.display()
        ))?;
    } else {
        import(&catalogue, &settings)?;
        train(&settings)?;
    }
    serve::serve(&settings, traces, |url| print(&tour(&catalogue, url)))
}

fn import(catalogue: &Catalogue, settings: &Settings) -> Result<(), CliError> {
    let session = ImportSession::begin(&settings.store.data_dir, &store_options(settings))
        .map_err(CliError::failed)?;
    let mut writer = session.writer().map_err(CliError::failed)?;
    for item in &catalogue.items {
        writer
            .set_title(&item.id, &item.title)
            .map_err(CliError::failed)?;
        writer
            .set_tags(&item.id, &mut [item.genre].into_iter())
            .map_err(CliError::failed)?;
    }
    for (user, item) in &catalogue.interactions {
        let (user, item) = (
            &catalogue.users[*user as usize],
            &catalogue.items[*item as usize],
        );
        writer
            .push(user, &item.id, 1.0, None)
            .map_err(CliError::failed)?;
    }
    let totals = writer.finish().map_err(CliError::failed)?;
    print(&format!(
        "made {} interactions of {} users with {} items, in {}\n",
        totals.interactions,
        totals.users,
        totals.items,
        settings.store.data_dir.display()
    ))
}

fn train(settings: &Settings) -> Result<(), CliError> {
    let store = open_store(settings)?;
    let began = Instant::now();
    if let Some(specification) = settings.model.neural() {
        let options = neural_training(settings, &specification);
        let observe = &mut |_| ControlFlow::Continue(());
        let trained = thread_pool(settings)?
            .install(|| train_neural(&store, specification, &options, observe))
            .map_err(CliError::failed)?;
        return print(&format!(
            "trained in {:.1} s: {} epochs, residual {:.1e}\n",
            began.elapsed().as_secs_f64(),
            trained.report.sweeps,
            trained.report.residual
        ));
    }
    let options = TrainingOptions {
        seed: settings.model.seed,
        tolerance: settings.training.tolerance,
        max_sweeps: settings.training.max_sweeps as usize,
        ..TrainingOptions::default()
    };
    let trained = thread_pool(settings)?
        .install(|| {
            let observe = &mut |_: Progress<'_>| ControlFlow::Continue(());
            let hyperparameters = settings.model.hyperparameters();
            let target = settings.certificate.target;
            recant_service::train(&store, hyperparameters, &options, target, observe)
        })
        .map_err(CliError::failed)?;
    print(&format!(
        "trained in {:.1} s: {} sweeps, residual {:.1e}\n",
        began.elapsed().as_secs_f64(),
        trained.report.sweeps,
        trained.report.residual
    ))
}

/// Lines to paste: a list, an erasure, the list after it.
fn tour(catalogue: &Catalogue, base: &str) -> String {
    let (user, item) = catalogue.interactions.first().map_or((0, 0), |pair| *pair);
    let (user, item) = (
        &catalogue.users[user as usize],
        &catalogue.items[item as usize],
    );
    format!(
        "recant listens on {base}
stop it with Ctrl-C; try, in another terminal:

  # what {user} may like, and what is known of them ({title} among it)
  curl '{base}/recommend?user={user}&k=5'
  curl '{base}/export?user={user}'

  # erase one interaction; the answer comes when the live model has forgotten it
  curl -X DELETE -H 'Prefer: wait=10' '{base}/interactions?user={user}&item={item}'
  curl '{base}/recommend?user={user}&k=5'

  # erase everything of a user; then nothing but popularity is left to go by
  curl -X DELETE -H 'Prefer: wait=10' '{base}/interactions?user={user}'
  curl '{base}/recommend?user={user}&k=5'

  # erasures and their states; the live model; metrics; the API to browse
  curl '{base}/erasures'
  curl '{base}/model'
  curl '{base}/metrics'
  {base}/docs
",
        title = item.title,
        item = item.id,
    )
}
