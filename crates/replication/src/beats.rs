//! The call by which nodes tell their leader how far they are.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use recant_cluster::{Beat, BeatAnswer};

use super::entry_store::EntryStore;
use super::replica::Replica;
use super::transport::BEAT_PATH;

/// What other nodes call, and nobody else may: to be served where only they get in.
pub fn beat_routes<S: EntryStore>(replica: Replica<S>) -> Router {
    Router::new()
        .route(BEAT_PATH, post(answer::<S>))
        .with_state(replica)
}

async fn answer<S: EntryStore>(
    State(replica): State<Replica<S>>,
    Json(beat): Json<Beat>,
) -> Result<Json<BeatAnswer>, StatusCode> {
    let answer = replica.beat(beat).await;
    answer.map(Json).ok_or(StatusCode::SERVICE_UNAVAILABLE)
}
