//! The records of the store, and how those that are many are packed.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec::{self, PAYLOAD_BYTES_MAX};
use crate::error::StoreError;
use crate::position::LogPosition;
use recant_types::{
    Certificate, ErasureId, ErasureRecord, FEEDBACK_TYPES_MAX, FeedbackNumber, FeedbackTypes,
    InvalidProperties, ItemDescription, ItemId, ModelConfiguration, PersonProperties, UnixMillis,
    UserId, takes_the_place,
};

/// An item that has a row: people have interacted with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemRecord {
    /// The id that callers know it by.
    pub id: ItemId,
    /// Its title, as earlier versions kept it here. It has a description now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Arc<str>>,
    /// Its tags, sorted, as earlier versions kept them here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Arc<str>>,
}

impl ItemRecord {
    /// The record of an item.
    pub fn new(id: ItemId) -> Self {
        Self {
            id,
            title: None,
            tags: Vec::new(),
        }
    }

    /// The description that an earlier version kept in the record, if there is one.
    pub(crate) fn description(&self) -> Option<ItemDescription> {
        if self.title.is_none() && self.tags.is_empty() {
            return None;
        }
        let mut description = ItemDescription::of(self.id.clone());
        description.title.clone_from(&self.title);
        description.set_tags(self.tags.iter().cloned());
        Some(description)
    }
}

/// One interaction of a user, as stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoredInteraction {
    /// Row of the item.
    pub item: u32,
    /// What was done.
    pub feedback: FeedbackNumber,
    /// The weight that it came with, above 0.
    pub weight: f32,
    /// When, in the unit of the source.
    pub timestamp: Option<i64>,
}

impl StoredInteraction {
    /// What a history is in order of: one user has at most one interaction of a type with an item.
    pub fn key(&self) -> (u32, FeedbackNumber) {
        (self.item, self.feedback)
    }

    /// What is held once `new`, one more event of the same pair and type, has come: both as the rule of
    /// their type puts them together.
    pub fn together_with(self, new: Self, types: &FeedbackTypes) -> Self {
        let is_newer = takes_the_place(new.timestamp, self.timestamp);
        let event = |it: &Self| (it.weight, it.timestamp);
        let (weight, timestamp) = types.combine(new.feedback, event(&self), event(&new), is_newer);
        Self {
            weight,
            timestamp,
            ..new
        }
    }
}

/// What is stored of a model besides its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelHeader {
    /// Grows with every published version.
    pub version: u64,
    /// The term of the leader that published it, where several nodes serve together; else 0. Of two versions
    /// that of the later term is the newer one, whatever their numbers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub term: u64,
    /// The log position that the stored rows stand for.
    pub learnt: LogPosition,
    /// Which model it is.
    #[serde(flatten)]
    pub model: ModelConfiguration,
    /// Seed of the initial factors.
    pub seed: u64,
    /// Relative residual at the last measurement.
    #[serde(default)]
    pub residual: Option<f64>,
    /// Objective at the last measurement.
    #[serde(default)]
    pub objective: Option<f64>,
    /// The version both were measured at.
    #[serde(default)]
    pub measured_version: Option<u64>,
    /// The certificate of that version.
    #[serde(default)]
    pub certificate: Option<Certificate>,
    /// Where the last certificate that held was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified: Option<LastCertificate>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Where and when a certificate was given that held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCertificate {
    /// The version it is of. Later versions descend from it.
    pub version: u64,
    /// The position of the log whose data it is of.
    pub position: LogPosition,
    /// When it was given.
    pub at: UnixMillis,
}

/// A user who has a row, as stored under the user's own key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    /// The dense row.
    pub row: u32,
    /// The slot of the key that backups of this user are sealed under.
    pub backup: u32,
    /// The id that callers know the user by.
    pub id: UserId,
}

/// What is said about a person, as stored under the person's own key, interactions or not. JSON,
/// because the kind of a value is not written beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PropertiesRecord {
    /// The id that callers know the person by.
    pub user: UserId,
    /// The slot of the key that backups of this person are sealed under.
    pub backup: u32,
    /// What is said; never nothing.
    pub properties: PersonProperties,
}

/// What one user did in one addition that is not applied yet, under that user's own key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct QueuedRecord {
    /// Whose interactions they are.
    pub user: UserId,
    /// The slot of the key that backups of this user are sealed under.
    pub backup: u32,
    /// With what, in the order of the request.
    pub rows: Vec<QueuedRow>,
}

/// One interaction of a [`QueuedRecord`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct QueuedRow {
    /// Its place in the request.
    pub index: u16,
    /// The item interacted with.
    pub item: ItemId,
    /// The weight that it came with, above 0.
    pub weight: f32,
    /// When, in the unit of the source.
    pub timestamp: Option<i64>,
    /// What was done. Written behind the record ([`QueuedRecord::pack`]).
    #[serde(skip)]
    pub feedback: FeedbackNumber,
}

