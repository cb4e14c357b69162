//! The decoders of everything that comes from outside, as fuzzing calls them.
//!
//! Each takes any bytes, must not panic, and says whether they were taken for what they claim to
//! be. `fuzz/` has a libFuzzer target for each; the corpus there is run by `cargo test`. Not part of
//! the library's interface.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, memfd_create};

use recant_http::fuzzing as http;
use recant_import::{
    Format, ImportError, ImportOptions, Part, ReadOptions, RowSink, SinkError, SinkTotals,
    TakenRow, open,
};
use recant_receipt::{JwkSet, SigningKey, check_chain, sign, sign_bytes, verify, verify_entry};
use recant_service::fuzzing as service;
use recant_store::fuzzing as store;

/// A decoder: its name, and what runs it.
pub struct Target {
    /// Name of the libFuzzer target and of its folder in the corpus.
    pub name: &'static str,
    /// Decodes; whether the bytes were taken.
    pub run: fn(&[u8]) -> bool,
}

const fn target(name: &'static str, run: fn(&[u8]) -> bool) -> Target {
    Target { name, run }
}

/// Every decoder.
pub const TARGETS: [Target; 22] = [
    target("log_erasure", store::log_erasure),
    target("log_addition", store::log_addition),
    target("history", store::history),
    target("key_ring", store::key_ring),
    target("transfer", store::transfer),
    target("receipt", receipt),
    target("receipt_claims", receipt_claims),
    target("key_set", key_set),
    target("interactions_json", http::interactions_json),
    target("interactions_lines", http::interactions_lines),
    target("erasures", http::erasures),
    target("query", http::query),
    target("gorse_feedback", http::gorse_feedback),
    target("gorse_item", http::gorse_item),
    target("gorse_user", http::gorse_user),
    target("drp_signed", http::drp_signed),
    target("drp_message", http::drp_message),
    target("filter", service::filter),
    target("import_csv", import_csv),
    target("import_json_lines", import_json_lines),
    target("import_u_data", import_u_data),
    target("import_parquet", import_parquet),
];

/// Runs the decoder `name`.
pub fn run(name: &str, bytes: &[u8]) -> bool {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of the table").run)(bytes)
}

/// The key of the receipts in the corpus.
fn key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

fn keys() -> JwkSet {
    JwkSet {
        keys: vec![key().public()],
    }
}

/// A receipt or a settlement as text: nothing but what the key signed is taken.
fn receipt(bytes: &[u8]) -> bool {
    let entry = std::str::from_utf8(bytes).map(|text| verify_entry(text, &keys()));
    matches!(entry, Ok(Ok(entry)) if check_chain([&entry]).holds())
}

/// Claims of any kind, signed: what is taken for a receipt reads back as what it says.
fn receipt_claims(bytes: &[u8]) -> bool {
    let Ok(receipt) = verify(&sign_bytes(&key(), bytes), &keys()) else {
        return false;
    };
    let again = verify(&sign(&key(), &receipt.claims), &keys());
    assert_eq!(again.map(|again| again.claims), Ok(receipt.claims));
    true
}

/// A set of public keys.
fn key_set(bytes: &[u8]) -> bool {
    let Ok(set) = serde_json::from_slice::<JwkSet>(bytes) else {
        return false;
    };
    set.keys.iter().any(|key| set.find(&key.kid).is_some())
}

fn import_csv(bytes: &[u8]) -> bool {
    import(bytes, Format::Csv)
}

fn import_json_lines(bytes: &[u8]) -> bool {
    import(bytes, Format::JsonLines)
}

fn import_u_data(bytes: &[u8]) -> bool {
    import(bytes, Format::MovieLensData)
}

fn import_parquet(bytes: &[u8]) -> bool {
    import(bytes, Format::Parquet)
}

/// Imports a file of interactions, to its end or to the error that ends it. No row vanishes: the
/// rows read are those given to the sink and those rejected, and as many as the file has records.
fn import(bytes: &[u8], format: Format) -> bool {
    let (_file, path) = file_of(bytes);
    let read = ReadOptions {
        format: Some(format),
        ..ReadOptions::default()
    };
    let Some(records) = read_all(&path, &read) else {
        return false;
    };
    if let Some(expected) = records_of(bytes, format) {
        assert_eq!(records, expected, "records of the file");
    }
    let options = ImportOptions {
        read,
        ..ImportOptions::default()
    };
    let part = Part { path, folder: None };
    let mut sink = Counting::default();
    match recant_import::run(&[part], &[], &options, &mut sink, &mut |_| {}) {
        Ok(counts) => {
            let totals = SinkTotals {
                kept: sink.0,
                ..SinkTotals::default()
            };
            let account = counts.close(totals).expect("the parts add up");
            assert_eq!(account.read(), records);
            sink.0 > 0
        }
        Err(ImportError::AllRejected { rows, .. }) => {
            assert_eq!((rows, sink.0), (records, 0));
            false
        }
        Err(ImportError::NoRows(_)) => {
            assert_eq!(records, 0);
            false
        }
        Err(error) => panic!("it was read to its end before: {error}"),
    }
}

