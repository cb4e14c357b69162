//! Small dense systems.

use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, Side};

/// The step `−H⁻¹ g` for a positive definite H, d × d, by Cholesky; `None` when H is not, or the step
/// is not finite. Cost: d³/3.
pub(crate) fn newton_step(hessian: &Mat<f64>, gradient: &[f64]) -> Option<Vec<f64>> {
    let factor = Llt::new(hessian.as_ref(), Side::Lower).ok()?;
    let mut step = Mat::from_fn(gradient.len(), 1, |at, _| -gradient[at]);
    factor.solve_in_place(step.as_mut());
    let step = step.col_as_slice(0).to_vec();
    step.iter().all(|value| value.is_finite()).then_some(step)
}
