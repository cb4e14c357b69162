//! Whether the store opens, and how far erasures, the log and receipts have come.

use std::time::Duration;

use recant_receipt::{ChainEntry, check_chain, verify_entry};
use recant_store::{Contents, Inspected};
use recant_types::UnixMillis;

use super::facts::store::StoreFacts;
use super::finding::{Finding, bytes, counted};

/// An erasure that has waited longer than this for its certificate should be looked at.
const CERTIFICATE_LATE: Duration = Duration::from_secs(60 * 60);

/// What there is to say about the store. `now` is when it was looked at.
pub(super) fn findings(store: &StoreFacts, now: UnixMillis) -> Vec<Finding> {
    match store {
        StoreFacts::Nothing => Vec::new(),
        StoreFacts::InUse => vec![Finding::unseen(
            "store.opens",
            "a server has the store open, so its records, its log and its receipts were not looked at",
            "ask the server: /readyz, /metrics and /erasures say the same; or stop it and run the \
             command again",
        )],
        StoreFacts::NoMasterKey => vec![Finding::unseen(
            "store.opens",
            "the master key is not in the environment here, so the records, the log and the receipts \
             were not looked at",
            "run the command with the environment of the server",
        )],
        StoreFacts::Refused(error) => vec![Finding::problem(
            "store.opens",
            format!("the store does not open, and no server starts with it: {error}"),
            "do what the message says; docs/store.md, \"What a crash leaves\", says what each means",
        )],
        StoreFacts::Seen(Inspected::TooLarge { bytes: size, room }) => vec![Finding::unseen(
            "store.opens",
            format!(
                "the database has {} and would have to be copied to be looked into, for which there are {}",
                bytes(*size),
                bytes(*room)
            ),
            "let TMPDIR name a folder with room, and raise store.recovery_copy_max_bytes if it is less",
        )],
        StoreFacts::Seen(Inspected::OtherSchema { found, known }) => vec![schema(*found, *known)],
        StoreFacts::Seen(Inspected::Contents(contents)) => inside(contents, now),
    }
}

fn schema(found: u32, known: u32) -> Finding {
    const CHECK: &str = "store.schema";
    if found > known {
        return Finding::problem(
            CHECK,
            format!("the store has schema version {found}, and this program knows {known}"),
            "use the recant that wrote it, or a newer one",
        );
    }
    if found < known {
        return Finding::warning(
            CHECK,
            format!(
                "the store has schema version {found}: the next start brings it to {known}, and an \
                 older recant does not open it any more"
            ),
            "make a backup first if you may want to go back",
        );
    }
    Finding::ok(
        CHECK,
        format!("the store has schema version {found}, as this program writes it"),
    )
}

fn inside(contents: &Contents, now: UnixMillis) -> Vec<Finding> {
    vec![
        schema(contents.schema, contents.known_schema),
        opens(contents),
        log(contents),
        erasures(contents, now),
        compaction(contents),
        receipts(contents),
        model(contents),
    ]
}

fn opens(contents: &Contents) -> Finding {
    const CHECK: &str = "store.opens";
    if contents.commit < contents.acknowledged {
        return Finding::problem(
            CHECK,
            format!(
                "the store went back in time: it holds commit {}, and {} was acknowledged",
                contents.commit, contents.acknowledged
            ),
            "restore a backup with `recant restore`",
        );
    }
    if contents.unreadable > 0 {
        return Finding::problem(
            CHECK,
            format!(
                "{} cannot be read: damaged, or sealed under a key that is gone",
                counted(contents.unreadable, "record")
            ),
            "see that keys/ring is the newest there was; else restore a backup with `recant restore`",
        );
    }
    Finding::ok(
        CHECK,
        format!(
            "every record opens: {}, {}, {}, {}",
            counted(contents.users, "user"),
            counted(contents.items, "item"),
            counted(contents.interactions, "interaction"),
            counted(contents.tombstones, "tombstone")
        ),
    )
}

fn log(contents: &Contents) -> Finding {
    const CHECK: &str = "store.log";
    let (end, applied) = (contents.log_end.0, contents.applied.0);
    match end.saturating_sub(applied) {
        0 => Finding::ok(
            CHECK,
            format!("the log is carried out up to its end, position {end}"),
        ),
        waiting => Finding::ok(
            CHECK,
            format!(
                "{} of the log, after position {applied}, will be carried out at the next start",
                counted(waiting, "request")
            ),
        ),
    }
}