impl QueuedRecord {
    /// The record as bytes, with a byte a row for what was done behind it, unless everything is of the
    /// first type: so earlier versions wrote it.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let mut packed = codec::to_postcard(self);
        let numbers = self.rows.iter().map(|row| row.feedback.0);
        if numbers.clone().any(|number| number > 0) {
            packed.extend(numbers);
        }
        packed
    }

    /// Reads what [`QueuedRecord::pack`] wrote.
    pub(crate) fn unpack(packed: &[u8]) -> Result<Self, StoreError> {
        let (mut record, numbers) = codec::split_postcard::<Self>(packed)?;
        if !numbers.is_empty() && numbers.len() != record.rows.len() {
            return Err(StoreError::damaged("types of feedback are cut off"));
        }
        for (row, number) in record.rows.iter_mut().zip(numbers) {
            row.feedback = feedback_number(*number)?;
        }
        Ok(record)
    }
}

fn feedback_number(number: u8) -> Result<FeedbackNumber, StoreError> {
    if usize::from(number) < FEEDBACK_TYPES_MAX {
        Ok(FeedbackNumber(number))
    } else {
        Err(StoreError::damaged("there is no such type of feedback"))
    }
}

/// That something was erased, and must not come back with an old batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tombstone {
    /// When the erasure was accepted, or the latest of what it took happened, if that is later; of an
    /// item as far as it was taken already.
    pub erased_at: UnixMillis,
    /// Its number among all erasures of the store.
    pub number: u64,
}

/// That the processing of a person's data is restricted, or was. It stands under the keyed hash of the
/// person's id, whether or not anything is held of them, and names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RestrictionRecord {
    /// When it was accepted.
    pub since: UnixMillis,
    /// When it was lifted. It is remembered for a while, so that an old backup does not bring the
    /// restriction back.
    pub lifted_at: Option<UnixMillis>,
}

/// Where the store stood when its current generation was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// When it was begun.
    pub at: UnixMillis,
    /// The commit that made it the current one.
    pub commit: u64,
    /// How many erasures had been accepted.
    pub erasures: u64,
}

/// An idempotency key that was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct IdempotencyRecord {
    /// The erasure it named.
    pub erasure: ErasureId,
    /// Digest of the request it came with.
    pub request: [u8; 32],
    /// When it was used.
    pub used_at: UnixMillis,
}

/// What a commit gave out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Committed {
    /// Positions of the appended entries, in the order of the batch.
    pub positions: Vec<LogPosition>,
    /// Records of the appended erasures, in the order of the batch; of a repeated request, the
    /// record of the first.
    pub records: Vec<ErasureRecord>,
    /// Interactions of the appended additions that were held back: an erasure accepted after they
    /// happened names them.
    pub held_back: usize,
    /// Why what is said about a person was not changed, if it was not.
    pub refused: Option<InvalidProperties>,
}

/// Bytes of one packed interaction: item u32, weight f32, u8 of which the lowest bit says whether
/// there is a timestamp and the others what was done, timestamp i64.
const INTERACTION_BYTES: usize = 17;

/// Interactions in one chunk of a history.
pub const INTERACTIONS_PER_CHUNK: usize = PAYLOAD_BYTES_MAX / INTERACTION_BYTES;

/// Packs up to [`INTERACTIONS_PER_CHUNK`] interactions, little endian.
pub(crate) fn pack_history(held: &[StoredInteraction]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(held.len() * INTERACTION_BYTES);
    for interaction in held {
        packed.extend_from_slice(&interaction.item.to_le_bytes());
        packed.extend_from_slice(&interaction.weight.to_le_bytes());
        packed.push(interaction.feedback.0 << 1 | u8::from(interaction.timestamp.is_some()));
        packed.extend_from_slice(&interaction.timestamp.unwrap_or(0).to_le_bytes());
    }
    packed
}

/// Reads what [`pack_history`] wrote, behind what `into` already holds.
pub(crate) fn unpack_history(
    packed: &[u8],
    into: &mut Vec<StoredInteraction>,
) -> Result<(), StoreError> {
    let (records, rest) = packed.as_chunks::<INTERACTION_BYTES>();
    if !rest.is_empty() {
        return Err(StoreError::damaged("a history is cut off"));
    }
    into.reserve(records.len());
    for record in records {
        let [i0, i1, i2, i3, w0, w1, w2, w3, flags, timestamp @ ..] = *record;
        into.push(StoredInteraction {
            item: u32::from_le_bytes([i0, i1, i2, i3]),
            feedback: FeedbackNumber(flags >> 1),
            weight: f32::from_le_bytes([w0, w1, w2, w3]),
            timestamp: (flags & 1 != 0).then(|| i64::from_le_bytes(timestamp)),
        });
    }
    Ok(())
}

