//! The limit of the dual norm, and directions in which the scaled gradient exceeds it.

/// The dual norm's limit: 2, because the regulariser is twice the nuclear norm.
pub(super) const DUAL_LIMIT: f64 = 2.0;

/// A pair of singular vectors of the scaled gradient.
#[derive(Debug, Clone)]
pub struct Direction {
    /// The singular value over 2.
    pub sigma: f64,
    /// Left singular vector of G̃, one value a user.
    pub users: Vec<f64>,
    /// Right singular vector of G̃, one value an item.
    pub items: Vec<f64>,
}

/// The larger of the two; infinite for a NaN, which [`f64::max`] would drop.
pub(super) fn at_least(value: f64, floor: f64) -> f64 {
    if value.is_nan() {
        f64::INFINITY
    } else {
        value.max(floor)
    }
}
