//! The bytes of the ring file. docs/store.md draws them.

use zeroize::Zeroizing;

use super::master::{MasterKey, master};
use crate::error::StoreError;
use crate::seal::{KEY_BYTES, NONCE_BYTES, SecretKey, TAG_BYTES};

/// Header, first copy.
pub(super) const HEADER_AT: u64 = 0;
/// The two places of the mark.
pub(super) const MARKS_AT: [u64; 2] = [4_096, 8_192];
/// Header, second copy.
pub(super) const HEADER_COPY_AT: u64 = 12_288;
/// Slots that are no person's.
pub(super) const SPECIAL_SLOTS: u32 = 16;
/// The first slot.
pub(super) const SLOTS_AT: u64 = 16_384;
/// Bytes of a slot: 8 fill a sector of 512 bytes, so a sector that is torn tears no slot.
pub(super) const SLOT_BYTES: usize = 64;

const MAGIC: [u8; 8] = *b"RECANTKR";
const VERSION: u32 = 1;
const RING_ID_BYTES: usize = 16;
/// Magic, version and ring id: what the wrapped key is bound to.
const BOUND_BYTES: usize = 28;
const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;
/// Bytes of the header in use.
pub(super) const HEADER_BYTES: usize = BOUND_BYTES + WRAPPED_BYTES + 4;

const MARK_MAGIC: [u8; 4] = *b"RHW2";
/// Bytes of a mark.
pub(super) const MARK_BYTES: usize = 24;

/// The number of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(pub u32);

impl Slot {
    /// Where the slot begins in the file.
    pub(super) fn offset(self) -> u64 {
        SLOTS_AT + u64::from(self.0) * SLOT_BYTES as u64
    }
}

/// What was acknowledged, noted outside the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// The last commit.
    pub commit: u64,
    /// How many erasures were accepted since the store was made.
    pub erasures: u64,
}

impl Mark {
    pub(super) fn encode(self) -> [u8; MARK_BYTES] {
        let mut bytes = [0; MARK_BYTES];
        bytes[..4].copy_from_slice(&MARK_MAGIC);
        bytes[4..12].copy_from_slice(&self.commit.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.erasures.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..20]);
        bytes[20..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; MARK_BYTES]) -> Option<Self> {
        let intact = crc32fast::hash(&bytes[..20]).to_le_bytes() == bytes[20..];
        let number = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        (intact && bytes.starts_with(&MARK_MAGIC)).then_some(Self {
            commit: number(4)?,
            erasures: number(12)?,
        })
    }
}

/// The ring's own key and name: what the header holds.
#[derive(Debug)]
pub(super) struct RingKey {
    id: [u8; RING_ID_BYTES],
    key: SecretKey,
}

impl RingKey {
    pub(super) fn random() -> Self {
        Self {
            id: rand::random(),
            key: SecretKey::random(),
        }
    }

