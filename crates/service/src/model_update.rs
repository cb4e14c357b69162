//! A step from one version of the model to a newer one, as it goes from the leader to the other nodes.
//!
//! It names people and items by their ids, for rows are every node's own. Only factors travel, as readers
//! see them: what they were learnt from each node has itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use recant_store::ModelHeader;
use recant_types::{ItemId, UserId};

/// The form of the bytes.
const FORMAT: u8 = 1;

/// Rows of the model, and the header of the version that has them. `Debug` shows no ids and no factors.
#[derive(Clone, PartialEq)]
pub struct ModelUpdate {
    /// The term of the leader whose version it leads to.
    pub term: u64,
    /// The number of that version.
    pub number: u64,
    /// The version that it starts from; without one it is an image: everything.
    pub previous: Option<(u64, u64)>,
    /// The header of the version that it leads to.
    pub header: ModelHeader,
    /// Whether the leader computed the certificate itself, for these very factors.
    pub is_confirmed: bool,
    /// The Gram matrix of the items' factors, column by column: summed in another order it would be another
    /// one in its last bits.
    pub gramian: Vec<f64>,
    /// Factors of items that may have changed.
    pub items: Vec<(ItemId, Vec<f32>)>,
    /// Factors of users that may have changed.
    pub users: Vec<(UserId, Vec<f32>)>,
}

/// Bytes that are no [`ModelUpdate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModelUpdateError {
    /// A newer program wrote them.
    #[error("the update of the model has format {0}, this program reads {FORMAT}: upgrade it")]
    Format(u8),
    /// They are cut, or something else.
    #[error("the update of the model is damaged")]
    Damaged,
}

/// As it is written. A header has no form of its own that postcard could read back.
#[derive(Serialize, Deserialize)]
struct Form<'a> {
    term: u64,
    number: u64,
    previous: Option<(u64, u64)>,
    header: Vec<u8>,
    is_confirmed: bool,
    gramian: std::borrow::Cow<'a, [f64]>,
    items: std::borrow::Cow<'a, [(ItemId, Vec<f32>)]>,
    users: std::borrow::Cow<'a, [(UserId, Vec<f32>)]>,
}

impl ModelUpdate {
    /// The version that it leads to.
    pub fn version(&self) -> (u64, u64) {
        (self.term, self.number)
    }

    /// Whether it is everything.
    pub fn is_image(&self) -> bool {
        self.previous.is_none()
    }

    /// Its bytes, for [`ModelUpdate::from_bytes`]. They hold ids, and are not sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let form = Form {
            term: self.term,
            number: self.number,
            previous: self.previous,
            header: serde_json::to_vec(&self.header).expect("plain data has a form"),
            is_confirmed: self.is_confirmed,
            gramian: self.gramian.as_slice().into(),
            items: self.items.as_slice().into(),
            users: self.users.as_slice().into(),
        };
        postcard::to_extend(&form, vec![FORMAT]).expect("plain data has a form")
    }

    /// Reads what [`ModelUpdate::to_bytes`] made. What is read takes no more memory than some times the
    /// bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelUpdateError> {
        let (format, rest) = bytes.split_first().ok_or(ModelUpdateError::Damaged)?;
        if *format != FORMAT {
            return Err(ModelUpdateError::Format(*format));
        }
        let form: Form<'_> = match postcard::take_from_bytes(rest) {
            Ok((form, [])) => form,
            _ => return Err(ModelUpdateError::Damaged),
        };
        let header = serde_json::from_slice(&form.header);
        let update = Self {
            term: form.term,
            number: form.number,
            previous: form.previous,
            header: header.map_err(|_| ModelUpdateError::Damaged)?,
            is_confirmed: form.is_confirmed,
            gramian: form.gramian.into_owned(),
            items: form.items.into_owned(),
            users: form.users.into_owned(),
        };
        update
            .is_sound()
            .then_some(update)
            .ok_or(ModelUpdateError::Damaged)
    }

    /// Whether its parts fit together: rows as long as the header says, of finite numbers.
    fn is_sound(&self) -> bool {
        let Some(hyper) = self.header.model.ials() else {
            return false;
        };
        let is_row =
            |row: &Vec<f32>| row.len() == hyper.dim && row.iter().all(|value| value.is_finite());
        (self.header.term, self.header.version) == self.version()
            && hyper.dim.checked_mul(hyper.dim) == Some(self.gramian.len())
            && self.gramian.iter().all(|value| value.is_finite())
            && self.items.iter().all(|(_, row)| is_row(row))
            && self.users.iter().all(|(_, row)| is_row(row))
    }
}

