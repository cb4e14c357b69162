//! The one place where the store makes files survive a power cut.
//!
//! Every sync of a file of ours, of a directory and of the database's file goes through a
//! [`Syncs`]. It tells an observer what is about to be synced and what has been, so that a test
//! can rebuild what the disk holds when everything not synced is lost, or let a sync fail. It also
//! keeps the watch: a sync that does not come back is noticed by [`Syncs::stalled_for`].

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::StoreError;

/// What is about to happen to a path, or has just happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncStep {
    /// The sync begins; an error returned now stands for a sync that fails.
    Before,
    /// What the path held when the sync began is on the disk.
    After,
}

type Observe = dyn Fn(SyncStep, &Path) -> std::io::Result<()> + Send + Sync;

/// Is told of every sync; for tests.
#[derive(Clone)]
pub struct SyncObserver(Arc<Observe>);

impl SyncObserver {
    /// An observer that calls `observe`, from whatever thread syncs.
    pub fn new(
        observe: impl Fn(SyncStep, &Path) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(observe))
    }
}

impl fmt::Debug for SyncObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncObserver")
    }
}

/// Syncs files and directories. Cloning shares the watch.
#[derive(Debug, Clone)]
pub(crate) struct Syncs {
    observer: Option<SyncObserver>,
    watch: Arc<Watch>,
}

/// When the sync under way in the writing thread began.
#[derive(Debug)]
struct Watch {
    origin: Instant,
    /// Milliseconds since `origin`, plus one; 0 while no watched sync is under way.
    began: AtomicU64,
}

impl Syncs {
    /// Syncs that `observer` is told of, if there is one.
    pub(crate) fn new(observer: Option<SyncObserver>) -> Self {
        let watch = Watch {
            origin: Instant::now(),
            began: AtomicU64::new(0),
        };
        Self {
            observer,
            watch: Arc::new(watch),
        }
    }

    fn tell(&self, step: SyncStep, path: &Path) -> std::io::Result<()> {
        match &self.observer {
            Some(SyncObserver(observe)) => observe(step, path),
            None => Ok(()),
        }
    }

    fn around(
        &self,
        path: &Path,
        sync: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<(), StoreError> {
        self.tell(SyncStep::Before, path)
            .and_then(|()| sync())
            .and_then(|()| self.tell(SyncStep::After, path))
            .map_err(|error| StoreError::io(path, &error))
    }

    /// Makes the bytes of an open file survive a power cut, and its size where it grew.
    pub(crate) fn data(&self, file: &File, path: &Path) -> Result<(), StoreError> {
        self.around(path, || file.sync_data())
    }

    /// Makes new, renamed and removed entries of a directory survive a power cut.
    pub(crate) fn directory(&self, path: &Path) -> Result<(), StoreError> {
        self.around(path, || File::open(path)?.sync_all())
    }

    /// Runs the syncs of a commit under the watch.
    pub(crate) fn watched<T>(&self, syncs: impl FnOnce() -> T) -> T {
        let now = self.watch.origin.elapsed().as_millis() as u64 + 1;
        self.watch.began.store(now, Ordering::Release);
        let result = syncs();
        self.watch.began.store(0, Ordering::Release);
        result
    }

    /// How long the watched sync has been under way; zero when there is none.
    pub(crate) fn stalled_for(&self) -> Duration {
        match self.watch.began.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            began => {
                let began = Duration::from_millis(began - 1);
                self.watch.origin.elapsed().saturating_sub(began)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn the_observer_hears_of_every_sync_and_can_let_it_fail() {
        let folder = tempfile::tempdir().expect("a folder");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = Arc::clone(&heard);
        let syncs = Syncs::new(Some(SyncObserver::new(move |step, path: &Path| {
            ears.lock().expect("sound").push((step, path.to_owned()));
            match path.ends_with("bad") {
                true => Err(std::io::ErrorKind::StorageFull.into()),
                false => Ok(()),
            }
        })));
        let path = folder.path().join("good");
        let file = File::create(&path).expect("made");
        syncs.data(&file, &path).expect("synced");
        syncs.directory(folder.path()).expect("synced");
        let refused = syncs.data(&file, &folder.path().join("bad"));
        assert!(matches!(refused, Err(StoreError::NoSpace { .. })));
        let heard = heard.lock().expect("sound");
        let steps: Vec<SyncStep> = heard.iter().map(|(step, _)| *step).collect();
        use SyncStep::{After, Before};
        assert_eq!(steps, [Before, After, Before, After, Before]);
    }

    #[test]
    fn a_sync_under_way_is_seen_from_outside() {
        let syncs = Syncs::new(None);
        assert_eq!(syncs.stalled_for(), Duration::ZERO);
        syncs.watched(|| {
            let started = Instant::now();
            while syncs.stalled_for() < Duration::from_millis(2) {
                assert!(started.elapsed() < Duration::from_secs(20));
                std::thread::yield_now();
            }
        });
        assert_eq!(syncs.stalled_for(), Duration::ZERO);
    }
}
