//! Where a new version becomes the live one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use crate::catalogue::{Catalogue, Edit};
use crate::dirty::Changes;
use crate::expression::Expression;
use crate::metric_names as names;
use crate::rankings::Rankings;
use crate::snapshot::Snapshot;
use crate::snapshot::VersionError;
use recant_core::topk::Bitmap;
use recant_store::LastCertificate;
use recant_store::LogPosition;
use recant_types::Certificate;

/// How far the live model has come along the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The live model reflects every entry up to here.
    pub learnt: LogPosition,
    /// A certificate that held covers every entry up to here, or one that was given before the start.
    pub certified: LogPosition,
    /// Where the last certificate that held was given.
    pub last_certificate: Option<LastCertificate>,
}

/// Holds the live version. The worker publishes, everybody else reads.
///
/// Reading is wait-free and never sees a version half made: the snapshot is complete before the
/// one pointer to it is exchanged.
#[derive(Debug)]
pub struct Publisher {
    live: ArcSwap<Snapshot>,
    certified: ArcSwapOption<Snapshot>,
    /// Orders of its items that were asked for lately.
    rankings: Rankings,
    progress: watch::Sender<Progress>,
    /// Held while a version is put together of a model and what is said about items: neither may
    /// miss what happens to the other.
    assembling: Mutex<()>,
}

impl Publisher {
    /// Starts with `snapshot` as the live version.
    pub fn new(snapshot: Snapshot, progress: Progress) -> Self {
        report(&snapshot);
        Self {
            live: ArcSwap::from_pointee(snapshot),
            certified: ArcSwapOption::empty(),
            rankings: Rankings::default(),
            progress: watch::Sender::new(progress),
            assembling: Mutex::new(()),
        }
    }

    /// The live version.
    pub fn current(&self) -> Arc<Snapshot> {
        self.live.load_full()
    }

    /// The last version whose certificate held and was given by this process, less what was erased
    /// since.
    pub fn certified(&self) -> Option<Arc<Snapshot>> {
        self.certified.load_full()
    }

    /// Orders of the items of the versions there are, followed from one to the next.
    pub(crate) fn rankings(&self) -> &Rankings {
        &self.rankings
    }

    fn assembling(&self) -> MutexGuard<'_, ()> {
        let held = self.assembling.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `snapshot` as the last certified version.
    pub(crate) fn set_certified(&self, snapshot: Option<Snapshot>) {
        let _held = self.assembling();
        self.certified
            .store(snapshot.map(|snapshot| Arc::new(self.saying_what_is_said(snapshot))));
    }

    /// The snapshot with what is said about items now.
    fn saying_what_is_said(&self, mut snapshot: Snapshot) -> Snapshot {
        let live = self.live.load();
        if !snapshot.catalogue.says_the_same(&live.catalogue) {
            snapshot.take_catalogue(&live.catalogue);
        }
        snapshot
    }

    /// Has `rows`, of which an expression is true in the version `of`, followed from now on. Cost: a
    /// look at every row when `of` is not the version that there is.
    pub(crate) fn keep_filter(&self, expression: &Expression, rows: &Bitmap, of: &Arc<Snapshot>) {
        let _held = self.assembling();
        let keep = |catalogue: &mut Catalogue| {
            catalogue.keep_filter(expression, rows.clone(), &of.catalogue);
        };
        let certified = self.certified();
        if let Some(certified) = certified.filter(|certified| certified.version == of.version) {
            self.certified.store(Some(certified.with_catalogue(keep)));
        }
        self.live.store(self.live.load().with_catalogue(keep));
    }

    /// Makes changes in what is said about items, in every version there is. The model and the
    /// number of its version stay. Cost: what changed.
    pub(crate) fn edit(&self, edits: &[Edit]) {
        let _held = self.assembling();
        let edit = |catalogue: &mut Catalogue| catalogue.edit(edits);
        if let Some(certified) = self.certified() {
            self.certified.store(Some(certified.with_catalogue(edit)));
        }
        self.live.store(self.live.load().with_catalogue(edit));
    }

    /// Takes out of the certified version what `changes` took out of the live one.
    pub(crate) fn forget(&self, changes: &Changes) {
        if changes.lost.is_empty() && changes.emptied.is_empty() {
            return;
        }
        if let Some(certified) = self.certified() {
            let mut without = Snapshot::clone(&certified);
            without.forget(changes);
            self.set_certified(Some(without));
        }
    }

    /// Swaps `make_snapshot()` in and tells whoever waits how far the model has come. The time of
    /// both, making and swapping, is the swap's. When no snapshot can be made the live version
    /// stays.
    pub fn publish(
        &self,
        progress: Progress,
        make_snapshot: impl FnOnce() -> Result<Snapshot, VersionError>,
    ) -> Result<(), VersionError> {
        let started = Instant::now();
        let snapshot = make_snapshot()?;
        self.swap(progress, snapshot, started.elapsed());
        Ok(())
    }

    /// [`Self::publish`] for a snapshot that took `making` to make.
    pub fn swap(&self, progress: Progress, snapshot: Snapshot, making: Duration) {
        let started = Instant::now();
        report(&snapshot);
        let hours = snapshot.hours.clone();
        let held = self.assembling();
        self.live
            .store(Arc::new(self.saying_what_is_said(snapshot)));
        drop(held);
        self.rankings.follow(&hours);
        let swapping = making + started.elapsed();
        metrics::histogram!(names::SWAP_DURATION_SECONDS).record(swapping.as_secs_f64());
        self.progress.send_replace(progress);
    }

    /// Follows the progress along the log.
    pub fn follow(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// The progress now.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }
}

fn report(snapshot: &Snapshot) {
    metrics::gauge!(names::MODEL_VERSION).set(snapshot.version as f64);
    metrics::gauge!(names::MODEL_USERS).set(snapshot.active_users as f64);
    metrics::gauge!(names::MODEL_ITEMS).set(snapshot.active_items as f64);
    metrics::gauge!(names::MODEL_INTERACTIONS).set(snapshot.interactions as f64);
    if let Some(residual) = snapshot.quality.residual {
        metrics::gauge!(names::MODEL_RESIDUAL).set(residual);
    }
    let certificate = snapshot.quality.certificate.as_ref();
    if let Some(frobenius) = certificate.and_then(Certificate::frobenius) {
        metrics::gauge!(names::MODEL_CERTIFICATE_FROBENIUS).set(frobenius);
    }
}
