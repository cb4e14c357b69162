//! Archives, compressions and folders.

use std::io::Write;

use recant_import::{ImportError, ImportOptions, ReadOptions};

use super::support::{import, import_paths, write};

#[test]
fn archives_are_named_with_the_way_out() {
    let zip = b"PK\x03\x04\x14\0\0\0\x08\0user_id,item_id";
    let gzip = |content: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).expect("memory");
        encoder.finish().expect("memory")
    };
    let mut tar = vec![0; 257];
    tar.extend(b"ustar\x0000");
    for (name, content, what) in [
        ("x.zip", zip.to_vec(), "zip archive"),
        ("x.csv", zip.to_vec(), "zip archive"),
        ("x.csv.bz2", b"BZh91AY&SY\x01\x02".to_vec(), "bzip2"),
        ("x.csv.xz", b"\xfd7zXZ\0\0\x04".to_vec(), "xz"),
        ("x.tar.gz", gzip(&tar), "tar archive"),
    ] {
        let error = import(name, content, ReadOptions::default()).expect_err(name);
        assert!(matches!(error, ImportError::Foreign { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains(what) && message.contains("unpack it"),
            "{message}"
        );
    }
    let (_, sink) = import(
        "x.csv.gz",
        gzip(b"user_id,item_id\na,x\n"),
        ReadOptions::default(),
    )
    .expect("gzip is read");
    assert_eq!(sink.users(), ["a"]);
}

#[test]
fn a_folder_is_read_as_its_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in [
        ("_SUCCESS", ""),
        ("._SUCCESS.crc", "crc"),
        ("part-00000.csv", "user_id,item_id\na,x\n"),
        ("part-00001.csv", ""),
        ("part-00002.csv", "user_id,item_id\n"),
        ("part-00003.jsonl", "{\"user\":\"b\",\"item\":\"y\"}\n"),
    ] {
        write(folder.path(), name, content);
    }
    let named = [folder.path().to_owned()];
    let (counts, sink) = import_paths(&named, &ImportOptions::default()).expect("readable");
    assert_eq!((counts.read, sink.users()), (2, vec!["a", "b"]));
    for part in ["part-00000.csv", "part-00003.jsonl"] {
        write(folder.path(), part, "");
    }
    let error = import_paths(&named, &ImportOptions::default()).expect_err("nothing in it");
    assert!(matches!(error, ImportError::NoRows(path) if path == folder.path()));
}
