//! Parameters to begin from.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;

use recant_core::box_muller;

use crate::graph::Graph;
use crate::negatives::mix;
use crate::network::NeuralModel;
use crate::parameters::{Block, Parameters};

/// Words that keep the random numbers of users, items and layers apart.
const USERS: u64 = 1;
const ITEMS: u64 = 2;
const SHARED: u64 = 3;

/// Random parameters for the rows of `graph`, a function of the seed: each row has its own source,
/// so it does not matter how many there are. A row without interactions is zero.
pub fn initial(model: &dyn NeuralModel, graph: &Graph, seed: u64) -> Parameters {
    let layout = model.layout(graph.user_rows(), graph.item_rows());
    let mut parameters = Parameters::zeros(layout);
    let (users, items, shared) = parameters.parts_mut();
    let deviation = model.row_deviation();
    let rows = users.par_chunks_exact_mut(layout.user_width).enumerate();
    rows.filter(|(row, _)| graph.users.degree(*row as u32) > 0)
        .for_each(|(row, values)| fill(values, deviation, mix(mix(seed, USERS), row as u64)));
    let rows = items.par_chunks_exact_mut(layout.item_width).enumerate();
    rows.filter(|(row, _)| graph.items.degree(*row as u32) > 0)
        .for_each(|(row, values)| fill(values, deviation, mix(mix(seed, ITEMS), row as u64)));
    model.initialise_shared(shared, mix(seed, SHARED));
    parameters
}

/// Brings the rows in line with `graph`: rows that are zero although they have interactions get their
/// initial values, rows that have none become zero.
pub fn reconcile_rows(model: &dyn NeuralModel, graph: &Graph, seed: u64, at: &mut Parameters) {
    let layout = *at.layout();
    let deviation = model.row_deviation();
    for (block, word) in [(Block::Users, USERS), (Block::Items, ITEMS)] {
        let (width, side) = match block {
            Block::Users => (layout.user_width, &graph.users),
            _ => (layout.item_width, &graph.items),
        };
        let rows = at.block_mut(block).chunks_exact_mut(width).enumerate();
        for (row, values) in rows {
            let is_zero = values.iter().all(|value| *value == 0.0);
            match side.degree(row as u32) {
                0 => values.fill(0.0),
                _ if is_zero => fill(values, deviation, mix(mix(seed, word), row as u64)),
                _ => {}
            }
        }
    }
}

/// Normal random numbers of mean 0.
fn fill(values: &mut [f32], deviation: f32, seed: u64) {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    for value in values {
        let (u, v): (f32, f32) = (1.0 - random.random::<f32>(), random.random());
        *value = deviation * box_muller(u.into(), v.into()) as f32;
    }
}
