//! Gradients, curvature and row solutions of neural models against finite differences of scores that
//! plain loops compute in f64.

use crate::support::{World, matrix, objective, score, scores, small_models};
use proptest::prelude::*;
use recant_core::model::Side;
use recant_neural::optimise::{
    RowOptions, Selection, Stopping, conjugate_gradients, is_separable, solve_rows,
};
use recant_neural::{Block, Objective, Parameters, Scorer, fold_in, loss, norm};

/// Step of central differences; the error of f64 is some 1e-9 then.
const H: f64 = 1e-6;

/// One-sided differences of a smooth score differ by some H; by more, where a kink of ReLU lies within
/// the step.
const KINK: f64 = 1e-4;

/// Small worlds, and places in them where scores can be differentiated.
fn worlds() -> impl Strategy<Value = (World, Parameters)> {
    let pairs = prop::collection::btree_set((0u32..5, 0u32..6), 4..18);
    let worlds = (0..small_models().len(), pairs, any::<u64>());
    let worlds = worlds.prop_map(|(kind, pairs, seed)| {
        let pairs: Vec<(u32, u32)> = pairs.into_iter().collect();
        let specification = small_models().swap_remove(kind);
        let world = World::new(specification, matrix(&pairs, 5, 6), seed);
        let at = world.lively(seed);
        (world, at)
    });
    worlds.prop_filter("a kink", |(world, at)| !is_at_a_kink(world, at))
}

/// Whether some score has a kink within a step of differences.
fn is_at_a_kink(world: &World, at: &Parameters) -> bool {
    let layout = *at.layout();
    let mut place = wide(at.values());
    let here = scores(world, &layout, &place);
    (0..place.len()).any(|parameter| {
        let value = place[parameter];
        let [above, below] = [value + H, value - H].map(|moved| {
            place[parameter] = moved;
            scores(world, &layout, &place)
        });
        place[parameter] = value;
        let both = above.iter().zip(&below).zip(&here);
        let second = both.map(|((above, below), here)| (above - 2.0 * here + below).abs() / H);
        second.fold(0.0, f64::max) > KINK
    })
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// `∂f/∂θ` for every parameter, f of all of them.
fn differences(at: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<Vec<f64>> {
    let mut moved = at.to_vec();
    let mut columns = Vec::new();
    for parameter in 0..at.len() {
        moved[parameter] = at[parameter] + H;
        let above = f(&moved);
        moved[parameter] = at[parameter] - H;
        let below = f(&moved);
        moved[parameter] = at[parameter];
        let pairs = above.iter().zip(&below);
        columns.push(pairs.map(|(a, b)| (a - b) / (2.0 * H)).collect());
    }
    columns
}

fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    let scale = expected.iter().map(|v| v * v).sum::<f64>().sqrt().max(1.0);
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let apart = (f64::from(*found) - expected).abs();
        assert!(
            apart < 2e-5 * scale,
            "{what} at {at}: {found} and {expected}"
        );
    }
}

/// The Gauss–Newton matrix by definition: J by differences of scores, H by the products of the loss.
fn gauss_newton(world: &World, at: &Parameters) -> Vec<Vec<f64>> {
    let layout = *at.layout();
    let place = wide(at.values());
    let jacobian = differences(&place, |at| scores(world, &layout, at));
    let loss = world.model().loss();
    let stride = world.examples.stride();
    let items: Vec<u32> = (0..layout.users as u32)
        .flat_map(|user| world.examples.user(user).to_vec())
        .collect();
    let narrow = |values: &[f64]| values.iter().map(|v| *v as f32).collect::<Vec<f32>>();
    let scored = narrow(&scores(world, &layout, &place));
    let hessian_product = |direction: &[f64]| {
        let (direction, mut into) = (narrow(direction), vec![0.0; direction.len()]);
        for start in (0..items.len()).step_by(stride) {
            let range = start..start + stride;
            loss::hessian_vector_product(
                loss,
                &items[range.clone()],
                &scored[range.clone()],
                &direction[range.clone()],
                &mut into[range],
            );
        }
        wide(&into)
    };
    let lambda = f64::from(world.model().lambda());
    let mut matrix: Vec<Vec<f64>> = jacobian
        .iter()
        .map(|column| {
            let column = hessian_product(column);
            let dot = |other: &Vec<f64>| other.iter().zip(&column).map(|(a, b)| a * b).sum();
            jacobian.iter().map(dot).collect()
        })
        .collect();
    world
        .objective()
        .visit_weights(at, Block::All, |range, weight| {
            for at in range {
                matrix[at][at] += lambda * f64::from(weight);
            }
        });
    matrix
}

fn direction(at: &Parameters, block: Block) -> Parameters {
    let mut direction = Parameters::zeros(*at.layout());
    let values = direction.block_mut(block).iter_mut().enumerate();
    values.for_each(|(at, value)| *value = ((at * 37 % 19) as f32 - 9.0) / 9.0);
    direction
}

fn product(matrix: &[Vec<f64>], direction: &Parameters) -> Vec<f64> {
    let direction = wide(direction.values());
    let row = |row: &Vec<f64>| row.iter().zip(&direction).map(|(a, b)| a * b).sum();
    matrix.iter().map(row).collect()
}

