//! Pairs in a store of their own.
#![allow(dead_code)]

use std::path::Path;

use recant::import::{RowSink, SinkError};
use recant::model::interactions::InteractionMatrix;
use recant::store::StoreOptions;
use recant::store::import::{ImportSession, ImportWriter};

/// Takes the rows of files into a store, as the command `import` does.
pub struct StoreSink<'a>(pub ImportWriter<'a>);

impl RowSink for StoreSink<'_> {
    fn push(
        &mut self,
        user: &str,
        item: &str,
        weight: f32,
        timestamp: Option<i64>,
    ) -> Result<(), SinkError> {
        self.0
            .push(user, item, weight, timestamp)
            .map_err(SinkError::from)
    }

    fn set_title(&mut self, item: &str, title: &str) -> Result<(), SinkError> {
        self.0.set_title(item, title).map_err(SinkError::from)
    }

    fn set_tags(
        &mut self,
        item: &str,
        tags: &mut dyn Iterator<Item = &str>,
    ) -> Result<(), SinkError> {
        self.0.set_tags(item, tags).map_err(SinkError::from)
    }
}

/// Stores the pairs of `matrix`, with ids made of their rows, in a new store at `path`.
pub fn store(path: &Path, matrix: &InteractionMatrix) {
    let session = ImportSession::begin(path, &StoreOptions::default()).expect("a new store");
    let mut writer = session.writer().expect("a writer");
    for user in 0..matrix.user_rows() as u32 {
        for entry in matrix.user(user) {
            let (user, item) = (format!("user-{user}"), format!("item-{}", entry.index));
            writer
                .push(&user, &item, entry.weight, None)
                .expect("a row is taken");
        }
    }
    writer.finish().expect("the pairs are stored");
}
