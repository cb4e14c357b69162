//! How many columns of a model carry something.

use faer::{Mat, Side};

use recant_core::model::Ials;

/// Singular values of X below this share of the largest do not count: a dying column, or rounding.
pub(crate) const CARRIES_SHARE: f64 = 1e-4;

/// The number of singular values of `X = PQᵀ` of at least `CARRIES_SHARE` of the largest.
///
/// From the Gram matrices: with `PᵀP = V S Vᵀ` they are the roots of the eigenvalues of
/// `S^{1/2} Vᵀ (QᵀQ) V S^{1/2}`, exact to about 1e-8 of the largest. `None` when a decomposition
/// fails. Cost: O(d³).
pub fn numerical_rank(model: &Ials) -> Option<usize> {
    let dim = model.hyper.dim;
    let own = model
        .user_gramian
        .matrix()
        .self_adjoint_eigen(Side::Lower)
        .ok()?;
    let roots: Vec<f64> = (0..dim).map(|k| own.S()[k].max(0.0).sqrt()).collect();
    let turned: Mat<f64> = own.U().transpose() * model.item_gramian.matrix() * own.U();
    let scaled = Mat::from_fn(dim, dim, |i, j| roots[i] * turned[(i, j)] * roots[j]);
    let squares = scaled.self_adjoint_eigenvalues(Side::Lower).ok()?;
    let largest = squares.iter().copied().fold(0.0, f64::max);
    let least = CARRIES_SHARE * CARRIES_SHARE * largest;
    Some(
        squares
            .iter()
            .filter(|value| **value > 0.0 && **value >= least)
            .count(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use recant_core::model::Factors;
    use recant_types::IalsHyperparameters;

    /// Factors whose product is diagonal: the singular values are the products of the columns.
    #[test]
    fn columns_that_carry_next_to_nothing_do_not_count() {
        for (values, rank) in [
            ([1.0, 0.5, 1e-3, 1e-7, 0.0], 3),
            ([3.0, 3.0, 3.0, 3.0, 3.0], 5),
            ([0.0; 5], 0),
        ] {
            let hyper = IalsHyperparameters {
                dim: 5,
                ..IalsHyperparameters::default()
            };
            let (mut users, mut items) = (Factors::zeros(9, 5), Factors::zeros(7, 5));
            for (k, value) in values.into_iter().enumerate() {
                users.row_mut(k)[k] = 4.0 * value;
                items.row_mut(k + 1)[k] = 0.25;
            }
            let model = Ials::from_factors(hyper, users, items);
            assert_eq!(numerical_rank(&model), Some(rank), "{values:?}");
        }
    }

    /// The same X from columns that say everything twice.
    #[test]
    fn columns_that_repeat_one_another_count_once() {
        let hyper = IalsHyperparameters {
            dim: 2,
            ..IalsHyperparameters::default()
        };
        let (mut users, mut items) = (Factors::zeros(4, 2), Factors::zeros(4, 2));
        for row in 0..4 {
            users.row_mut(row).fill(1.0 + row as f64);
            items.row_mut(row).fill(2.0 - row as f64);
        }
        assert_eq!(
            numerical_rank(&Ials::from_factors(hyper, users, items)),
            Some(1)
        );
    }
}