impl fmt::Debug for ModelUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelUpdate")
            .field("version", &self.version())
            .field("previous", &self.previous)
            .field("learnt", &self.header.learnt)
            .field("items", &self.items.len())
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use recant_store::LogPosition;
    use recant_types::IalsHyperparameters;

    fn update() -> impl Strategy<Value = ModelUpdate> {
        let row = |dim: usize| prop::collection::vec(-2.0f32..2.0, dim);
        let version = (0..9u64, 0..99u64);
        (1..4usize, version.clone(), prop::option::of(version)).prop_flat_map(
            move |(dim, (term, number), previous)| {
                let header = ModelHeader {
                    version: number,
                    term,
                    learnt: LogPosition(number + 3),
                    model: IalsHyperparameters {
                        dim,
                        ..IalsHyperparameters::default()
                    }
                    .into(),
                    seed: 1,
                    residual: Some(1e-7),
                    objective: None,
                    measured_version: None,
                    certificate: None,
                    certified: None,
                };
                let gramian = prop::collection::vec(-9.0f64..9.0, dim * dim);
                let rows = prop::collection::vec((0..99u8, row(dim)), 0..6);
                (gramian, rows, any::<bool>()).prop_map(move |(gramian, rows, is_confirmed)| {
                    let item = |(n, row): &(u8, Vec<f32>)| {
                        (
                            ItemId::new(&format!("boat-{n}")).expect("an id"),
                            row.clone(),
                        )
                    };
                    let user = |(n, row): &(u8, Vec<f32>)| {
                        (
                            UserId::new(&format!("ada-{n}")).expect("an id"),
                            row.clone(),
                        )
                    };
                    ModelUpdate {
                        term,
                        number,
                        previous,
                        header: header.clone(),
                        is_confirmed,
                        gramian,
                        items: rows.iter().map(item).collect(),
                        users: rows.iter().map(user).collect(),
                    }
                })
            },
        )
    }

    proptest! {
        #[test]
        fn an_update_reads_back_and_shows_nobody(update in update()) {
            let bytes = update.to_bytes();
            prop_assert_eq!(ModelUpdate::from_bytes(&bytes), Ok(update.clone()));
            let shown = format!("{update:?}");
            prop_assert!(!shown.contains("ada") && !shown.contains("boat"), "{}", shown);
            prop_assert!(ModelUpdate::from_bytes(&bytes[..bytes.len() - 1]).is_err());
            let mut longer = bytes.clone();
            longer.push(0);
            prop_assert_eq!(ModelUpdate::from_bytes(&longer), Err(ModelUpdateError::Damaged));
            longer[0] = FORMAT + 1;
            let newer = ModelUpdateError::Format(FORMAT + 1);
            prop_assert_eq!(ModelUpdate::from_bytes(&longer), Err(newer));
        }

        #[test]
        fn numbers_that_must_not_be_served_are_refused(
            update in update(),
            bad in prop_oneof![Just(f32::NAN), Just(f32::INFINITY)],
        ) {
            let mut update = update;
            let dim = update.header.model.ials().expect("implicit ALS").dim;
            let id = ItemId::new("boat").expect("an id");
            update.items.push((id.clone(), vec![bad; dim]));
            prop_assert!(ModelUpdate::from_bytes(&update.to_bytes()).is_err());
            update.items.pop();
            update.items.push((id, vec![0.0; dim + 1]));
            prop_assert!(ModelUpdate::from_bytes(&update.to_bytes()).is_err());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(update) = ModelUpdate::from_bytes(&bytes) {
                prop_assert!(ModelUpdate::from_bytes(&update.to_bytes()).is_ok());
            }
        }
    }
}
