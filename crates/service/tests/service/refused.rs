//! A certificate that does not hold certifies nothing.

use crate::support::{Plain, Row, Running, USERS, block_on, hyperparameters, proven, user_id};
use recant_service::ReceiptAnswer;
use recant_types::{ErasureStatus, ErasureTarget, IalsHyperparameters};

/// As many tastes as users, and one dimension.
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

/// What cannot be proven is forgotten, then failed, with the reason, and has no receipt; the next
/// certificate that holds is for all that waited.
#[test]
fn an_erasure_without_a_certificate_that_holds_fails_with_the_reason_until_one_does() {
    let folder = tempfile::tempdir().expect("a folder");
    plain().import(folder.path());
    block_on(async {
        let one = IalsHyperparameters {
            dim: 1,
            ..hyperparameters()
        };
        let running = Running::start_with(folder.path(), one).await;
        let first = running.erase(ErasureTarget::User(user_id(0))).await;
        let failed = running.until(first, ErasureStatus::Failed).await;
        let reason = failed.failure.expect("a reason");
        assert!(reason.contains("does not hold"), "{reason}");
        assert!(failed.certificate.is_none() && failed.certified_at.is_none());
        assert!(failed.forgotten_at.is_some());
        let receipt = running.service.receipt(first).await.expect("readable");
        assert!(matches!(receipt, ReceiptAnswer::NotYet));

        let running = running.restart().await;
        // One user is left: one dimension does.
        for user in 1..USERS - 1 {
            running.erase(ErasureTarget::User(user_id(user))).await;
        }
        running.until_certified().await;
        let certified = running.until(first, ErasureStatus::Certified).await;
        assert_eq!(certified.failure, None);
        proven(&running.service.model());
        running.guard.stop().await;
    });
}
