//! The parts of what was decided that have no serde form of their own, or one that postcard cannot read.

/// As JSON in bytes: the kind of a property's value is not written beside it.
pub(crate) mod json {
    use serde::de::{DeserializeOwned, Error};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::codec;

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        codec::to_json(value).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        codec::from_json(&bytes).map_err(D::Error::custom)
    }
}

/// Interactions, each as user, item, type of feedback, weight and time.
pub(super) mod rows {
    use serde::{Deserialize, Deserializer, Serializer};

    use recant_types::{FeedbackType, Interaction, ItemId, UserId};

    type Row = (UserId, ItemId, FeedbackType, f32, Option<i64>);

    pub(crate) fn serialize<S: Serializer>(
        rows: &[Interaction],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let row = |row: &Interaction| -> Row {
            let (user, item) = (row.user.clone(), row.item.clone());
            (user, item, row.feedback.clone(), row.weight, row.timestamp)
        };
        serializer.collect_seq(rows.iter().map(row))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Interaction>, D::Error> {
        let rows = Vec::<Row>::deserialize(deserializer)?.into_iter();
        let rows = rows.map(|(user, item, feedback, weight, timestamp)| Interaction {
            user,
            item,
            feedback,
            weight,
            timestamp,
        });
        Ok(rows.collect())
    }
}

/// What an erasure names. The form of the request leaves out what is empty, which cannot be read back.
pub(super) mod target {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use recant_types::{ErasureTarget, FeedbackType, ItemId, Names, TypedPair, UserId};

    type Typed = Vec<(UserId, ItemId, FeedbackType)>;

    #[derive(Serialize, Deserialize)]
    enum Form {
        Pairs(Vec<(UserId, ItemId)>),
        TypedPairs(Typed),
        User(UserId),
        Item(ItemId),
        Several {
            users: Vec<UserId>,
            items: Vec<ItemId>,
            pairs: Vec<(UserId, ItemId)>,
            typed: Typed,
        },
        Restriction(Vec<UserId>),
    }

    fn typed(pairs: Vec<TypedPair>) -> Typed {
        let pairs = pairs.into_iter();
        pairs
            .map(|pair| (pair.user, pair.item, pair.feedback))
            .collect()
    }

    fn typed_pairs(typed: Typed) -> Vec<TypedPair> {
        let pair = |(user, item, feedback)| TypedPair {
            user,
            item,
            feedback,
        };
        typed.into_iter().map(pair).collect()
    }

    impl From<ErasureTarget> for Form {
        fn from(target: ErasureTarget) -> Self {
            match target {
                ErasureTarget::Pairs(pairs) => Self::Pairs(pairs),
                ErasureTarget::TypedPairs(pairs) => Self::TypedPairs(typed(pairs)),
                ErasureTarget::User(user) => Self::User(user),
                ErasureTarget::Item(item) => Self::Item(item),
                ErasureTarget::Several(names) => Self::Several {
                    users: names.users,
                    items: names.items,
                    pairs: names.pairs,
                    typed: typed(names.typed_pairs),
                },
                ErasureTarget::Restriction(users) => Self::Restriction(users),
            }
        }
    }

    impl From<Form> for ErasureTarget {
        fn from(form: Form) -> Self {
            match form {
                Form::Pairs(pairs) => Self::Pairs(pairs),
                Form::TypedPairs(typed) => Self::TypedPairs(typed_pairs(typed)),
                Form::User(user) => Self::User(user),
                Form::Item(item) => Self::Item(item),
                Form::Several {
                    users,
                    items,
                    pairs,
                    typed,
                } => Self::Several(Names {
                    users,
                    items,
                    pairs,
                    typed_pairs: typed_pairs(typed),
                }),
                Form::Restriction(users) => Self::Restriction(users),
            }
        }
    }

    pub(crate) fn serialize<S: Serializer>(
        target: &ErasureTarget,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Form::from(target.clone()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ErasureTarget, D::Error> {
        Form::deserialize(deserializer).map(ErasureTarget::from)
    }
}
