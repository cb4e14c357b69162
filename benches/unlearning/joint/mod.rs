//! The objective as a function of all factors at once, for methods that take joint steps.
//!
//! A point is one vector: the users' rows, then the items', d values each. Everything is half of
//! what it is for the objective L, so that the diagonal blocks of the Hessian are the block
//! matrices of alternating least squares.
#![allow(dead_code)]

pub mod adamw;
pub mod lbfgs;
pub mod newton_cg;
pub mod vector;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use pulp::Arch;
use rayon::prelude::*;
use recant_core::model::{Entry, Factors, Ials, InteractionMatrix, Side};
use recant_core::simd::{add_scaled_f64, dot_f64, vectorised};
use recant_types::IalsHyperparameters;

/// Rows of one parallel task.
const ROWS_PER_TASK: usize = 64;

/// Rows whose outer products one parallel task sums.
const GRAM_ROWS_PER_TASK: usize = 512;

/// One side's pairs, row after row.
struct Pairs {
    /// Where each row's pairs begin, and the end of the last.
    starts: Vec<usize>,
    /// The row of the other side.
    others: Vec<u32>,
    weights: Vec<f64>,
    /// λ of each row.
    regularisation: Vec<f64>,
}

impl Pairs {
    fn of(model: &Ials, matrix: &InteractionMatrix, side: Side) -> Self {
        let view = model.side(side, matrix);
        let rows = 0..view.blocks() as u32;
        let (mut starts, mut others, mut weights) = (vec![0], Vec::new(), Vec::new());
        for row in rows.clone() {
            let entries: &[Entry] = view.entries(row);
            others.extend(entries.iter().map(|entry| entry.index));
            weights.extend(entries.iter().map(|entry| f64::from(entry.weight)));
            starts.push(others.len());
        }
        Self {
            starts,
            others,
            weights,
            regularisation: rows.map(|row| view.regularisation(row)).collect(),
        }
    }

    fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// One value for each pair, cut where the tasks' rows end.
    fn cut<'a>(&self, mut values: &'a mut [f64]) -> Vec<&'a mut [f64]> {
        let mut cut = Vec::new();
        for first in (0..self.rows()).step_by(ROWS_PER_TASK) {
            let last = (first + ROWS_PER_TASK).min(self.rows());
            let (head, tail) = values.split_at_mut(self.starts[last] - self.starts[first]);
            cut.push(head);
            values = tail;
        }
        cut
    }
}

/// The objective on some data.
pub struct Joint {
    /// What is minimised.
    pub hyper: IalsHyperparameters,
    users: Pairs,
    items: Pairs,
    /// Position among the users' pairs of each of the items'.
    positions: Vec<u32>,
}

/// The residuals `c (x − 1)` of all pairs at one point, users' order: what a product with the
/// Hessian there needs.
pub struct Residuals(Vec<f64>);

impl Joint {
    /// The objective of `model` on `matrix`.
    pub fn new(model: &Ials, matrix: &InteractionMatrix) -> Self {
        let users = Pairs::of(model, matrix, Side::Users);
        let items = Pairs::of(model, matrix, Side::Items);
        let mut next = items.starts.clone();
        let mut positions = vec![0; items.others.len()];
        for (position, item) in users.others.iter().enumerate() {
            let slot = &mut next[*item as usize];
            positions[*slot] = position as u32;
            *slot += 1;
        }
        Self {
            hyper: model.hyper,
            users,
            items,
            positions,
        }
    }

    /// The point where a model is.
    pub fn point(&self, model: &Ials) -> Vec<f64> {
        [model.users.as_slice(), model.items.as_slice()].concat()
    }

    /// The model at a point.
    pub fn model(&self, point: &[f64]) -> Ials {
        let (users, items) = self.split(point);
        let factors = |values: &[f64], rows| {
            let mut factors = Factors::zeros(rows, self.hyper.dim);
            factors.as_mut_slice().copy_from_slice(values);
            factors
        };
        let users = factors(users, self.users.rows());
        Ials::from_factors(self.hyper, users, factors(items, self.items.rows()))
    }

    /// Nothing known of any point yet.
    pub fn residuals(&self) -> Residuals {
        Residuals(vec![0.0; self.users.others.len()])
    }

