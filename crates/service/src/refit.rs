//! Making rows for items that nobody touched, again and again, beside everything else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use crate::background::{Background, step_back};
use crate::content::ContentRows;
use crate::publish::Publisher;
use crate::snapshot::{ServedModel, Snapshot};
use recant_core::ShouldStop;
use recant_core::content::ContentModel;

/// How rows for items that nobody touched are made.
#[derive(Debug, Clone, Copy)]
pub struct ContentOptions {
    /// Shortest time from the end of one fit to the beginning of the next.
    pub refresh: Duration,
}

/// What rows were made from: a version of the model, and an edition of what is said about items.
type MadeFrom = (u64, u64);

/// Fits descriptions to the factors of the live version whenever one of the two has changed.
///
/// On a thread of its own, at the priority of refinements, which waits while a local update computes and
/// makes room for answers, as they do; nothing waits for it. A fit that took longer than the time
/// between two is followed by a pause as long as itself.
pub(crate) struct Refitter {
    publisher: Arc<Publisher>,
    background: Arc<Background>,
    options: ContentOptions,
    stopped: watch::Receiver<bool>,
}

impl Refitter {
    /// `None`, with a warning, when the model is not implicit ALS: scores of others are no inner products
    /// with rows that a linear map could give.
    pub(crate) fn new(
        publisher: Arc<Publisher>,
        background: Arc<Background>,
        options: ContentOptions,
        stopped: watch::Receiver<bool>,
    ) -> Option<Self> {
        if matches!(publisher.current().model, ServedModel::Neural(_)) {
            tracing::warn!("content.enabled has no effect: the model is neural");
            return None;
        }
        Some(Self {
            publisher,
            background,
            options,
            stopped,
        })
    }

    /// Goes on until the service stops.
    pub(crate) async fn run(mut self) {
        let mut made_from: Option<MadeFrom> = None;
        loop {
            let started = Instant::now();
            let live = self.publisher.current();
            if made_from != Some((live.version, live.catalogue.edition())) {
                match self.refit().await {
                    Some(from) => made_from = Some(from),
                    None if *self.stopped.borrow() => return,
                    None => tracing::error!("making content rows failed"),
                }
            }
            let pause = self.options.refresh.max(started.elapsed());
            tokio::select! {
                // An error is the end of the service, too.
                _ = self.stopped.wait_for(|stopped| *stopped) => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Makes rows from the live version and has them served; what from. `None` when it was stopped, or
    /// failed.
    async fn refit(&self) -> Option<MadeFrom> {
        let (publisher, background) = (Arc::clone(&self.publisher), Arc::clone(&self.background));
        let stopped = self.stopped.clone();
        let (done, refitted) = oneshot::channel();
        let work = move || {
            step_back();
            let should_stop = || {
                background.pass();
                // Whoever could say so is gone: the service is, too.
                *stopped.borrow() || stopped.has_changed().is_err()
            };
            let snapshot = publisher.begin_content();
            let made = rows_of(&snapshot, &should_stop);
            let is_stopped = made.is_none() && should_stop();
            publisher.end_content((!is_stopped).then_some(made));
            // Whoever waits may have gone.
            let _ = done.send((snapshot.version, snapshot.catalogue.edition()));
        };
        let thread = std::thread::Builder::new().name(String::from("refit"));
        if let Err(error) = thread.spawn(work) {
            tracing::error!(%error, "no thread to make content rows on");
            return None;
        }
        refitted.await.ok()
    }
}

/// The rows of a version's untouched items; `None` when there is too little to learn them from.
fn rows_of(snapshot: &Snapshot, should_stop: ShouldStop<'_>) -> Option<ContentRows> {
    let dim = snapshot.item_factors.dim();
    let touched = snapshot.catalogue.said();
    let touched = touched.filter_map(|(said, row)| Some((said, row?)));
    let (mut described, mut factors) = (Vec::new(), Vec::new());
    for (said, row) in touched {
        described.push(Arc::clone(said));
        factors.extend(
            snapshot
                .item_factors
                .row(row)
                .iter()
                .map(|value| f64::from(*value)),
        );
    }
    let model = ContentModel::fit(&described, &factors, dim, should_stop)?;
    tracing::debug!(
        items = described.len(),
        features = model.features(),
        rho = model.rho(),
        "content rows are made anew"
    );
    Some(ContentRows::of(model, &snapshot.catalogue, dim))
}
