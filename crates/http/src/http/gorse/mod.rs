//! The REST face of gorse under `/api`, for programs that use one of its clients.
//!
//! It is off unless `gorse.enabled` says otherwise. [`face`] is the table of its calls with whom each
//! takes; what reads and answers them is the service that all other routes call. What a client of
//! gorse expects and this service does not do elsewhere is here alone: slashes at the end of paths,
//! parameters that nobody knows, errors in plain text with the caller's own ids in them.

mod answers;
mod calls;
mod categories;
mod chunks;
mod cursor;
mod erasures;
mod feedback;
mod feedback_answers;
mod feedback_rows;
pub(super) mod fuzzing;
mod health;
mod ids;
mod item;
mod item_categories;
mod items;
mod json;
mod labels;
mod lists;
mod neighbours;
mod plain_text;
mod query;
mod recommend;
mod refusal;
mod rows;
mod search;
mod session;
mod shared;
mod slashes;
mod times;
mod user;
mod users;
mod write_back;

pub(super) use calls::face;
pub(super) use plain_text::around;
