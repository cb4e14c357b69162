//! A certificate that does not hold certifies nothing.

use crate::support::{Plain, Row, Running, USERS, block_on, proven, user_id};
use recant_service::ReceiptAnswer;
use recant_types::{ErasureStatus, ErasureTarget};

/// As many tastes as users: more than one dimension can hold.
fn plain() -> Plain {
    let mut plain = Plain::default();
    let row = |user| Row {
        user,
        item: user,
        quarters: 4,
        timestamp: None,
    };
    plain.add(&(0..USERS).map(row).collect::<Vec<_>>());
    plain
}

/// What cannot be proven stays forgotten, says why, and has no receipt; the next certificate that holds
/// is for all that waited.
#[test]
fn an_erasure_without_a_certificate_that_holds_stays_forgotten_with_the_reason_until_one_does() {
    let folder = tempfile::tempdir().expect("a folder");
    plain().import(folder.path());
    block_on(async {
        let running = Running::start_with_dim(folder.path(), 1).await;
        let first = running.erase(ErasureTarget::User(user_id(0))).await;
        let refused = running
            .until(first, |record| record.failure.is_some())
            .await;
        assert_eq!(refused.status, ErasureStatus::Forgotten, "{refused:?}");
        let reason = refused.failure.expect("a reason");
        assert!(
            reason.contains("lambda") || reason.contains("dim"),
            "{reason}"
        );
        assert!(refused.certificate.is_none() && refused.certified_at.is_none());
        let receipt = running.service.receipt(first).await.expect("readable");
        assert!(matches!(receipt, ReceiptAnswer::NotYet));

        // The reason and the waiting outlive the process.
        let running = running.restart().await;
        let still = running
            .until(first, |record| record.failure.is_some())
            .await;
        assert_eq!(still.status, ErasureStatus::Forgotten, "{still:?}");
        // One user is left: one dimension does.
        for user in 1..USERS - 1 {
            running.erase(ErasureTarget::User(user_id(user))).await;
        }
        running.until_certified().await;
        let certified = running.certified(first).await;
        assert_eq!(certified.failure, None);
        proven(&running.service.model());
        running.guard.stop().await;
    });
}
