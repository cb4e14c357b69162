use proptest::prelude::*;

use super::*;
use crate::fact::{CertifiedErasure, ForgottenErasure};
use recant_receipt::ChainHead;
use recant_types::{
    Certificate, ErasureStatus, FeedbackType, GapCertificate, Names, PropertyValue, TypedPair,
};

fn user(number: u8) -> UserId {
    UserId::new(&format!("ada-{number}")).expect("an id")
}

fn item(number: u8) -> ItemId {
    ItemId::new(&format!("boat-{number}")).expect("an id")
}

fn typed(number: u8) -> TypedPair {
    TypedPair {
        user: user(number),
        item: item(number),
        feedback: FeedbackType::new("view").expect("a name"),
    }
}

fn target() -> impl Strategy<Value = ErasureTarget> {
    any::<u8>().prop_flat_map(|n| {
        prop_oneof![
            Just(ErasureTarget::User(user(n))),
            Just(ErasureTarget::Item(item(n))),
            Just(ErasureTarget::Pairs(vec![
                (user(n), item(n)),
                (user(1), item(2))
            ])),
            Just(ErasureTarget::TypedPairs(vec![typed(n)])),
            Just(ErasureTarget::Restriction(vec![user(n), user(2)])),
            (any::<bool>(), any::<bool>()).prop_map(move |(pairs, typed_pairs)| {
                ErasureTarget::Several(Names {
                    users: vec![user(n)],
                    items: vec![item(n)],
                    pairs: pairs.then(|| (user(n), item(n))).into_iter().collect(),
                    typed_pairs: typed_pairs.then(|| typed(n)).into_iter().collect(),
                })
            }),
        ]
    })
}

fn entry() -> impl Strategy<Value = DecidedEntry> {
    let row = (any::<u8>(), 0.1f32..9.0, any::<Option<i64>>());
    let row = row.prop_map(|(n, weight, timestamp)| Interaction {
        user: user(n),
        item: item(n),
        feedback: FeedbackType::default(),
        weight,
        timestamp,
    });
    let addition = (
        prop::collection::vec(row, 0..4),
        any::<Option<u64>>(),
        0..9u32,
    );
    let addition = addition.prop_map(|(rows, position, held_back)| {
        DecidedEntry::Add(DecidedAddition {
            position: position.map(LogPosition),
            rows,
            held_back,
        })
    });
    let erasure = (target(), any::<bool>(), any::<i64>(), any::<u64>());
    let erasure = erasure.prop_map(|(target, is_full, at, position)| {
        let id = ErasureId::generate();
        let bare = DecidedErasure {
            position: LogPosition(position),
            id,
            accepted_at: UnixMillis(at),
            target,
            commitment: None,
            requested_by: None,
            idempotency: None,
            until: None,
        };
        DecidedEntry::Erase(Box::new(if is_full {
            DecidedErasure {
                commitment: Some(Commitment([7; 32])),
                requested_by: Some(String::from("shop")),
                idempotency: Some(Idempotency {
                    key: [1; 32],
                    request: [2; 32],
                }),
                until: Some(UnixMillis(at)),
                ..bare
            }
        } else {
            bare
        }))
    });
    prop_oneof![addition, erasure]
}

