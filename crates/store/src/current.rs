//! A record while an erasure may be taking it away.

use crate::codec::Codec;
use crate::database::Database;
use crate::error::StoreError;

/// A value and what is sealed in it.
pub(super) type Opened = Option<(sled::IVec, Vec<u8>)>;

/// Opens the value that was read at `key`, or the one that stands there by now; `None` when it is
/// gone.
///
/// Between the reading and the opening an erasure may seal a record anew and destroy its key, whose
/// slot may even hold the key of somebody else already. The database changes before that, so a
/// value that does not open is damaged only if it still stands there.
pub(super) fn open_current(
    database: &Database,
    codec: &Codec,
    key: &[u8],
    value: &sled::IVec,
) -> Result<Opened, StoreError> {
    let mut value = value.clone();
    loop {
        let opened = codec.open_if_kept(key, &value);
        if let Ok(Some(payload)) = opened {
            return Ok(Some((value, payload)));
        }
        match database.get(key)? {
            None => return Ok(None),
            Some(again) if again == value => {
                opened?;
                return Err(StoreError::damaged("a record whose key is gone"));
            }
            Some(again) => value = again,
        }
    }
}
