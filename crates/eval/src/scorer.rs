//! What the measures need of a model: its scores.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

use recant_core::model::{Factors, Ials};

/// A model seen from outside: rows of users, rows of items, and a score for each pair of them.
pub trait Scorer: Sync {
    /// Every user row is below this.
    fn user_rows(&self) -> usize;

    /// Every item row is below this.
    fn item_rows(&self) -> usize;

    /// The scores of all items for these users: items × users, one column a user.
    fn scores(&self, users: &[u32]) -> Mat<f64>;
}

/// Inner products in f64. Cost: `users·items·d` multiply-adds.
impl Scorer for Ials {
    fn user_rows(&self) -> usize {
        self.users.rows()
    }

    fn item_rows(&self) -> usize {
        self.items.rows()
    }

    fn scores(&self, users: &[u32]) -> Mat<f64> {
        inner_products(&self.users, &self.items, users)
    }
}

/// `Q P_Uᵀ` for the rows U of P: items × |U|.
fn inner_products(of_users: &Factors, of_items: &Factors, users: &[u32]) -> Mat<f64> {
    let dim = of_users.dim();
    let rows: Vec<f64> = users
        .iter()
        .flat_map(|user| of_users.row(*user as usize))
        .copied()
        .collect();
    let own = MatRef::from_row_major_slice(&rows, users.len(), dim);
    let all = MatRef::from_row_major_slice(of_items.as_slice(), of_items.rows(), dim);
    let mut scores = Mat::zeros(of_items.rows(), users.len());
    let into = scores.as_mut();
    matmul(into, Accum::Replace, all, own.transpose(), 1.0, Par::Seq);
    scores
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use recant_core::model::Side;
    use recant_types::IalsHyperparameters;

    /// A model that is nothing but its scores, one row a user.
    pub(crate) struct Table(pub(crate) Vec<Vec<f64>>);

    impl Scorer for Table {
        fn user_rows(&self) -> usize {
            self.0.len()
        }

        fn item_rows(&self) -> usize {
            self.0.first().map_or(0, Vec::len)
        }

        fn scores(&self, users: &[u32]) -> Mat<f64> {
            Mat::from_fn(self.item_rows(), users.len(), |item, column| {
                self.0[users[column] as usize][item]
            })
        }
    }

    #[test]
    fn scores_are_inner_products_of_the_rows_asked_for() {
        let hyper = IalsHyperparameters {
            dim: 5,
            ..IalsHyperparameters::default()
        };
        let model = Ials::from_factors(
            hyper,
            Factors::random(9, 5, 1, Side::Users),
            Factors::random(7, 5, 1, Side::Items),
        );
        let users = [8, 0, 3];
        let scores = model.scores(&users);
        assert_eq!((scores.nrows(), scores.ncols()), (7, 3));
        for (column, user) in users.into_iter().enumerate() {
            for item in 0..7 {
                let pairs = model
                    .users
                    .row(user as usize)
                    .iter()
                    .zip(model.items.row(item));
                let expected: f64 = pairs.map(|(p, q)| p * q).sum();
                assert!((scores[(item, column)] - expected).abs() < 1e-15);
            }
        }
    }
}
