//! Small worlds for the tests of neural models, and scores computed another way: plain loops in f64.
#![allow(dead_code)]

use recant_core::model::{Entry, InteractionMatrix};
use recant_neural::{
    Examples, Graph, Layout, NeuralModel, Parameters, Sampling, initial, model_of,
};
use recant_types::{Factorisation, LightGcn, Loss, ModelSpecification, NeuMf};

/// Everything that an objective needs.
#[derive(Debug)]
pub struct World {
    pub specification: ModelSpecification,
    pub matrix: InteractionMatrix,
    pub graph: Graph,
    pub examples: Examples,
}

impl World {
    pub fn new(specification: ModelSpecification, matrix: InteractionMatrix, seed: u64) -> Self {
        let graph = Graph::new(&matrix);
        let negatives = model_of(&specification).negatives();
        let examples = Examples::new(&graph, Sampling { seed, negatives }, 0);
        Self {
            specification,
            matrix,
            graph,
            examples,
        }
    }

    pub fn model(&self) -> &dyn NeuralModel {
        model_of(&self.specification)
    }

    pub fn objective(&self) -> recant_neural::Objective<'_> {
        recant_neural::Objective {
            model: self.model(),
            graph: &self.graph,
            examples: &self.examples,
            proximal: None,
        }
    }

    /// Initial parameters, enlarged so that nothing is nearly linear, with biases that are not zero:
    /// above a dead layer those would be at the kink of ReLU.
    pub fn lively(&self, seed: u64) -> Parameters {
        let mut at = initial(self.model(), &self.graph, seed);
        let scale = 0.5 / self.model().row_deviation();
        let rows = at.layout().len() - at.layout().shared;
        let (own, shared) = at.values_mut().split_at_mut(rows);
        own.iter_mut().for_each(|value| *value *= scale);
        let shifts = (0..19u8).cycle().map(|step| f32::from(step) / 90.0 - 0.1);
        shared
            .iter_mut()
            .zip(shifts)
            .for_each(|(value, shift)| *value += shift);
        at
    }
}

/// Small models of each kind.
pub fn small_models() -> Vec<ModelSpecification> {
    vec![
        ModelSpecification::NeuMf(NeuMf {
            factors: 2,
            layers: vec![6, 4, 3],
            negatives: 2,
            lambda: 0.01,
        }),
        ModelSpecification::LightGcn(LightGcn {
            dim: 3,
            layers: 2,
            lambda: 0.02,
        }),
        ModelSpecification::Factorisation(Factorisation {
            dim: 3,
            loss: Loss::Bpr,
            negatives: 2,
            lambda: 0.01,
        }),
        ModelSpecification::Factorisation(Factorisation {
            dim: 3,
            loss: Loss::Logistic,
            negatives: 3,
            lambda: 0.03,
        }),
    ]
}

/// `pairs` as a matrix of unit weights with at least so many rows.
pub fn matrix(pairs: &[(u32, u32)], users: usize, items: usize) -> InteractionMatrix {
    let mut matrix = InteractionMatrix::new();
    matrix.grow(users, items);
    for (user, item) in pairs {
        matrix.insert(*user, Entry::wanted(*item, 1.0));
    }
    matrix
}

/// A catalogue in which users of a group like the items of that group.
pub fn grouped(users: u32, items: u32, groups: u32) -> InteractionMatrix {
    let mut matrix = InteractionMatrix::new();
    matrix.grow(users as usize, items as usize);
    for user in 0..users {
        for item in 0..items {
            let mixed = user.wrapping_mul(2_654_435_761) ^ item.wrapping_mul(40_503);
            let likes = if user % groups == item % groups {
                55
            } else {
                4
            };
            if (mixed >> 7) % 100 < likes {
                matrix.insert(user, Entry::wanted(item, 1.0));
            }
        }
    }
    matrix
}