const BLOCKS: [Block; 4] = [Block::All, Block::Users, Block::Items, Block::Shared];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn value_and_gradient_are_those_of_the_definition((world, at) in worlds()) {
        let layout = *at.layout();
        let f = |at: &[f64]| vec![objective(&world, &layout, at)];
        let place = wide(at.values());
        let expected: Vec<f64> = differences(&place, f).into_iter().flatten().collect();
        let objective = world.objective();
        let point = objective.prepare(&at);
        let value = f(&place)[0];
        prop_assert!((point.value() - value).abs() < 1e-5 * value.max(1.0));
        for block in BLOCKS {
            let mut gradient = Parameters::zeros(layout);
            let also = point.gradient(block, &mut gradient);
            prop_assert!((also - value).abs() < 1e-5 * value.max(1.0));
            let mut wanted = vec![0.0; layout.len()];
            wanted[layout.range(block)].copy_from_slice(&expected[layout.range(block)]);
            assert_close(gradient.values(), &wanted, "gradient");
        }
    }

    #[test]
    fn gauss_newton_products_are_those_of_the_gauss_newton_matrix((world, at) in worlds()) {
        let matrix = gauss_newton(&world, &at);
        let objective = world.objective();
        for block in BLOCKS {
            let along = direction(&at, block);
            let mut found = Parameters::zeros(*at.layout());
            objective.prepare(&at).gauss_newton_product(block, &along, &mut found);
            let expected = product(&matrix, &along);
            let range = at.layout().range(block);
            assert_close(found.block(block), &expected[range.clone()], "product");
            let outside = found.values().iter().enumerate().filter(|(at, _)| !range.contains(at));
            prop_assert!(outside.into_iter().all(|(_, value)| *value == 0.0));
        }
    }

    /// (H + μD) x = b by conjugate gradients; what H does is computed with the dense matrix.
    #[test]
    fn conjugate_gradients_solve_the_dense_system((world, at) in worlds()) {
        let objective = world.objective();
        let point = objective.prepare(&at);
        let selection = Selection::from(Block::All);
        let scales = selection.scales(&objective, &at);
        let damping = 0.05;
        let mut b = direction(&at, Block::All);
        for (value, scale) in b.values_mut().iter_mut().zip(&scales) {
            *value *= scale;
        }
        let stopping = Stopping { products_max: 400, tolerance: 1e-6 };
        let solution = conjugate_gradients(&point, &selection, &scales, damping, &b, stopping);
        let mut back = product(&gauss_newton(&world, &at), &solution.x);
        let damped = solution.x.values().iter().zip(&scales);
        for (sum, (value, scale)) in back.iter_mut().zip(damped) {
            *sum += damping * f64::from(*value) * f64::from(*scale);
        }
        let apart: f64 = back.iter().zip(b.values())
            .map(|(a, b)| (a - f64::from(*b)).powi(2)).sum();
        prop_assert!(apart.sqrt() < 1e-3 * norm(b.values()), "{}", apart.sqrt());
    }

    /// Catalogue and single pairs are scored alike, as the papers write it.
    #[test]
    fn scores_are_those_of_the_definition((world, at) in worlds()) {
        let (layout, place) = (*at.layout(), wide(at.values()));
        let scorer = Scorer::new(world.model(), &world.graph, &at);
        let table = scorer.catalogue(&[3, 0]);
        let pairs: Vec<(u32, u32)> = [3, 0].into_iter()
            .flat_map(|user| (0..6).map(move |item| (user, item)))
            .collect();
        let expected: Vec<f64> = pairs.iter()
            .map(|(user, item)| score(&world, &layout, &place, *user, *item))
            .collect();
        assert_close(&table, &expected, "catalogue");
        assert_close(&scorer.pairs(&pairs), &expected, "pairs");
    }

    /// Whoever is folded in has no gradient left in their row, as far as there are no kinks.
    #[test]
    fn a_row_folded_in_is_stationary((world, at) in worlds(), user in 0u32..5) {
        let groups = world.examples.user(user);
        let smooth = !world.model().is_propagated() && at.layout().shared == 0;
        if smooth && !groups.is_empty() {
            let row = fold_in(world.model(), at.shared(), |item| at.item(item), groups);
            let mut moved = at.clone();
            moved.user_mut(user).copy_from_slice(&row);
            let objective = world.objective();
            let (mut gradient, mut data) = (Parameters::zeros(*at.layout()), Parameters::zeros(*at.layout()));
            objective.prepare(&moved).gradient(Block::Users, &mut gradient);
            objective.prepare(&moved).data_gradient(Block::Users, &mut data);
            let (left, size) = (norm(gradient.user(user)), norm(data.user(user)));
            prop_assert!(left < 1e-2 * size.max(1e-2), "{left} of {size}");
        }
    }

    /// Rows solved one by one leave no gradient in their side, and are not above where they began.
    #[test]
    fn rows_solved_for_are_stationary((world, at) in worlds()) {
        let objective: Objective = world.objective();
        if is_separable(&objective) {
            for (side, block) in [(Side::Users, Block::Users), (Side::Items, Block::Items)] {
                let mut moved = at.clone();
                let rows: Vec<u32> = match side {
                    Side::Users => (0..5).collect(),
                    Side::Items => (0..6).collect(),
                };
                let options = RowOptions { steps_max: 60, damping: 1e-4, tolerance: 1e-12 };
                let mut before = Parameters::zeros(*at.layout());
                let above = objective.prepare(&at).gradient(block, &mut before);
                solve_rows(&objective, &mut moved, side, &rows, &options);
                let mut after = before.clone();
                let below = objective.prepare(&moved).gradient(block, &mut after);
                prop_assert!(below <= above + 1e-6 * above.abs());
                let left = norm(after.values());
                // ReLU has kinks, where a minimum need not be stationary.
                let smooth = objective.model.layout(1, 1).shared == 0;
                prop_assert!(!smooth || left < 1e-2 * norm(before.values()).max(1e-2), "{left}");
            }
        }
    }
}