fn erasures(contents: &Contents, now: UnixMillis) -> Finding {
    const CHECK: &str = "store.erasures";
    let unfinished = &contents.unfinished;
    let since = unfinished
        .oldest
        .map(|oldest| oldest.to_rfc3339())
        .unwrap_or_default();
    if unfinished.not_forgotten > 0 {
        return Finding::warning(
            CHECK,
            format!(
                "{} accepted and not forgotten yet, the oldest since {since}: its keys are destroyed, and \
                 the model is rid of it once a server has started",
                counted(unfinished.not_forgotten, "erasure")
            ),
            "start the server, and watch `GET /erasures?status=accepted`",
        );
    }
    if unfinished.uncertified == 0 {
        return Finding::ok(CHECK, "no erasure waits for anything");
    }
    let waiting = format!(
        "{} forgotten and not certified yet, the oldest since {since}",
        counted(unfinished.uncertified, "erasure")
    );
    if let Some(failure) = &unfinished.failure {
        return Finding::warning(
            CHECK,
            format!("{waiting}; the last attempt says: {failure}"),
            "docs/running.md, RecantErasureUncertified, says what to do about that",
        );
    }
    let late = unfinished
        .oldest
        .is_some_and(|oldest| now.0.saturating_sub(oldest.0) > CERTIFICATE_LATE.as_millis() as i64);
    if late {
        return Finding::warning(
            CHECK,
            waiting,
            "start the server; docs/running.md, RecantErasureUncertified, says what else may hold it up",
        );
    }
    Finding::ok(CHECK, format!("{waiting}: that goes on at the next start"))
}

fn compaction(contents: &Contents) -> Finding {
    const CHECK: &str = "store.compaction";
    let Some(begun) = contents.begun_at else {
        return Finding::ok(CHECK, "the store was never compacted");
    };
    let begun = begun.to_rfc3339();
    match contents.erasures_since {
        0 => Finding::ok(
            CHECK,
            format!("no erasure was accepted since the files were last rewritten, at {begun}"),
        ),
        since => Finding::warning(
            CHECK,
            format!(
                "{} accepted since the files were last rewritten, at {begun}: their ciphertext, whose \
                 keys are gone, and old rows of the model are still in the files",
                counted(since, "erasure")
            ),
            "a running server compacts by itself; `recant compact` does it now",
        ),
    }
}

fn receipts(contents: &Contents) -> Finding {
    const CHECK: &str = "store.receipts";
    let keys = match &contents.receipt_keys {
        Ok(keys) => keys,
        Err(error) => {
            return Finding::problem(
                CHECK,
                format!("the keys that receipts are checked with cannot be used: {error}"),
                "put the right keys/receipts.json back",
            );
        }
    };
    let all = contents.receipts.len() as u64;
    let verified = contents
        .receipts
        .iter()
        .map(|receipt| verify_entry(receipt, keys));
    let verified: Vec<ChainEntry> = verified.flatten().collect();
    let bad = all - verified.len() as u64;
    if bad > 0 {
        return Finding::problem(
            CHECK,
            format!(
                "{} not verify under the published keys",
                counted(bad, "receipt does")
            ),
            "put the right keys/receipts.json back; if it is right, restore a backup with `recant restore`",
        );
    }
    let chain = check_chain(&verified);
    let last = verified
        .iter()
        .map(ChainEntry::head)
        .max_by_key(|head| head.sequence);
    let ends_well = last.unwrap_or_default() == contents.receipt_head;
    if !chain.holds() || !chain.is_complete() || !ends_well {
        return Finding::problem(
            CHECK,
            "the chain of receipts does not hold: one was changed, dropped or put in",
            "compare it with receipts and checkpoints that others hold (`recant verify`), and restore a \
             backup with `recant restore`",
        );
    }
    Finding::ok(
        CHECK,
        format!("{} verify, and their chain holds", counted(all, "receipt")),
    )
}

