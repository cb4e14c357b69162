//! What people really send, kind by kind: every row of every file is accounted for.

mod accounting;
mod archives;
mod ids;
mod parquet;
mod support;
mod text;
mod times;
mod weights;