    fn split<'a>(&self, point: &'a [f64]) -> (&'a [f64], &'a [f64]) {
        point.split_at(self.users.rows() * self.hyper.dim)
    }

    fn split_mut<'a>(&self, point: &'a mut [f64]) -> (&'a mut [f64], &'a mut [f64]) {
        point.split_at_mut(self.users.rows() * self.hyper.dim)
    }

    /// ½L at `point`; writes ½∇L into `gradient` and keeps the residuals.
    /// Cost: `3|S|·d + 2(users+items)·d²` multiply-adds in f64.
    pub fn evaluate(&self, point: &[f64], residuals: &mut Residuals, gradient: &mut [f64]) -> f64 {
        let (d, alpha0) = (self.hyper.dim, self.hyper.alpha0);
        let (users, items) = self.split(point);
        let (of_users, of_items) = (gram(users, users, d), gram(items, items, d));
        let (into_users, into_items) = self.split_mut(gradient);
        let pieces: Vec<f64> = into_users
            .par_chunks_mut(ROWS_PER_TASK * d)
            .zip(self.users.cut(&mut residuals.0))
            .enumerate()
            .map(|(task, (into, residuals))| {
                let rows = &users[task * ROWS_PER_TASK * d..][..into.len()];
                product(into, rows, of_items.as_ref(), alpha0, Accum::Replace, d);
                let first = task * ROWS_PER_TASK;
                self.add_residuals(first, rows, items, residuals, into)
            })
            .collect();
        let residuals = &residuals.0;
        let regularised: Vec<f64> = into_items
            .par_chunks_mut(ROWS_PER_TASK * d)
            .enumerate()
            .map(|(task, into)| {
                let rows = &items[task * ROWS_PER_TASK * d..][..into.len()];
                product(into, rows, of_users.as_ref(), alpha0, Accum::Replace, d);
                let first = task * ROWS_PER_TASK;
                let sum = add_regularisation(&self.items, first, rows, into, d);
                self.gather(first, &[(residuals, users)], into);
                sum
            })
            .collect();
        let dense: f64 = (0..d)
            .map(|k| of_users.col(k).transpose() * of_items.col(k))
            .sum();
        let sums = pieces.into_iter().chain(regularised).sum::<f64>();
        0.5 * (sums + alpha0 * dense)
    }

    /// The users' part of the data term and its gradient for the rows from `first` on, with the
    /// regularisation. Returns `Σ c (x−1)² + Σ λ‖p‖²` of these rows.
    fn add_residuals(
        &self,
        first: usize,
        rows: &[f64],
        items: &[f64],
        residuals: &mut [f64],
        into: &mut [f64],
    ) -> f64 {
        let d = self.hyper.dim;
        let mut sum = add_regularisation(&self.users, first, rows, into, d);
        let from = self.users.starts[first];
        vectorised(
            Arch::new(),
            #[inline(always)]
            || {
                let each = rows.chunks_exact(d).zip(into.chunks_exact_mut(d));
                for (user, (row, into)) in (first..).zip(each) {
                    for pair in self.users.starts[user]..self.users.starts[user + 1] {
                        let other = &items[self.users.others[pair] as usize * d..][..d];
                        let error = dot_f64(row, other) - 1.0;
                        let residual = self.users.weights[pair] * error;
                        sum += residual * error;
                        residuals[pair - from] = residual;
                        add_scaled_f64(into, residual, other);
                    }
                }
            },
        );
        sum
    }

    /// Adds `Σ_pairs value · row of the user` to the items' rows from `first` on, for each list of
    /// values, users' order, with the users' rows it belongs to.
    fn gather(&self, first: usize, terms: &[(&Vec<f64>, &[f64])], into: &mut [f64]) {
        let d = self.hyper.dim;
        vectorised(
            Arch::new(),
            #[inline(always)]
            || {
                for (item, into) in (first..).zip(into.chunks_exact_mut(d)) {
                    for pair in self.items.starts[item]..self.items.starts[item + 1] {
                        let position = self.positions[pair] as usize;
                        let user = self.items.others[pair] as usize;
                        for (values, rows) in terms {
                            add_scaled_f64(into, values[position], &rows[user * d..][..d]);
                        }
                    }
                }
            },
        );
    }

    /// Half the Hessian at `point` times `direction`, into `into`.
    ///
    /// The derivative of `Σ c (p·q − 1) q + α₀ QᵀQ p + λ p` along (U, V) is
    /// `Σ c (u·q + p·v) q + Σ c (p·q − 1) v + α₀ (QᵀQ u + (VᵀQ + QᵀV) p) + λ u`, and the same with
    /// the sides exchanged. Cost: `6|S|·d + 6(users+items)·d²` multiply-adds in f64.
    pub fn hessian_product(
        &self,
        point: &[f64],
        residuals: &Residuals,
        direction: &[f64],
        into: &mut [f64],
    ) {
        let (d, alpha0) = (self.hyper.dim, self.hyper.alpha0);
        let ((users, items), (u, v)) = (self.split(point), self.split(direction));
        let turned = |a: &[f64], b: &[f64]| {
            let cross = gram(a, b, d);
            &cross + cross.transpose()
        };
        let (of_users, of_items) = (gram(users, users, d), gram(items, items, d));
        let (turned_users, turned_items) = (turned(users, u), turned(items, v));
        let mut changes = vec![0.0; residuals.0.len()];
        let (into_users, into_items) = self.split_mut(into);
        into_users
            .par_chunks_mut(ROWS_PER_TASK * d)
            .zip(self.users.cut(&mut changes))
            .enumerate()
            .for_each(|(task, (into, changes))| {
                let at = task * ROWS_PER_TASK * d;
                let (rows, moved) = (&users[at..][..into.len()], &u[at..][..into.len()]);
                product(into, moved, of_items.as_ref(), alpha0, Accum::Replace, d);
                product(into, rows, turned_items.as_ref(), alpha0, Accum::Add, d);
                let first = task * ROWS_PER_TASK;
                add_regularisation(&self.users, first, moved, into, d);
                let from = self.users.starts[first];
                let residuals = &residuals.0[from..][..changes.len()];
                self.add_changes(first, (rows, moved), (items, v), residuals, changes, into);
            });
        into_items
            .par_chunks_mut(ROWS_PER_TASK * d)
            .enumerate()
            .for_each(|(task, into)| {
                let at = task * ROWS_PER_TASK * d;
                let (rows, moved) = (&items[at..][..into.len()], &v[at..][..into.len()]);
                product(into, moved, of_users.as_ref(), alpha0, Accum::Replace, d);
                product(into, rows, turned_users.as_ref(), alpha0, Accum::Add, d);
                let first = task * ROWS_PER_TASK;
                add_regularisation(&self.items, first, moved, into, d);
                self.gather(first, &[(&changes, users), (&residuals.0, u)], into);
            });
    }

    /// The pairs' part of a product with the Hessian, for the users' rows from `first` on.
    fn add_changes(
        &self,
        first: usize,
        (rows, moved): (&[f64], &[f64]),
        (items, moved_items): (&[f64], &[f64]),
        residuals: &[f64],
        changes: &mut [f64],
        into: &mut [f64],
    ) {
        let d = self.hyper.dim;
        let from = self.users.starts[first];
        vectorised(
            Arch::new(),
            #[inline(always)]
            || {
                let own = rows.chunks_exact(d).zip(moved.chunks_exact(d));
                for (user, ((row, moved), into)) in (first..).zip(own.zip(into.chunks_exact_mut(d)))
                {
                    for pair in self.users.starts[user]..self.users.starts[user + 1] {
                        let other = self.users.others[pair] as usize * d;
                        let (item, moved_item) = (&items[other..][..d], &moved_items[other..][..d]);
                        let change = self.users.weights[pair]
                            * (dot_f64(moved, item) + dot_f64(row, moved_item));
                        changes[pair - from] = change;
                        add_scaled_f64(into, change, item);
                        add_scaled_f64(into, residuals[pair - from], moved_item);
                    }
                }
            },
        );
    }
}

