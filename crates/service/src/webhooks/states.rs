//! The states of an erasure one by one, read from its record.

use recant_types::{ErasureRecord, ErasureStatus, UnixMillis};

/// The states in the order of life.
pub(super) const ORDER: [ErasureStatus; 4] = [
    ErasureStatus::Accepted,
    ErasureStatus::Erased,
    ErasureStatus::Forgotten,
    ErasureStatus::Certified,
];

/// When the erasure reached `state`; `None` when it has not.
pub(super) fn time_of(record: &ErasureRecord, state: ErasureStatus) -> Option<UnixMillis> {
    match state {
        ErasureStatus::Accepted => Some(record.accepted_at),
        ErasureStatus::Erased => record.erased_at,
        ErasureStatus::Forgotten => record.forgotten_at,
        ErasureStatus::Certified => record.certified_at,
        ErasureStatus::Failed => None,
    }
}

/// The furthest state that the erasure has reached, those before it included.
pub(super) fn reached(record: &ErasureRecord) -> ErasureStatus {
    let until_a_gap = ORDER
        .into_iter()
        .take_while(|state| *state <= record.status && time_of(record, *state).is_some());
    until_a_gap.last().unwrap_or(ErasureStatus::Accepted)
}

/// The record as it was when the erasure was in `state`; `None` when it has not reached it.
pub(super) fn as_of(record: &ErasureRecord, state: ErasureStatus) -> Option<ErasureRecord> {
    if state > reached(record) {
        return None;
    }
    let mut then = record.clone();
    then.status = state;
    // It tells of attempts, which are no states.
    then.failure = None;
    if state < ErasureStatus::Certified {
        then.certified_at = None;
        then.certified_version = None;
        then.certified_position = None;
        then.certificate = None;
    }
    if state < ErasureStatus::Forgotten {
        then.forgotten_at = None;
        then.model_version_after = None;
    }
    if state < ErasureStatus::Erased {
        then.erased_at = None;
        then.model_version_before = None;
    }
    Some(then)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use recant_types::{Certificate, ErasureId, ErasureTarget, UserId};

    /// A record that has come as far as `state`.
    pub(crate) fn record(state: ErasureStatus) -> ErasureRecord {
        let target = ErasureTarget::User(UserId::new("ada").expect("an id"));
        let accepted_at = UnixMillis(1_700_000_000_000);
        let mut record = ErasureRecord::accepted(ErasureId::generate(), 3, &target, accepted_at);
        record.status = state;
        let later = |ms| Some(UnixMillis(accepted_at.0 + ms));
        if state >= ErasureStatus::Erased {
            (record.erased_at, record.model_version_before) = (later(1), Some(4));
        }
        if state >= ErasureStatus::Forgotten {
            (record.forgotten_at, record.model_version_after) = (later(2), Some(5));
        }
        if state >= ErasureStatus::Certified {
            record.certified_at = later(3);
            (record.certified_version, record.certified_position) = (Some(5), Some(3));
            record.certificate = Some(Certificate::residual(1e-9, 1e-6));
        }
        record
    }

    #[test]
    fn a_record_tells_what_it_was_in_each_state_it_has_passed() {
        for status in ORDER {
            let now = record(status);
            assert_eq!(reached(&now), status);
            for state in ORDER {
                let then = as_of(&now, state);
                assert_eq!(then.is_some(), state <= status, "{status}, {state}");
                let Some(then) = then else { continue };
                let mut expected = record(state);
                (expected.id, expected.failure) = (now.id, None);
                assert_eq!(then, expected, "{status}, {state}");
            }
        }
    }

    #[test]
    fn a_failed_certificate_is_no_state() {
        let mut forgotten = record(ErasureStatus::Forgotten);
        forgotten.failure = Some(String::from("no room"));
        assert_eq!(reached(&forgotten), ErasureStatus::Forgotten);
        let then = as_of(&forgotten, ErasureStatus::Forgotten).expect("reached");
        assert_eq!(then.failure, None);
        forgotten.status = ErasureStatus::Failed;
        assert_eq!(reached(&forgotten), ErasureStatus::Forgotten);
    }
}