fn fact(n: u8) -> impl Strategy<Value = Fact> {
    let (at, position) = (UnixMillis(n.into()), LogPosition(n.into()));
    let (id, head) = (ErasureId::generate(), ChainHead::from_last(7, "receipt"));
    let certificate = prop_oneof![
        Just(Certificate::residual(1e-9, 1e-6)),
        prop::option::of("[a-z]{0,9}").prop_map(|approximate| {
            Certificate::DualityGap(GapCertificate {
                holds: approximate.is_none(),
                target: 1e-5,
                root_mean_square: 1e-6,
                frobenius: 1e-6,
                gap: 1e-9,
                dual_scale: 1.0,
                residual: 1e-7,
                failure_probability: 1e-12,
                approximate,
            })
        }),
    ];
    let forgotten = Fact::Forgotten {
        learnt: position,
        erasures: vec![ForgottenErasure {
            id,
            erased_at: at,
            forgotten_at: at,
            model_version_before: 1,
            model_version_after: 2,
        }],
    };
    let certified = certificate.prop_map(move |certificate| Fact::Certified {
        erasures: vec![CertifiedErasure {
            id,
            certified_at: at,
            certified_version: 3,
            certified_position: position,
            certificate,
        }],
        receipts: vec![(id, String::from("receipt"))],
        nodes: vec![(12, [n; 32])],
        head,
    });
    prop_oneof![
        Just(forgotten),
        certified,
        Just(Fact::Refused {
            ids: vec![id],
            reason: String::from("no room"),
        }),
        Just(Fact::Told {
            endpoint: OutboxEndpoint::of("crm"),
            done: vec![(id, None), (id, Some(ErasureStatus::Forgotten))],
        }),
        Just(Fact::Settled {
            node: String::from("n2"),
            upto: n.into(),
            receipt: String::from("receipt"),
            nodes: Vec::new(),
            head,
        }),
    ]
}

fn change() -> impl Strategy<Value = DecidedChange> {
    let said = prop_oneof![
        any::<bool>().prop_map(PropertyValue::Truth),
        (-1e9f64..1e9).prop_map(PropertyValue::Number),
        "[a-z]{0,9}".prop_map(|text| PropertyValue::Text(text.into())),
    ];
    let said = prop::collection::btree_map("[a-z]{1,5}".prop_map(Into::into), said, 0..4);
    (any::<u8>(), said).prop_flat_map(|(n, said)| {
        let mut description = ItemDescription::of(item(n));
        description.title = (n > 9).then(|| "A title".into());
        description.properties.clone_from(&said);
        let properties = PersonProperties::new(said).expect("within bounds");
        prop_oneof![
            fact(n).prop_map(|fact| DecidedChange::Fact(Box::new(fact))),
            Just(DecidedChange::Describe(description)),
            Just(DecidedChange::RemoveDescription(item(n))),
            Just(DecidedChange::PutProperties {
                id: user(n),
                properties
            }),
            Just(DecidedChange::PutOutbox {
                endpoint: OutboxEndpoint::of("shop"),
                id: ErasureId::generate()
            }),
        ]
    })
}

fn decided() -> impl Strategy<Value = Decided> {
    let lift = (any::<u8>(), prop::collection::vec(any::<u64>(), 0..3));
    let lift = lift.prop_map(|(n, positions)| DecidedLift {
        user: user(n),
        at: UnixMillis(n.into()),
        positions: positions.into_iter().map(LogPosition).collect(),
    });
    let accepted = (
        prop::collection::vec(change(), 0..4),
        prop::option::of(Just(InvalidProperties::TooLong)),
        prop::collection::vec(entry(), 0..4),
        prop::collection::vec(lift, 0..3),
    );
    let accepted = accepted.prop_map(|(changes, refused, entries, lifts)| {
        Outcome::Accepted(Accepted {
            changes,
            refused,
            entries,
            lifts,
        })
    });
    prop_oneof![
        8 => accepted,
        1 => Just(Outcome::Repeated(ErasureId::generate())),
        1 => Just(Outcome::Refused(Refusal::NoSpace)),
        1 => Just(Outcome::Refused(Refusal::IdempotencyKeyReused)),
    ]
    .prop_map(Decided)
}

proptest! {
    #[test]
    fn what_was_decided_reads_back_and_shows_nobody(decided in decided()) {
        let bytes = decided.to_bytes();
        prop_assert!(Decided::from_bytes(&bytes) == Ok(decided.clone()));
        let shown = format!("{decided:?}");
        prop_assert!(!shown.contains("ada") && !shown.contains("boat"), "{}", shown);
        prop_assert!(Decided::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        let mut longer = bytes.clone();
        longer.push(0);
        prop_assert!(Decided::from_bytes(&longer) == Err(DecidedError::Damaged));
        longer[0] = FORMAT + 1;
        prop_assert!(Decided::from_bytes(&longer) == Err(DecidedError::Format(FORMAT + 1)));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(decided) = Decided::from_bytes(&bytes) {
            prop_assert!(Decided::from_bytes(&decided.to_bytes()).is_ok());
        }
    }
}
