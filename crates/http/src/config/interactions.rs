//! How interactions that arrive over HTTP are understood, where an import has flags.

use recant_types::WeightTransform;
use serde::{Deserialize, Serialize};

/// Interactions that arrive over HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InteractionSettings {
    /// What becomes of weights: `none`, `log1p`, `sqrt`, `binary` or `clip=X`.
    pub weights: WeightTransform,
    /// Takes words for nothing, such as `null` and `NaN`, for ids.
    pub keep_null_ids: bool,
}
