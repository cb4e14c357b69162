//! LightGCN: embeddings averaged over several rounds of propagation along the graph.
//!
//! He, Deng, Wang, Li, Zhang & Wang, "LightGCN: Simplifying and Powering Graph Convolution Network
//! for Recommendation" (SIGIR 2020). With Â = D^−½ A D^−½ the normalised adjacency of users and
//! items, the propagated rows are `1/(K+1) Σ_{k≤K} Âᵏ E` (equations 3 to 8), and a score is the
//! inner product of two of them. Trained by BPR with a quadratic penalty on E (equation 15).

use pulp::Arch;
use rayon::prelude::*;

use crate::graph::{Adjacency, Graph};
use crate::inner_product;
use crate::network::{Batch, NeuralModel};
use crate::parameters::{Block, Layout, Parameters};
use recant_core::simd::vectorised;
use recant_types::{LightGcn, Loss};

/// Rows that one task propagates.
const ROWS_PER_TASK: usize = 64;

impl NeuralModel for LightGcn {
    fn layout(&self, users: usize, items: usize) -> Layout {
        inner_product::layout(self.dim, users, items)
    }

    fn initialise_shared(&self, _shared: &mut [f32], _seed: u64) {}

    fn row_deviation(&self) -> f32 {
        0.1
    }

    fn loss(&self) -> Loss {
        Loss::Bpr
    }

    fn lambda(&self) -> f32 {
        self.lambda as f32
    }

    fn negatives(&self) -> usize {
        1
    }

    fn is_propagated(&self) -> bool {
        true
    }

    fn is_inner_product(&self) -> bool {
        true
    }

    /// Cost: 2·K·d·pairs multiply-adds.
    fn propagate(&self, graph: &Graph, rows: &mut Parameters) {
        let mut sums = rows.clone();
        let mut current = rows.clone();
        for _ in 0..self.layers {
            let next_users = averaged(
                &graph.users,
                &graph.items,
                current.block(Block::Items),
                self.dim,
            );
            let next_items = averaged(
                &graph.items,
                &graph.users,
                current.block(Block::Users),
                self.dim,
            );
            let (users, items, _) = current.parts_mut();
            users[..next_users.len()].copy_from_slice(&next_users);
            items[..next_items.len()].copy_from_slice(&next_items);
            let pairs = sums.values_mut().par_iter_mut().zip(current.values());
            pairs.for_each(|(sum, value)| *sum += value);
        }
        let share = 1.0 / (self.layers + 1) as f32;
        let values = rows.values_mut().par_iter_mut().zip(sums.values());
        values.for_each(|(value, sum)| *value = share * sum);
    }

    fn forward(&self, _shared: &[f32], batch: &mut Batch) {
        inner_product::forward(self.dim, batch);
    }

    fn tangent(&self, _shared: &[f32], _direction: Option<&[f32]>, batch: &mut Batch) {
        inner_product::tangent(self.dim, batch);
    }

    fn backward(&self, _shared: &[f32], batch: &mut Batch, _gradient: Option<&mut [f32]>) {
        inner_product::backward(self.dim, batch);
    }
}

/// One half of a round: for each row of `own` the sum of its neighbours' rows, each divided by the
/// roots of both degrees. Rows beyond those of the graph, and rows without neighbours, get zero.
fn averaged(own: &Adjacency, other: &Adjacency, rows: &[f32], dim: usize) -> Vec<f32> {
    let scales: Vec<f32> = (0..other.rows() as u32)
        .map(|row| 1.0 / (other.degree(row).max(1) as f32).sqrt())
        .collect();
    let mut sums = vec![0.0; own.rows() * dim];
    sums.par_chunks_mut(ROWS_PER_TASK * dim)
        .enumerate()
        .for_each(|(task, sums)| {
            let first = task * ROWS_PER_TASK;
            vectorised(
                Arch::new(),
                #[inline(always)]
                || {
                    for (offset, sum) in sums.chunks_exact_mut(dim).enumerate() {
                        let neighbours = own.neighbours((first + offset) as u32);
                        for neighbour in neighbours {
                            let at = *neighbour as usize;
                            let scale = scales[at];
                            let row = &rows[at * dim..(at + 1) * dim];
                            for (sum, value) in sum.iter_mut().zip(row) {
                                *sum += scale * value;
                            }
                        }
                        let scale = 1.0 / (neighbours.len().max(1) as f32).sqrt();
                        sum.iter_mut().for_each(|value| *value *= scale);
                    }
                },
            );
        });
    sums
}
