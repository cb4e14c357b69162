//! Certificates while people keep using the service.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Plain, Row, Running, USERS, block_on, item_id, train_from_scratch, user_id};
use recant_receipt::ChainHead;
use recant_service::{AsOf, Reason, ReceiptAnswer, RecommendQuery, Source, Subject};
use recant_types::{Certificate, ErasureRecord, ErasureTarget, Interaction};

fn rows() -> Vec<Row> {
    let rows = (0..USERS).flat_map(|user| (0..8).map(move |item| (user, item)));
    rows.filter(|(user, item)| (user * 3 + item * 5) % 4 < 2)
        .map(|(user, item)| Row {
            user,
            item,
            quarters: 4,
            timestamp: None,
        })
        .collect()
}

async fn running(path: &std::path::Path) -> Running {
    let mut plain = Plain::default();
    plain.add(&rows());
    plain.import(path);
    tokio::task::block_in_place(|| train_from_scratch(path));
    Running::start(path).await
}

fn interaction(number: u64) -> Interaction {
    Interaction {
        feedback: Default::default(),
        user: user_id((number % 5) as u8),
        item: item_id((number % 7) as u8),
        weight: 0.25 + (number % 11) as f32 / 4.0,
        timestamp: None,
    }
}

/// Adds without a pause until `done`.
async fn keep_adding(running: &Running, done: &AtomicBool) -> u64 {
    let mut number = 0;
    while !done.load(Ordering::Relaxed) {
        let added = running.service.add(vec![interaction(number)]).await;
        assert_eq!(added.expect("accepted").accepted, 1);
        number += 1;
    }
    number
}

async fn erase_and_await(running: &Running, done: &AtomicBool) -> Vec<ErasureRecord> {
    let mut records = Vec::new();
    for item in 0..4 {
        let pair = (user_id(6), item_id(item));
        let id = running.erase(ErasureTarget::Pairs(vec![pair])).await;
        records.push(running.certified(id).await);
    }
    done.store(true, Ordering::Relaxed);
    records
}

#[test]
fn erasures_are_certified_under_a_steady_stream_of_additions() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let running = running(&folder.path().join("data")).await;
        let done = AtomicBool::new(false);
        let (records, added) = tokio::join!(
            erase_and_await(&running, &done),
            keep_adding(&running, &done)
        );
        assert!(added > 8, "{added}");
        for record in &records {
            let position = record.certified_position.expect("stated");
            assert!(position >= record.position);
            assert!(record.certified_version >= record.model_version_after);
            let held =
                matches!(&record.certificate, Some(Certificate::DualityGap(gap)) if gap.holds);
            assert!(held, "{record:?}");
            let receipt = running.service.receipt(record.id).await.expect("readable");
            assert!(matches!(receipt, ReceiptAnswer::Signed(_)), "{receipt:?}");
        }
        // The last certificate is of a version that the live one descends from.
        let model = running.service.model();
        let last = model.certified.expect("certified");
        assert!(last.version <= model.version && last.age_seconds >= 0.0);
        assert!(
            records
                .iter()
                .all(|record| Some(last.version) >= record.certified_version)
        );
        running.until_certified().await;
        let model = running.service.model();
        assert_eq!(model.certified.expect("certified").events_since, 0);
        running.guard.stop().await;
    });
}

#[test]
fn a_stop_in_the_middle_of_a_refinement_leaves_what_the_next_start_certifies() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let mut running = running(&folder.path().join("data")).await;
        let mut ids = Vec::new();
        for item in 0..6 {
            let pair = (user_id(item), item_id(item));
            ids.push(running.erase(ErasureTarget::Pairs(vec![pair])).await);
            running.until_forgotten().await;
            running = running.restart().await;
        }
        for id in ids {
            let record = running.certified(id).await;
            assert!(record.certified_position >= Some(record.position));
        }
        let head = running.store.receipt_head().expect("readable");
        assert_ne!(head, ChainHead::default());
        running.guard.stop().await;
    });
}

fn question(user: u8, as_of: AsOf) -> RecommendQuery {
    RecommendQuery {
        explain: true,
        as_of,
        ..RecommendQuery::new(Subject::User(user_id(user)), 3)
    }
}

/// While additions move the live version on, the certified one still answers with proofs, but not
/// for somebody of whom something was erased since, and not with what was.
#[test]
fn the_certified_version_answers_with_proofs_for_everybody_but_who_was_erased() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let running = running(&folder.path().join("data")).await;
        running.until_certified().await;
        let certified = running.service.model().certified.expect("certified");
        let ask = |user, as_of| running.service.recommend(question(user, as_of));
        let before = ask(1, AsOf::Certified).await.expect("an answer");
        assert_eq!(before.model_version, certified.version);
        // One update learns and forgets; the version after it may be certified soon, so what is asked
        // is asked of whichever version is the certified one then.
        running
            .service
            .add(vec![interaction(1)])
            .await
            .expect("accepted");
        running.erase(ErasureTarget::User(user_id(2))).await;
        running.until_forgotten().await;
        let gone = ask(2, AsOf::Certified).await.expect("an answer");
        assert_eq!(gone.source, Source::Popular);
        for user in [1, 4] {
            let answer = ask(user, AsOf::Certified).await.expect("an answer");
            let explanation = answer.explanation.expect("asked for");
            assert_eq!(explanation.certificate_version, Some(answer.model_version));
            assert!(explanation.score_bound.is_some(), "{explanation:?}");
            assert_ne!(explanation.reason, Reason::NotCertifiedYet);
            let seen = answer.items.iter().any(|found| found.item == item_id(1));
            assert!(user != 1 || !seen, "what was added since is left out");
        }
        running.until_certified().await;
        let live = ask(1, AsOf::Live).await.expect("an answer");
        let same = ask(1, AsOf::Certified).await.expect("an answer");
        assert_eq!(live.model_version, same.model_version);
        assert_eq!(live.explanation, same.explanation);
        running.guard.stop().await;
    });
}
