//! What a record or a receipt shows of an erasure tells nobody whether what it named existed.

use crate::support::{ITEMS, Plain, Row, Running, block_on, item_id, train_from_scratch, user_id};
use recant_types::{ErasureRecord, ErasureStatus, ErasureTarget, Interaction, UnixMillis, UserId};

/// Erasures of either class, of each kind of target, idle and under load.
const SAMPLES: usize = 100;

/// Largest area under the ROC curve, in either direction, that counts as telling nothing.
const AUC_MAX: f64 = 0.55;

/// Whom the samples are about; the others stay.
const KNOWN: u8 = 1;
const BUSY: u8 = 2;

/// What can be computed from what is shown, each a number that might be larger for one class.
fn shown(record: &ErasureRecord) -> [(&'static str, f64); 4] {
    let time = |time: Option<UnixMillis>| time.expect("certified").0 as f64;
    let (erased, forgotten) = (time(record.erased_at), time(record.forgotten_at));
    let accepted = record.accepted_at.0 as f64;
    [
        ("erased − accepted", erased - accepted),
        ("forgotten − erased", forgotten - erased),
        (
            "certified − forgotten",
            time(record.certified_at) - forgotten,
        ),
        ("certified − accepted", time(record.certified_at) - accepted),
    ]
}

/// The share of pairs of one of either class in which the first is larger; a tie counts half.
fn auc(one: &[f64], other: &[f64]) -> f64 {
    let wins = one.iter().flat_map(|a| {
        other.iter().map(move |b| match a.total_cmp(b) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        })
    });
    wins.sum::<f64>() / (one.len() * other.len()) as f64
}

async fn add(running: &Running, user: u8) {
    let interactions = rows(user).into_iter().map(|row| Interaction {
        feedback: Default::default(),
        user: user_id(row.user),
        item: item_id(row.item),
        weight: row.weight(),
        timestamp: row.timestamp,
    });
    let added = running.service.add(interactions.collect()).await;
    assert_eq!(added.expect("it is taken").accepted, usize::from(ITEMS));
}

fn rows(user: u8) -> Vec<Row> {
    (0..ITEMS)
        .map(|item| Row {
            user,
            item,
            quarters: 4,
            timestamp: None,
        })
        .collect()
}

async fn certified(running: &Running, target: ErasureTarget) -> ErasureRecord {
    let id = running.erase(target).await;
    loop {
        running.until_certified().await;
        let record = running.service.erasure(id).await.expect("readable");
        let record = record.expect("known");
        if record.status == ErasureStatus::Certified {
            return record;
        }
    }
}

async fn measure(running: &Running, is_busy: bool, target: impl Fn(bool, usize) -> ErasureTarget) {
    let mut classes = [Vec::new(), Vec::new()];
    for sample in 0..2 * SAMPLES {
        let exists = sample % 2 == 0;
        add(running, KNOWN).await;
        running.until_certified().await;
        if is_busy {
            add(running, BUSY).await;
        }
        let record = certified(running, target(exists, sample)).await;
        classes[usize::from(exists)].push(shown(&record));
    }
    for feature in 0..classes[0][0].len() {
        let of = |class: usize| -> Vec<f64> {
            classes[class]
                .iter()
                .map(|shown| shown[feature].1)
                .collect()
        };
        let area = auc(&of(1), &of(0));
        let name = classes[0][0][feature].0;
        println!("{name}, busy {is_busy}: AUC {area:.3}");
        assert!(area.max(1.0 - area) <= AUC_MAX, "{name}: AUC {area:.3}");
    }
}

#[test]
fn the_times_of_states_do_not_tell_whether_anybody_existed() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let mut plain = Plain::default();
        (0..4).for_each(|user| plain.add(&rows(user)));
        plain.import(folder.path());
        tokio::task::block_in_place(|| train_from_scratch(folder.path()));
        let running = Running::start(folder.path()).await;
        let stranger = |sample: usize| UserId::new(&format!("unknown-{sample}")).expect("an id");
        for is_busy in [false, true] {
            let user = |exists: bool, sample: usize| {
                ErasureTarget::User(if exists {
                    user_id(KNOWN)
                } else {
                    stranger(sample)
                })
            };
            measure(&running, is_busy, user).await;
            let pair = |exists: bool, sample: usize| {
                let user = if exists {
                    user_id(KNOWN)
                } else {
                    stranger(sample)
                };
                ErasureTarget::Pairs(vec![(user, item_id(3))])
            };
            measure(&running, is_busy, pair).await;
        }
        running.guard.stop().await;
    });
}
