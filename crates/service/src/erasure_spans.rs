//! The spans of erasures that are under way: one from acceptance to the certificate, with a child for
//! each state on the way. They are for traces alone; where nobody collects those nothing is kept.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{Span, info_span};

use recant_types::{ErasureId, ErasureStatus, TRACE_TARGET};

/// Most erasures that one span of the worker is linked to; what reads traces shows no more.
const LINKS_MAX: usize = 32;

/// The spans of erasures that this process accepted. A std mutex: it is held for a look-up, never across
/// a wait.
#[derive(Debug, Default)]
pub(crate) struct ErasureSpans(Mutex<HashMap<ErasureId, Way>>);

#[derive(Debug)]
struct Way {
    whole: Span,
    /// The last state, once one was reached.
    reached: Option<ErasureStatus>,
    /// From that state to the next.
    _part: Span,
}

impl ErasureSpans {
    fn lock(&self) -> MutexGuard<'_, HashMap<ErasureId, Way>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An erasure is on its way, asked for by what the current span is about, which it is linked to and
    /// outlives.
    pub(crate) fn begin(&self, id: ErasureId) {
        let whole = info_span!(target: TRACE_TARGET, parent: None, "erasure", erasure = %id);
        if whole.is_disabled() {
            return;
        }
        whole.follows_from(Span::current());
        let part = info_span!(target: TRACE_TARGET, parent: &whole, "accepting");
        let way = Way {
            whole,
            reached: None,
            _part: part,
        };
        self.lock().insert(id, way);
    }

    /// An erasure has reached a state. Who accepts it may tell later than who carries it out.
    pub(crate) fn reached(&self, id: ErasureId, status: ErasureStatus) {
        let mut ways = self.lock();
        let Some(way) = ways.get_mut(&id).filter(|way| way.reached < Some(status)) else {
            return;
        };
        let parent = &way.whole;
        let part = match status {
            ErasureStatus::Accepted => info_span!(target: TRACE_TARGET, parent: parent, "erasing"),
            ErasureStatus::Erased => info_span!(target: TRACE_TARGET, parent: parent, "forgetting"),
            ErasureStatus::Forgotten => {
                info_span!(target: TRACE_TARGET, parent: parent, "certifying")
            }
            ErasureStatus::Certified => {
                ways.remove(&id);
                return;
            }
            ErasureStatus::Failed => return,
        };
        (way.reached, way._part) = (Some(status), part);
    }

    /// The erasure was not accepted, or is a repetition of another.
    pub(crate) fn end(&self, id: ErasureId) {
        self.lock().remove(&id);
    }

    /// Links what `span` is about to the erasures that it is done for.
    pub(crate) fn link(&self, span: &Span, ids: impl Iterator<Item = ErasureId>) {
        let ways = self.lock();
        if ways.is_empty() {
            return;
        }
        for way in ids.filter_map(|id| ways.get(&id)).take(LINKS_MAX) {
            span.follows_from(&way.whole);
        }
    }
}