fn model(contents: &Contents) -> Finding {
    const CHECK: &str = "store.model";
    match (&contents.model, contents.interactions) {
        (Some(header), _) => Finding::ok(
            CHECK,
            format!("there is a model, version {}", header.version),
        ),
        (None, 0) => Finding::ok(CHECK, "there is no model, and nothing to learn from yet"),
        (None, _) => Finding::warning(
            CHECK,
            "there is no model: a server trains one before it is ready",
            "train with `recant train` beforehand, if that takes long",
        ),
    }
}

#[cfg(test)]
mod tests {
    use recant_receipt::{ChainHead, JwkSet};
    use recant_store::{LogPosition, StoreError, UnfinishedErasures};

    use super::super::finding::Severity;
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    /// A store that nothing is wrong with.
    fn good() -> Contents {
        Contents {
            schema: 4,
            known_schema: 4,
            commit: 9,
            acknowledged: 9,
            unreadable: 0,
            users: 2,
            items: 2,
            interactions: 0,
            model: None,
            begun_at: Some(UnixMillis(NOW.0 - 1_000)),
            erasures_since: 0,
            log_end: LogPosition(5),
            applied: LogPosition(5),
            unfinished: UnfinishedErasures::default(),
            tombstones: 0,
            newest: None,
            receipts: Vec::new(),
            receipt_head: ChainHead::default(),
            receipt_keys: Ok(JwkSet::default()),
        }
    }

    fn severity(change: impl FnOnce(&mut Contents), check: &str) -> Severity {
        let mut contents = good();
        change(&mut contents);
        let findings = inside(&contents, NOW);
        let found = findings.iter().find(|finding| finding.check == check);
        found.expect(check).severity
    }

    #[test]
    fn nothing_is_said_against_a_store_in_order() {
        for finding in inside(&good(), NOW) {
            assert_eq!(finding.severity, Severity::Ok, "{finding:?}");
        }
    }

    #[test]
    fn damage_is_a_problem() {
        use Severity::{Problem, Warning};
        assert_eq!(severity(|c| c.commit = 8, "store.opens"), Problem);
        assert_eq!(severity(|c| c.unreadable = 1, "store.opens"), Problem);
        assert_eq!(severity(|c| c.known_schema = 3, "store.schema"), Problem);
        assert_eq!(severity(|c| c.known_schema = 5, "store.schema"), Warning);
        let forged = |c: &mut Contents| c.receipts.push(String::from("a.b.c"));
        assert_eq!(severity(forged, "store.receipts"), Problem);
        let dropped = |c: &mut Contents| c.receipt_head.sequence = 3;
        assert_eq!(severity(dropped, "store.receipts"), Problem);
        let changed = |c: &mut Contents| c.receipt_keys = Err(StoreError::Closed);
        assert_eq!(severity(changed, "store.receipts"), Problem);
    }

    #[test]
    fn an_erasure_that_waits_is_told_by_how_long_and_why() {
        let waiting = |not_forgotten, uncertified, age, failure: Option<&str>| {
            let unfinished = UnfinishedErasures {
                not_forgotten,
                uncertified,
                oldest: Some(UnixMillis(NOW.0 - age)),
                failure: failure.map(String::from),
            };
            severity(|c| c.unfinished = unfinished, "store.erasures")
        };
        assert_eq!(waiting(1, 0, 1, None), Severity::Warning);
        assert_eq!(waiting(0, 1, 1, None), Severity::Ok);
        assert_eq!(waiting(0, 1, 7_200_000, None), Severity::Warning);
        assert_eq!(waiting(0, 1, 1, Some("raise lambda")), Severity::Warning);
        assert_eq!(
            severity(|c| c.erasures_since = 2, "store.compaction"),
            Severity::Warning
        );
    }

    #[test]
    fn what_could_not_be_looked_into_is_unseen() {
        let seen = |facts: StoreFacts| findings(&facts, NOW)[0].severity;
        assert_eq!(seen(StoreFacts::InUse), Severity::Unseen);
        assert_eq!(seen(StoreFacts::NoMasterKey), Severity::Unseen);
        let large = Inspected::TooLarge { bytes: 2, room: 1 };
        assert_eq!(seen(StoreFacts::Seen(large)), Severity::Unseen);
        assert_eq!(
            seen(StoreFacts::Refused(StoreError::Closed)),
            Severity::Problem
        );
    }
}