    /// The header, with the ring's key wrapped by `master`.
    pub(super) fn encode(&self, master: &MasterKey) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&self.id);
        let wrapped = master.0.seal(&header, self.key.expose());
        header.extend_from_slice(&wrapped);
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
        header
    }

    /// Reads an intact header; `None` when it is damaged.
    pub(super) fn decode(
        header: &[u8; HEADER_BYTES],
        masters: &[MasterKey],
    ) -> Option<Result<(Self, usize), StoreError>> {
        let (sealed, checksum) = header.split_last_chunk::<4>()?;
        if crc32fast::hash(sealed).to_le_bytes() != *checksum || !sealed.starts_with(&MAGIC) {
            return None;
        }
        let version = u32::from_le_bytes(sealed[8..12].try_into().ok()?);
        if version != VERSION {
            let what = format!("the key ring has format {version}, this program knows {VERSION}");
            return Some(Err(StoreError::damaged(what)));
        }
        let id = sealed[12..BOUND_BYTES].try_into().ok()?;
        for (number, master) in masters.iter().enumerate() {
            let opened = master
                .0
                .open(&sealed[..BOUND_BYTES], &sealed[BOUND_BYTES..]);
            if let Ok(key) = opened.map(Zeroizing::new) {
                let mut bytes = Zeroizing::new([0; KEY_BYTES]);
                bytes.copy_from_slice(&key);
                let key = SecretKey::from_bytes(bytes);
                return Some(Ok((Self { id, key }, number)));
            }
        }
        Some(Err(master(
            "is not the one of this key ring: put the right one in its place",
        )))
    }

    fn associated(&self, slot: Slot) -> [u8; RING_ID_BYTES + 4] {
        let mut associated = [0; RING_ID_BYTES + 4];
        associated[..RING_ID_BYTES].copy_from_slice(&self.id);
        associated[RING_ID_BYTES..].copy_from_slice(&slot.0.to_le_bytes());
        associated
    }

    /// The nonce of a slot: 12 random bytes, then the number of the slot, so that no two slots
    /// share one, and one slot can be written without end.
    fn nonce(random: &[u8; 12], slot: Slot) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..12].copy_from_slice(random);
        nonce[12..16].copy_from_slice(&slot.0.to_le_bytes());
        nonce
    }

    /// The bytes of `slot` when it holds `key`.
    pub(super) fn encode_slot(&self, slot: Slot, key: &SecretKey) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        let random: [u8; 12] = rand::random();
        bytes[4..16].copy_from_slice(&random);
        bytes[16..48].copy_from_slice(key.expose());
        let nonce = Self::nonce(&random, slot);
        let tag = self
            .key
            .seal_in_place(&nonce, &self.associated(slot), &mut bytes[16..48]);
        bytes[48..].copy_from_slice(&tag);
        let checksum = crc32fast::hash(&bytes[4..]);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The key in the bytes of `slot`; `None` when it is empty.
    pub(super) fn decode_slot(
        &self,
        slot: Slot,
        bytes: &[u8; SLOT_BYTES],
    ) -> Result<Option<SecretKey>, StoreError> {
        if is_empty(bytes) {
            return Ok(None);
        }
        let damaged = || StoreError::damaged("a slot of the key ring");
        if crc32fast::hash(&bytes[4..]).to_le_bytes() != bytes[..4] {
            return Err(damaged());
        }
        let random = bytes[4..16].try_into().map_err(|_| damaged())?;
        let tag = bytes[48..].try_into().map_err(|_| damaged())?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        key.copy_from_slice(&bytes[16..48]);
        self.key
            .open_in_place(
                &Self::nonce(&random, slot),
                &self.associated(slot),
                &mut *key,
                &tag,
            )
            .map_err(|_| damaged())?;
        Ok(Some(SecretKey::from_bytes(key)))
    }
}

/// Whether the bytes of a slot hold nothing.
pub(super) fn is_empty(bytes: &[u8; SLOT_BYTES]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_opens_with_its_master_key_alone() {
        let (ring, master) = (RingKey::random(), MasterKey::random());
        let mut header: [u8; HEADER_BYTES] = ring.encode(&master).try_into().expect("its length");
        let masters = [MasterKey::random(), master];
        let (read, number) = RingKey::decode(&header, &masters)
            .expect("intact")
            .expect("the second key");
        assert_eq!((read.id, number), (ring.id, 1));
        assert_eq!(read.key.expose(), ring.key.expose());
        let refused = RingKey::decode(&header, &masters[..1]).expect("intact");
        assert!(matches!(refused, Err(StoreError::MasterKey { .. })));
        for byte in 0..HEADER_BYTES {
            header[byte] ^= 4;
            assert!(RingKey::decode(&header, &masters).is_none(), "byte {byte}");
            header[byte] ^= 4;
        }
    }

    proptest! {
        #[test]
        fn any_flipped_bit_of_a_slot_is_noticed(number in any::<u32>(), bit in 0..SLOT_BYTES * 8) {
            let (ring, key, slot) = (RingKey::random(), SecretKey::random(), Slot(number));
            let mut bytes = ring.encode_slot(slot, &key);
            let read = ring.decode_slot(slot, &bytes).expect("intact").expect("a key");
            prop_assert_eq!(read.expose(), key.expose());
            prop_assert!(ring.decode_slot(Slot(number ^ 1), &bytes).is_err());
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(ring.decode_slot(slot, &bytes).is_err());
            prop_assert!(ring.decode_slot(slot, &[0; SLOT_BYTES]).expect("empty").is_none());
        }

        #[test]
        fn marks_read_back_and_notice_any_flipped_bit(
            commit in any::<u64>(),
            erasures in any::<u64>(),
            bit in 0..MARK_BYTES * 8,
        ) {
            let mark = Mark { commit, erasures };
            let mut bytes = mark.encode();
            prop_assert_eq!(Mark::decode(&bytes), Some(mark));
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Mark::decode(&bytes), None);
        }
    }
}
