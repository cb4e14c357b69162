//! A neural model of one's own: an inner product with a bias for each item. What it says about itself is one
//! implementation of `NeuralModel`; training, forgetting and scores for the whole catalogue come with it.
//!
//! `cargo run --release --example third_neural_model`

use std::error::Error;
use std::ops::ControlFlow;

use recant_core::model::{Entry, InteractionMatrix, RowSets};
use recant_core::never;
use recant_core::simd::dot_f32;
use recant_lab::demo::{CatalogueSize, generate};
use recant_neural::forget::{AltEraserControl, AltEraserOptions, AltEraserReport, alt_eraser};
use recant_neural::optimise::{AdamWOptions, adamw};
use recant_neural::{
    Batch, Examples, Graph, Layout, NeuralModel, Objective, Parameters, Sampling, Scorer, initial,
};
use recant_types::Loss;

/// `score(u, i) = x_u · y_i + b_i`; the bias is the last number of an item's row.
#[derive(Debug)]
struct Biased {
    dim: usize,
}

impl NeuralModel for Biased {
    fn layout(&self, users: usize, items: usize) -> Layout {
        Layout {
            users,
            items,
            user_width: self.dim,
            item_width: self.dim + 1,
            shared: 0,
        }
    }

    fn initialise_shared(&self, _shared: &mut [f32], _seed: u64) {}

    fn row_deviation(&self) -> f32 {
        0.1 / (self.dim as f32).sqrt()
    }

    fn loss(&self) -> Loss {
        Loss::Logistic
    }

    fn lambda(&self) -> f32 {
        1e-3
    }

    fn negatives(&self) -> usize {
        4
    }

    /// Rows of different widths are no inner product; such scores are added up item by item.
    fn is_inner_product(&self) -> bool {
        false
    }

    fn forward(&self, _shared: &[f32], batch: &mut Batch) {
        let rows = batch.users.chunks_exact(self.dim);
        let rows = rows.zip(batch.items.chunks_exact(self.dim + 1));
        for (score, (user, item)) in batch.scores.iter_mut().zip(rows) {
            *score = dot_f32(user, &item[..self.dim]) + item[self.dim];
        }
    }

    /// d score = dx_u · y_i + x_u · dy_i + db_i.
    fn tangent(&self, _shared: &[f32], _direction: Option<&[f32]>, batch: &mut Batch) {
        if batch.user_tangents.is_empty() {
            batch.tangents.fill(0.0);
            return;
        }
        for pair in 0..batch.pairs {
            let (user, item) = (pair * self.dim, pair * (self.dim + 1));
            let (user, bias) = (user..user + self.dim, item + self.dim);
            let item = item..bias;
            batch.tangents[pair] = dot_f32(
                &batch.user_tangents[user.clone()],
                &batch.items[item.clone()],
            ) + dot_f32(&batch.users[user], &batch.item_tangents[item])
                + batch.item_tangents[bias];
        }
    }

    /// ∂ score / ∂ x_u = y_i, ∂ y_i = x_u, ∂ b_i = 1; each times the pair's coefficient.
    fn backward(&self, _shared: &[f32], batch: &mut Batch, _gradient: Option<&mut [f32]>) {
        for pair in 0..batch.pairs {
            let coefficient = batch.coefficients[pair];
            let (user, item) = (pair * self.dim, pair * (self.dim + 1));
            for at in 0..self.dim {
                batch.user_gradients[user + at] = coefficient * batch.items[item + at];
                batch.item_gradients[item + at] = coefficient * batch.users[user + at];
            }
            batch.item_gradients[item + self.dim] = coefficient;
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let model = Biased { dim: 16 };
    let mut matrix = matrix()?;
    let (user, item) = (0, matrix.user(0)[0].index);
    let mut at = train(&model, &Graph::new(&matrix))?;
    println!(
        "score of a pair that is in the data: {:.3}",
        score(&model, &matrix, &at, user, item)
    );

    matrix.remove(user, item);
    forget(&model, &matrix, &mut at, &[(user, item)])?;
    println!(
        "… forgotten by AltEraser:             {:.3}",
        score(&model, &matrix, &at, user, item)
    );

    let retrained = train(&model, &Graph::new(&matrix))?;
    println!(
        "… never seen, trained anew:           {:.3}",
        score(&model, &matrix, &retrained, user, item)
    );
    Ok(())
}

/// 300 invented people, 200 items, 9 000 pairs.
fn matrix() -> Result<InteractionMatrix, Box<dyn Error>> {
    let size = CatalogueSize {
        users: 300,
        items: 200,
        interactions: 9_000,
    };
    let catalogue = generate(&size, 1)?;
    let mut histories = vec![Vec::new(); size.users];
    for (user, item) in catalogue.interactions {
        histories[user as usize].push(Entry::wanted(item, 1.0));
    }
    Ok(InteractionMatrix::from_histories(histories, size.items))
}

fn train(model: &dyn NeuralModel, graph: &Graph) -> Result<Parameters, Box<dyn Error>> {
    let mut at = initial(model, graph, 1);
    let options = AdamWOptions {
        epochs: 30,
        ..AdamWOptions::for_model(model)
    };
    adamw(model, graph, &mut at, &options, &mut |_, _| {
        ControlFlow::Continue(())
    })?;
    Ok(at)
}

/// Moves `at` to where it would be without `pairs`, which `matrix` has no more.
fn forget(
    model: &dyn NeuralModel,
    matrix: &InteractionMatrix,
    at: &mut Parameters,
    pairs: &[(u32, u32)],
) -> Result<(), Box<dyn Error>> {
    let graph = Graph::new(matrix);
    let sampling = Sampling {
        seed: 1,
        negatives: model.negatives(),
    };
    let examples = Examples::new(&graph, sampling, 0);
    let objective = Objective {
        model,
        graph: &graph,
        examples: &examples,
        proximal: None,
    };
    let touched = RowSets::from_pairs(pairs);
    let options = AltEraserOptions::default();
    let report = alt_eraser(
        &objective,
        at,
        &touched,
        &options,
        AltEraserControl {
            cancelled: &never,
            observe: &mut |_: &AltEraserReport, _: &Parameters| ControlFlow::Continue(()),
        },
    )?;
    println!("{} rounds over {} blocks", report.rounds, report.blocks);
    Ok(())
}

fn score(
    model: &dyn NeuralModel,
    matrix: &InteractionMatrix,
    at: &Parameters,
    user: u32,
    item: u32,
) -> f32 {
    Scorer::new(model, &Graph::new(matrix), at).pairs(&[(user, item)])[0]
}