/// The number of rows, good or bad; `None` when the file cannot be read to its end.
fn read_all(path: &std::path::Path, options: &ReadOptions) -> Option<u64> {
    let mut rows = open(path, options).ok()?;
    let mut records = 0;
    while let Some(row) = rows.next_row().ok()? {
        records += 1;
        if let Ok(row) = row.row {
            assert_eq!(recant_types::trim_id(row.user), Ok(row.user));
            assert_eq!(recant_types::trim_id(row.item), Ok(row.item));
            assert!(row.rating.is_none_or(|rating| !rating.is_nan()));
        }
    }
    Some(records)
}

/// The records that a file of lines has, counted without reading them: lines that are not blank, but
/// for the header. `None` where lines do not tell.
fn records_of(bytes: &[u8], format: Format) -> Option<u64> {
    let is_plain =
        !bytes.starts_with(&[0x1f, 0x8b]) && !bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    if !is_plain || format == Format::Parquet {
        return None;
    }
    // Where there is no newline in sight, lines end in carriage returns.
    let head = &bytes[..bytes.len().min(8 * 1024)];
    let in_returns = !head.contains(&b'\n') && head.contains(&b'\r');
    let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
    let lines = bytes.split(|byte| *byte == b'\n' || (in_returns && *byte == b'\r'));
    let is_blank = |line: &[u8]| line.iter().all(|byte| matches!(byte, b' ' | b'\r'));
    let lines = lines.filter(|line| !is_blank(line)).count() as u64;
    Some(lines - u64::from(format == Format::Csv))
}

/// Counts what it is given.
#[derive(Default)]
struct Counting(u64);

impl RowSink for Counting {
    fn push(&mut self, _: TakenRow<'_>, weight: f32) -> Result<(), SinkError> {
        assert!((recant_types::WEIGHT_MIN..=recant_types::WEIGHT_MAX).contains(&weight));
        self.0 += 1;
        Ok(())
    }

    fn withdraw(&mut self, _: TakenRow<'_>) -> Result<(), SinkError> {
        unreachable!("no rating is wanted")
    }

    fn describe(&mut self, _: &str, _: &recant_types::DescriptionPatch) -> Result<(), SinkError> {
        unreachable!("there are no items")
    }
}

/// A file in memory with this content, and a path to it that lives as long as the file.
fn file_of(bytes: &[u8]) -> (File, PathBuf) {
    let memory = memfd_create("recant-fuzzing", MemfdFlags::CLOEXEC).expect("memory");
    let mut file = File::from(memory);
    file.write_all(bytes).expect("memory");
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    (file, path)
}

/// Seeds of the corpus of `name` that cannot be written by hand, by file name.
pub fn binary_seeds(name: &str) -> Vec<(&'static str, Vec<u8>)> {
    match name {
        "log_erasure" => store::erasure_seeds(),
        "log_addition" => store::addition_seeds(),
        "history" => store::history_seeds(),
        "key_ring" => store::key_ring_seeds(),
        "transfer" => store::transfer_seeds(),
        "receipt" => receipt_seeds()
            .into_iter()
            .map(|(name, claims)| (name, sign_bytes(&key(), &claims).into_bytes()))
            .collect(),
        "receipt_claims" => receipt_seeds(),
        "drp_signed" => drp_seeds(),
        "key_set" => vec![("good-one", serde_json::to_vec(&keys()).expect("plain data"))],
        _ => Vec::new(),
    }
}

/// Bodies of the Data Rights Protocol: well signed, and not.
fn drp_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let good = http::drp_body(br#"{"agent-id":"AA","exercise":"deletion","identifier":"ada"}"#);
    let unpadded = good.iter().copied().filter(|byte| *byte != b'=');
    let mut bent = good.clone();
    bent[4] = if bent[4] == b'A' { b'B' } else { b'A' };
    vec![
        ("good-empty", http::drp_body(b"{}")),
        ("good-unpadded", unpadded.collect()),
        ("bad-signature", bent),
        ("bad-list", http::drp_body(b"[1]")),
        ("bad-no-json", http::drp_body(&[0xff, 0, b'{'])),
        ("bad-short", good[..80].to_vec()),
        ("good-deletion", good),
    ]
}

fn receipt_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let claims = r#"{"iss":"recant","iat":1,"jti":"019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a","kind":"pairs","pairs":2,
        "commitment":{"method":"recant-erasure-commitment-1+HMAC-SHA-256","value":"AA"},
        "accepted_at":"2026-01-31T12:00:00.000Z","erased_at":"2026-01-31T12:00:00.001Z",
        "forgotten_at":"2026-01-31T12:00:00.015Z","certified_at":"2026-01-31T12:00:01.000Z",
        "model_version_before":1,"model_version_after":2,"model_version_certified":3,
        "certificate":{"kind":"residual","residual":1e-5,"tolerance":1e-4,"note":"n"},"generation":1,
        "scan":{"method":"key_slots_and_records","clean":true},"sequence":1,"previous":null}"#;
    vec![
        ("good-first", claims.into()),
        (
            "good-second",
            claims
                .replace("1,\"previous\":null", "2,\"previous\":\"AA\"")
                .into(),
        ),
        (
            "bad-second-without-a-first",
            claims.replace("\"sequence\":1", "\"sequence\":2").into(),
        ),
    ]
}
