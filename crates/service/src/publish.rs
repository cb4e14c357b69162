//! Where a new version becomes the live one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use crate::catalogue::{Catalogue, Edit};
use crate::content::ContentRows;
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
    assembling: Mutex<Assembling>,
}

/// What happens to descriptions while rows for untouched items are made from earlier ones.
#[derive(Debug, Default)]
struct Assembling {
    /// None while no rows are being made.
    edits_since: Option<Vec<Edit>>,
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
            assembling: Mutex::default(),
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

    fn assembling(&self) -> MutexGuard<'_, Assembling> {
        let held = self.assembling.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `snapshot` as the last certified version.
    pub(crate) fn set_certified(&self, snapshot: Option<Snapshot>) {
        let _held = self.assembling();
        let of_the_model_alone = |snapshot| {
            let mut snapshot = self.saying_what_is_said(snapshot);
            snapshot.content = None;
            Arc::new(snapshot)
        };
        self.certified.store(snapshot.map(of_the_model_alone));
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
        let mut held = self.assembling();
        if let Some(since) = &mut held.edits_since {
            since.extend_from_slice(edits);
        }
        if let Some(certified) = self.certified() {
            self.certified.store(Some(certified.edited(edits)));
        }
        self.live.store(self.live.load().edited(edits));
    }

    /// The live version, to make rows for untouched items from; [`Self::end_content`] brings them up to
    /// date with what is said meanwhile.
    pub(crate) fn begin_content(&self) -> Arc<Snapshot> {
        let mut held = self.assembling();
        held.edits_since = Some(Vec::new());
        self.current()
    }

    /// Ends what [`Self::begin_content`] began: the live version and those after it serve these rows, or go
    /// on with what they have when there are none.
    pub(crate) fn end_content(&self, made: Option<Option<ContentRows>>) {
        let mut held = self.assembling();
        let edits = held.edits_since.take().unwrap_or_default();
        let Some(mut content) = made else { return };
        if let Some(content) = &mut content {
            content.edit(&edits);
        }
        let mut changed = Snapshot::clone(&self.live.load());
        changed.content = content;
        self.live.store(Arc::new(changed));
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
        let (hours, items) = (snapshot.hours.clone(), snapshot.items.clone());
        let held = self.assembling();
        let mut snapshot = self.saying_what_is_said(snapshot);
        snapshot.content = self.live.load().content.clone();
        self.live.store(Arc::new(snapshot));
        drop(held);
        self.rankings.follow(&hours, &items);
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
