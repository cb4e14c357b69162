//! What is posted: the erasure as `GET /erasures/{id}` shows it, as it was in the state that is told.

use serde::Serialize;

use crate::http::ErasureAnswer;
use recant_service::StateMessage;
use recant_types::ErasureStatus;

/// The body in the form that Standard Webhooks recommends.
#[derive(Serialize)]
struct Body {
    /// `erasure.` and the state.
    #[serde(rename = "type")]
    kind: String,
    /// When the state was reached.
    timestamp: String,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    #[serde(flatten)]
    erasure: ErasureAnswer,
    /// Where the receipt is, once there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

/// The body of a message; the same however often it is sent.
pub(super) fn body(message: &StateMessage) -> Vec<u8> {
    let id = message.record.id;
    let has_receipt = message.state == ErasureStatus::Certified;
    let body = Body {
        kind: format!("erasure.{}", message.state),
        timestamp: message.reached_at().to_rfc3339(),
        data: Data {
            erasure: message.record.clone().into(),
            receipt: has_receipt.then(|| format!("/erasures/{id}/receipt")),
        },
    };
    serde_json::to_vec(&body).expect("texts and finite numbers")
}