/// The score of a pair as the papers write it, in f64, from all parameters.
pub fn score(world: &World, layout: &Layout, at: &[f64], user: u32, item: u32) -> f64 {
    let row = |side: char, row: u32| -> Vec<f64> {
        let range = match side {
            'u' => layout.user(row as usize),
            _ => layout.item(row as usize),
        };
        at[range].to_vec()
    };
    match &world.specification {
        ModelSpecification::NeuMf(model) => {
            let shared = &at[layout.len() - layout.shared..];
            neumf(model, shared, &row('u', user), &row('i', item))
        }
        ModelSpecification::Factorisation(_) => dot(&row('u', user), &row('i', item)),
        ModelSpecification::LightGcn(model) => {
            let users = layout.users;
            let all = users + layout.items;
            let mut current: Vec<Vec<f64>> = (0..all)
                .map(|node| {
                    if node < users {
                        row('u', node as u32)
                    } else {
                        row('i', (node - users) as u32)
                    }
                })
                .collect();
            let mut sums = current.clone();
            for _ in 0..model.layers {
                current = convolved(&world.matrix, users, &current);
                for (sum, value) in sums.iter_mut().flatten().zip(current.iter().flatten()) {
                    *sum += value;
                }
            }
            let share = 1.0 / (model.layers + 1) as f64;
            share * share * dot(&sums[user as usize], &sums[users + item as usize])
        }
    }
}

/// `D^-1/2 A D^-1/2` times one vector a node, by looking at every pair of nodes.
fn convolved(matrix: &InteractionMatrix, users: usize, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut next = vec![vec![0.0; rows[0].len()]; rows.len()];
    for user in 0..users {
        for entry in matrix.user(user as u32) {
            let item = users + entry.index as usize;
            let degrees = matrix.user(user as u32).len() * matrix.item(entry.index).len();
            let weight = 1.0 / (degrees as f64).sqrt();
            for k in 0..rows[0].len() {
                next[user][k] += weight * rows[item][k];
                next[item][k] += weight * rows[user][k];
            }
        }
    }
    next
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn neumf(model: &NeuMf, shared: &[f64], user: &[f64], item: &[f64]) -> f64 {
    let (p, mlp_user) = user.split_at(model.factors);
    let (q, mlp_item) = item.split_at(model.factors);
    let mut values = [mlp_user, mlp_item].concat();
    let mut rest = shared;
    for widths in model.layers.windows(2) {
        let (inputs, outputs) = (widths[0], widths[1]);
        let (weights, after) = rest.split_at(inputs * outputs);
        let (biases, after) = after.split_at(outputs);
        rest = after;
        let output = |o: usize| {
            let sum: f64 = (0..inputs)
                .map(|i| weights[i * outputs + o] * values[i])
                .sum();
            (sum + biases[o]).max(0.0)
        };
        values = (0..outputs).map(output).collect();
    }
    let product: f64 = (0..model.factors).map(|k| rest[k] * p[k] * q[k]).sum();
    product + dot(&rest[model.factors..rest.len() - 1], &values) + rest[rest.len() - 1]
}

/// The objective as its definition reads, in f64.
pub fn objective(world: &World, layout: &Layout, at: &[f64]) -> f64 {
    let lambda = f64::from(world.model().lambda());
    let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
    let square = |values: &[f64]| dot(values, values);
    let shared = square(&at[layout.len() - layout.shared..]);
    let mut sum = 0.0;
    for user in 0..layout.users as u32 {
        let groups = world.examples.user(user);
        for group in groups.chunks_exact(world.examples.stride()) {
            let positive = score(world, layout, at, user, group[0]);
            for (place, item) in group.iter().enumerate() {
                if place > 0 && *item == group[0] {
                    continue;
                }
                let value = score(world, layout, at, user, *item);
                sum -= match (world.model().loss(), place) {
                    (Loss::Logistic, 0) => sigma(value).ln(),
                    (Loss::Logistic, _) => (1.0 - sigma(value)).ln(),
                    (Loss::Bpr, 0) => 0.0,
                    (Loss::Bpr, _) => sigma(positive - value).ln(),
                };
                let rows = square(&at[layout.user(user as usize)])
                    + square(&at[layout.item(*item as usize)]);
                sum += 0.5 * lambda * (rows + shared);
            }
        }
    }
    sum
}

/// A matrix of scores for every example, in the order of users and groups.
pub fn scores(world: &World, layout: &Layout, at: &[f64]) -> Vec<f64> {
    let users = 0..layout.users as u32;
    let pairs = users.flat_map(|user| world.examples.user(user).iter().map(move |i| (user, *i)));
    pairs
        .map(|(user, item)| score(world, layout, at, user, item))
        .collect()
}