/// Adds `λ x` of the rows from `first` on, and returns `Σ λ‖x‖²`.
fn add_regularisation(
    pairs: &Pairs,
    first: usize,
    rows: &[f64],
    into: &mut [f64],
    d: usize,
) -> f64 {
    let each = rows.chunks_exact(d).zip(into.chunks_exact_mut(d));
    let mut sum = 0.0;
    for (lambda, (row, into)) in pairs.regularisation[first..].iter().zip(each) {
        add_scaled_f64(into, *lambda, row);
        sum += lambda * dot_f64(row, row);
    }
    sum
}

/// `AᵀB` of rows × d each.
fn gram(a: &[f64], b: &[f64], d: usize) -> Mat<f64> {
    let pieces: Vec<Mat<f64>> = a
        .par_chunks(GRAM_ROWS_PER_TASK * d)
        .zip(b.par_chunks(GRAM_ROWS_PER_TASK * d))
        .map(|(a, b)| {
            let a = MatRef::from_row_major_slice(a, a.len() / d, d);
            let b = MatRef::from_row_major_slice(b, b.len() / d, d);
            let mut sum = Mat::zeros(d, d);
            let (left, into) = (a.transpose(), sum.as_mut());
            matmul(into, Accum::Replace, left, b, 1.0, Par::Seq);
            sum
        })
        .collect();
    let mut sum = Mat::zeros(d, d);
    for piece in pieces {
        sum += piece;
    }
    sum
}

/// `into (+)= scale · rows · matrix`.
fn product(
    into: &mut [f64],
    rows: &[f64],
    matrix: MatRef<'_, f64>,
    scale: f64,
    accumulate: Accum,
    d: usize,
) {
    let count = rows.len() / d;
    let into = MatMut::from_row_major_slice_mut(into, count, d);
    let rows = MatRef::from_row_major_slice(rows, count, d);
    matmul(into, accumulate, rows, matrix, scale, Par::Seq);
}
