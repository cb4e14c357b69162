//! Small problems whose convex form is solved another way: the truth that bounds are held against.
#![allow(dead_code, reason = "each test file uses its part")]

use faer::Mat;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{Entry, Factors, Ials, InteractionMatrix, Side};
use recant_types::IalsHyperparameters;

pub const USERS: usize = 14;
pub const ITEMS: usize = 11;

pub struct Problem {
    pub hyper: IalsHyperparameters,
    pub matrix: InteractionMatrix,
}

impl Problem {
    pub fn random(seed: u64, weighted: bool, nu: f64, lambda: f64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut histories = vec![Vec::new(); USERS];
        for history in &mut histories {
            for item in 0..ITEMS as u32 {
                if random.random::<f64>() < 0.3 {
                    let weight = if weighted {
                        random.random_range(0.2..4.0)
                    } else {
                        1.0
                    };
                    history.push(Entry::wanted(item, weight));
                }
            }
        }
        let hyper = IalsHyperparameters {
            dim: 6,
            alpha0: 0.2,
            lambda,
            nu,
        };
        Self {
            hyper,
            matrix: InteractionMatrix::from_histories(histories, ITEMS),
        }
    }

    /// The same pairs, some of them unwanted or half wanted.
    pub fn with_targets(mut self, seed: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed ^ 0x7A26);
        for user in 0..USERS as u32 {
            for entry in self.matrix.user(user).to_vec() {
                let target = [0.0, 0.5, 1.0, random.random()][random.random_range(0..4)];
                self.matrix.insert(user, Entry { target, ..entry });
            }
        }
        self
    }

    fn regularisers(&self) -> (Vec<f64>, Vec<f64>) {
        let of = |count: usize, opposite| self.hyper.regularisation(count, opposite);
        let matrix = &self.matrix;
        (
            (0..USERS as u32)
                .map(|u| of(matrix.user(u).len(), matrix.active_items()))
                .collect(),
            (0..ITEMS as u32)
                .map(|i| of(matrix.item(i).len(), matrix.active_users()))
                .collect(),
        )
    }

    /// ∇f at X, dense.
    fn data_gradient(&self, x: &Mat<f64>) -> Mat<f64> {
        let mut gradient = Mat::from_fn(USERS, ITEMS, |u, i| {
            let active =
                !self.matrix.user(u as u32).is_empty() && !self.matrix.item(i as u32).is_empty();
            if active {
                2.0 * self.hyper.alpha0 * x[(u, i)]
            } else {
                0.0
            }
        });
        for u in 0..USERS {
            for entry in self.matrix.user(u as u32) {
                let at = (u, entry.index as usize);
                let error = x[at] - f64::from(entry.target);
                gradient[at] += 2.0 * f64::from(entry.weight) * error;
            }
        }
        gradient
    }

    /// The minimiser of the convex problem, by accelerated proximal gradient steps with a full
    /// SVD each, in Z = Λ_u^{1/2} X Λ_i^{1/2}, until a step changes nothing any more.
    pub fn minimiser(&self) -> Mat<f64> {
        let (users, items) = self.regularisers();
        let scale = |u: usize, i: usize| 1.0 / (users[u] * items[i]).sqrt();
        let weight_max = (0..USERS as u32)
            .flat_map(|u| self.matrix.user(u))
            .map(|entry| f64::from(entry.weight))
            .fold(0.0, f64::max);
        let steepest = (0..USERS)
            .flat_map(|u| (0..ITEMS).map(move |i| (u, i)))
            .map(|(u, i)| scale(u, i).powi(2))
            .fold(0.0, f64::max);
        let step = 1.0 / (2.0 * (weight_max + self.hyper.alpha0) * steepest);
        let to_x = |z: &Mat<f64>| Mat::from_fn(USERS, ITEMS, |u, i| z[(u, i)] * scale(u, i));
        let mut z: Mat<f64> = Mat::zeros(USERS, ITEMS);
        let (mut ahead, mut momentum) = (z.clone(), 1.0f64);
        for _ in 0..200_000 {
            let gradient = self.data_gradient(&to_x(&ahead));
            let moved = Mat::from_fn(USERS, ITEMS, |u, i| {
                ahead[(u, i)] - step * gradient[(u, i)] * scale(u, i)
            });
            let next = shrink(&moved, 2.0 * step);
            let change = (&next - &z).norm_l2();
            let next_momentum = (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0;
            let forward = (momentum - 1.0) / next_momentum;
            // Restart when momentum points uphill (O'Donoghue & Candès 2015).
            let uphill = (&ahead - &next).as_ref().transpose() * (&next - &z);
            let trace: f64 = (0..ITEMS).map(|i| uphill[(i, i)]).sum();
            (ahead, momentum) = if trace > 0.0 {
                (next.clone(), 1.0)
            } else {
                (
                    Mat::from_fn(USERS, ITEMS, |u, i| {
                        next[(u, i)] + forward * (next[(u, i)] - z[(u, i)])
                    }),
                    next_momentum,
                )
            };
            z = next;
            if change < 1e-13 * (1.0 + z.norm_l2()) {
                break;
            }
        }
        to_x(&z)
    }

    pub fn model(&self, seed: u64, sweeps: usize, noise: f64) -> Ials {
        let users = Factors::random(USERS, self.hyper.dim, seed, Side::Users);
        let items = Factors::random(ITEMS, self.hyper.dim, seed, Side::Items);
        let mut model = Ials::from_factors(self.hyper, users, items);
        model.clear_inactive(&self.matrix);
        for _ in 0..sweeps {
            recant_core::optim::als::sweep(&mut model, &self.matrix, &|| false);
        }
        let mut random = ChaCha12Rng::seed_from_u64(seed ^ 0xABCD);
        let mut disturb = |factors: &Factors| {
            let mut disturbed = factors.clone();
            for row in 0..disturbed.rows() {
                for value in disturbed.row_mut(row) {
                    *value += noise * (random.random::<f64>() - 0.5);
                }
            }
            disturbed
        };
        let mut model =
            Ials::from_factors(self.hyper, disturb(&model.users), disturb(&model.items));
        model.clear_inactive(&self.matrix);
        model
    }
}

/// Soft-thresholds the singular values.
fn shrink(matrix: &Mat<f64>, threshold: f64) -> Mat<f64> {
    let svd = matrix.thin_svd().expect("a finite matrix");
    let k = USERS.min(ITEMS);
    let scaled = Mat::from_fn(USERS, k, |u, j| {
        svd.U()[(u, j)] * (svd.S()[j] - threshold).max(0.0)
    });
    scaled * svd.V().transpose()
}

pub fn distance(model: &Ials, x: &Mat<f64>) -> f64 {
    let mut squared = 0.0;
    for u in 0..USERS {
        for i in 0..ITEMS {
            let score: f64 = model
                .users
                .row(u)
                .iter()
                .zip(model.items.row(i))
                .map(|(p, q)| p * q)
                .sum();
            squared += (score - x[(u, i)]).powi(2);
        }
    }
    squared.sqrt()
}
