//! What fuzzing calls: the frames of a transfer, as another node may send them.

use zeroize::Zeroizing;

use super::frames::{Begin, Frame, FrameReader, FrameWriter, SentKey};
use crate::seal::SecretKey;

/// Reads a transfer to its end; whether it was a whole one. What was taken is the same when it is sent on.
pub fn transfer(bytes: &[u8]) -> bool {
    let Ok((mut reader, begin)) = FrameReader::open(bytes) else {
        return false;
    };
    let mut sent = Vec::new();
    let mut writer = FrameWriter::begin(&mut sent, begin).expect("memory takes it");
    let is_whole = loop {
        match reader.next() {
            Ok(Some(frame)) => writer.put(&frame).expect("memory takes it"),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    writer.finish().expect("memory takes it");
    if is_whole {
        let (mut again, _) = FrameReader::open(&*sent).expect("just written");
        while again.next().expect("just written").is_some() {}
    }
    is_whole
}

/// Seeds for [`transfer`].
pub fn transfer_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let key = |byte| SentKey::of(&SecretKey::from_bytes(Zeroizing::new([byte; 32])));
    let begin = || Begin {
        schema: 1,
        hash: key(1),
        webhook: key(2),
    };
    let written = |frames: Vec<Frame>| {
        let mut sent = Vec::new();
        let mut writer = FrameWriter::begin(&mut sent, begin()).expect("memory takes it");
        for frame in &frames {
            writer.put(frame).expect("memory takes it");
        }
        writer.finish().expect("memory takes it");
        sent
    };
    let every_kind = || {
        vec![
            Frame::Shared {
                key: vec![1, 2],
                payload: vec![3; 40],
            },
            Frame::Personal {
                key: vec![4; 17],
                under: [5; 16],
                backup: Some([6; 16]),
                payload: vec![7; 40],
            },
            Frame::Gone { key: vec![1, 2] },
            Frame::LogKey {
                series: 1,
                epoch: 3,
                key: key(8),
            },
        ]
    };
    let cut = |bytes: Vec<u8>, left: usize| bytes[..bytes.len() - left].to_vec();
    vec![
        ("good-empty", written(Vec::new())),
        ("good-every-kind", written(every_kind())),
        ("bad-cut", cut(written(every_kind()), 20)),
        ("bad-empty", Vec::new()),
    ]
}