/// A tensor row as bytes, little endian.
pub(crate) fn pack_row(row: &[f64]) -> Vec<u8> {
    row.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A user's row of the model as bytes, little endian.
pub(crate) fn pack_values(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// Reads what [`pack_values`] wrote.
pub(crate) fn unpack_values(packed: &[u8]) -> Result<Vec<f32>, StoreError> {
    let (values, rest) = packed.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(StoreError::damaged("a user's row of the model is cut off"));
    }
    Ok(values
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect())
}

/// Reads what [`pack_row`] wrote.
pub(crate) fn unpack_row(packed: &[u8]) -> Result<Vec<f64>, StoreError> {
    let (values, rest) = packed.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(StoreError::damaged("a row of factors is cut off"));
    }
    Ok(values
        .iter()
        .map(|bytes| f64::from_le_bytes(*bytes))
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use recant_types::IalsHyperparameters;

    /// As earlier versions wrote it: with numbers of implicit ALS beside a neural model.
    #[test]
    fn headers_of_earlier_versions_are_read_and_the_numbers_beside_a_neural_model_mean_nothing() {
        let header = |neural: &str| -> ModelHeader {
            let text = format!(
                r#"{{"version":7,"learnt":12,"hyperparameters":{{"dim":8,"alpha0":0.5,"lambda":0.01,
                "nu":1.0}},{neural}"seed":42,"residual":1.5e-9,"objective":123.25,
                "measured_version":7,"certificate":null}}"#
            );
            serde_json::from_str(&text).expect("a header")
        };
        let ials = header("");
        let hyperparameters = IalsHyperparameters {
            dim: 8,
            alpha0: 0.5,
            lambda: 0.01,
            nu: 1.0,
        };
        assert_eq!(ials.model, ModelConfiguration::Ials(hyperparameters));
        let neural = header(r#""neural":{"kind":"lightgcn","dim":16,"layers":2,"lambda":1e-4},"#);
        assert_eq!(neural.model.kind(), "lightgcn");
        for header in [ials, neural] {
            assert_eq!((header.version, header.learnt), (7, LogPosition(12)));
            assert_eq!((header.seed, header.residual), (42, Some(1.5e-9)));
            let text = serde_json::to_string(&header).expect("text");
            let numbers = text.contains("hyperparameters");
            assert_eq!(numbers, header.model.ials().is_some(), "{text}");
            assert_eq!(
                serde_json::from_str::<ModelHeader>(&text).ok(),
                Some(header)
            );
        }
    }

    #[test]
    fn a_header_without_a_model_is_refused() {
        let text = r#"{"version":7,"learnt":12,"seed":42}"#;
        assert!(serde_json::from_str::<ModelHeader>(text).is_err());
    }

    proptest! {
        #[test]
        fn packed_histories_read_back(
            held in prop::collection::vec(
                (any::<u32>(), 0u8..128, 0.1f32..9.0, any::<Option<i64>>()),
                0..50,
            ),
        ) {
            let held: Vec<StoredInteraction> = held
                .into_iter()
                .map(|(item, number, weight, timestamp)| StoredInteraction {
                    item,
                    feedback: FeedbackNumber(number),
                    weight,
                    timestamp,
                })
                .collect();
            let packed = pack_history(&held);
            let mut read = Vec::new();
            unpack_history(&packed, &mut read).expect("intact");
            prop_assert_eq!(&read, &held);
            if !packed.is_empty() {
                prop_assert!(unpack_history(&packed[1..], &mut read).is_err());
            }
        }

        /// And what an earlier version wrote, which knew of one type alone.
        #[test]
        fn packed_additions_read_back(
            rows in prop::collection::vec((any::<u16>(), 0u8..128, 0.1f32..9.0, any::<Option<i64>>()), 0..9),
        ) {
            let row = |(index, number, weight, timestamp)| QueuedRow {
                index,
                item: ItemId::new("dune").expect("an id"),
                weight,
                timestamp,
                feedback: FeedbackNumber(number),
            };
            let mut record = QueuedRecord {
                user: UserId::new("ada").expect("an id"),
                backup: 7,
                rows: rows.into_iter().map(row).collect(),
            };
            prop_assert_eq!(&QueuedRecord::unpack(&record.pack()).expect("intact"), &record);
            let before = codec::to_postcard(&record);
            record.rows.iter_mut().for_each(|row| row.feedback = FeedbackNumber::default());
            prop_assert_eq!(&QueuedRecord::unpack(&before).expect("intact"), &record);
        }

        #[test]
        fn packed_rows_read_back(row in prop::collection::vec(-1e9f64..1e9, 0..40)) {
            prop_assert_eq!(unpack_row(&pack_row(&row)).expect("intact"), row.clone());
            let narrow: Vec<f32> = row.iter().map(|value| *value as f32).collect();
            let packed = pack_values(&narrow);
            prop_assert_eq!(unpack_values(&packed).expect("intact"), narrow);
            prop_assert!(packed.is_empty() || unpack_values(&packed[1..]).is_err());
        }
    }
}
