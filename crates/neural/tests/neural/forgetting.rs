//! What forgetting promises, compared with retrains: examples that go with their pairs, the same
//! result on any number of threads, and a distance that falls.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{World, grouped, matrix, small_models};
use proptest::prelude::*;
use recant_core::model::{Entry, InteractionMatrix, RowSets};
use recant_core::never;
use recant_neural::forget::{
    Aggregation, AltEraserControl, AltEraserOptions, AltEraserReport, Anchor, BlockSolver, Dealing,
    InfluenceOptions, Reach, Shards, alt_eraser, influence_step, retrain_cold,
};
use recant_neural::optimise::{
    AdamWOptions, Divergence, LbfgsOptions, NewtonOptions, Selection, lbfgs, newton_cg,
};
use recant_neural::{
    Block, Examples, Graph, Objective, Parameters, Sampling, Scorer, reconcile_rows,
};
use recant_types::{Factorisation, LightGcn, Loss, ModelSpecification, NeuMf};

fn models() -> Vec<ModelSpecification> {
    vec![
        ModelSpecification::NeuMf(NeuMf {
            factors: 4,
            layers: vec![16, 8, 4],
            negatives: 4,
            lambda: 7e-3,
        }),
        ModelSpecification::LightGcn(LightGcn {
            dim: 8,
            layers: 2,
            lambda: 2e-2,
        }),
        ModelSpecification::Factorisation(Factorisation {
            dim: 8,
            loss: Loss::Bpr,
            negatives: 2,
            lambda: 2e-2,
        }),
    ]
}

fn world(specification: ModelSpecification) -> World {
    World::new(specification, grouped(60, 50, 5), 3)
}

/// Rows of this one can be solved for one by one.
fn logistic_factorisation() -> ModelSpecification {
    ModelSpecification::Factorisation(Factorisation {
        dim: 8,
        loss: Loss::Logistic,
        negatives: 4,
        lambda: 2e-2,
    })
}

/// AdamW, and L-BFGS on the fixed examples until it converges.
fn settled(world: &World, seed: u64) -> Parameters {
    let options = AdamWOptions {
        epochs: 30,
        batch: 256,
        learning_rate: 1e-2,
        seed,
        ..AdamWOptions::for_model(world.model())
    };
    let go_on = &mut |_: &_, _: &_| ControlFlow::Continue(());
    let mut at = retrain_cold(world.model(), &world.graph, seed, &options, go_on).expect("finite");
    converge(world, &mut at);
    at
}

fn go_on(_: &AltEraserReport, _: &Parameters) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn converge(world: &World, at: &mut Parameters) {
    let options = LbfgsOptions {
        steps_max: 400,
        tolerance: 1e-5,
        ..LbfgsOptions::default()
    };
    let all = Selection::from(Block::All);
    lbfgs(&world.objective(), at, &all, &options, &mut |_, _| {
        ControlFlow::Continue(())
    })
    .expect("finite");
}

/// Root mean square difference of all scores.
fn distance(world: &World, a: &Parameters, b: &Parameters) -> f64 {
    let users: Vec<u32> = (0..world.matrix.user_rows() as u32).collect();
    let scores = |at: &Parameters| Scorer::new(world.model(), &world.graph, at).catalogue(&users);
    let (a, b) = (scores(a), scores(b));
    let squares = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2));
    (squares.sum::<f64>() / a.len() as f64).sqrt()
}

/// The world without some users' pairs, and what that touched.
fn without(world: &World, users: &[u32]) -> (World, RowSets) {
    let mut matrix = world.matrix.clone();
    let mut pairs = Vec::new();
    for user in users {
        pairs.extend(matrix.remove_user(*user).iter().map(|e| (*user, e.index)));
    }
    let graph = Graph::new(&matrix);
    let mut examples = world.examples.clone();
    let mut touched = RowSets::from_pairs(&pairs);
    touched.users.extend(examples.update(&graph, users));
    touched.sort_and_dedup();
    let world = World {
        specification: world.specification.clone(),
        matrix,
        graph,
        examples,
    };
    (world, touched)
}

#[test]
fn alteraser_comes_closer_to_the_retrain_than_doing_nothing() {
    for specification in models() {
        let before = world(specification);
        let original = settled(&before, 1);
        let (after, touched) = without(&before, &[3, 17, 40]);
        let mut start = original.clone();
        reconcile_rows(after.model(), &after.graph, 1, &mut start);
        // The retrain that starts where forgetting starts: the nearest minimum.
        let mut retrained = start.clone();
        converge(&after, &mut retrained);
        let nothing = distance(&after, &start, &retrained);
        assert!(nothing > 1e-2, "erasing changes the model: {nothing}");
        for solver in [BlockSolver::NewtonCg, BlockSolver::Lbfgs] {
            let mut at = start.clone();
            let options = AltEraserOptions {
                solver,
                rounds_max: 12,
                ..AltEraserOptions::default()
            };
            let mut values = vec![after.objective().prepare(&start).value()];
            let report = alt_eraser(
                &after.objective(),
                &mut at,
                &touched,
                &options,
                AltEraserControl {
                    cancelled: &never,
                    observe: &mut |_: &AltEraserReport, at: &Parameters| {
                        values.push(after.objective().prepare(at).value());
                        ControlFlow::Continue(())
                    },
                },
            )
            .expect("finite");
            assert_eq!(report.rounds, 12);
            let falls = values.windows(2).all(|pair| pair[1] <= pair[0] + 1e-4);
            assert!(falls, "{solver:?}: {values:?}");
            let left = distance(&after, &at, &retrained);
            let kind = after.specification.kind();
            assert!(
                left < 0.5 * nothing,
                "{kind} {solver:?}: {left} of {nothing}"
            );
        }
    }
}

#[test]
fn a_joint_second_order_warm_start_comes_closer_too() {
    for specification in models() {
        let before = world(specification);
        let original = settled(&before, 1);
        let (after, _) = without(&before, &[3, 17, 40]);
        let mut at = original.clone();
        reconcile_rows(after.model(), &after.graph, 1, &mut at);
        let mut retrained = at.clone();
        converge(&after, &mut retrained);
        let nothing = distance(&after, &at, &retrained);
        let (all, options) = (Selection::from(Block::All), NewtonOptions::default());
        newton_cg(&after.objective(), &mut at, &all, &options, &mut |_, _| {
            ControlFlow::Continue(())
        })
        .expect("finite");
        let left = distance(&after, &at, &retrained);
        let kind = after.specification.kind();
        assert!(left < 0.8 * nothing, "{kind}: {left} of {nothing}");
    }
}

/// The step solves the damped system of the change of the gradient, and moves nothing else.
#[test]
fn an_influence_step_is_the_inverse_curvature_times_what_was_taken_away() {
    for specification in models() {
        let before = world(specification);
        let original = settled_briefly(&before);
        let (after, touched) = without(&before, &[3, 17, 40]);
        let mut at = original.clone();
        let selection = Selection::rows(Block::Items, touched.items.clone());
        let options = InfluenceOptions {
            products_max: 500,
            tolerance: 1e-5,
            damping: 1e-2,
        };
        let (old, new) = (before.objective(), after.objective());
        influence_step(&old, &new, &mut at, &selection, &options);
        let mut step = Parameters::zeros(*at.layout());
        let moved = at.values().iter().zip(original.values());
        let steps = step.values_mut().iter_mut().zip(moved);
        steps.for_each(|(step, (now, was))| *step = now - was);
        let outside = step.block(Block::Users).iter().chain(step.shared());
        assert!(outside.into_iter().all(|value| *value == 0.0));
        let gradient = |world: &World| {
            let mut gradient = Parameters::zeros(*at.layout());
            let objective = world.objective();
            objective
                .prepare(&original)
                .gradient(Block::Items, &mut gradient);
            selection.restrict(&mut gradient);
            gradient
        };
        let (was, is) = (gradient(&before), gradient(&after));
        let mut product = Parameters::zeros(*at.layout());
        new.prepare(&original)
            .gauss_newton_product(Block::Items, &step, &mut product);
        selection.restrict(&mut product);
        let scales = selection.scales(&new, &at);
        let (mut apart, mut size) = (0.0, 0.0);
        for (place, scale) in scales.iter().enumerate() {
            let damped = 1e-2 * scale * step.block(Block::Items)[place];
            let left = product.block(Block::Items)[place] + damped;
            let right = was.block(Block::Items)[place] - is.block(Block::Items)[place];
            apart += f64::from(left - right).powi(2);
            size += f64::from(right).powi(2);
        }
        assert!(
            size > 0.0 && apart.sqrt() < 1e-2 * size.sqrt(),
            "{apart} of {size}"
        );
    }
}

#[test]
fn nothing_depends_on_the_number_of_threads() {
    let run = |threads: usize, specification: &ModelSpecification| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads").install(|| {
            let world = world(specification.clone());
            let mut at = settled_briefly(&world);
            let everything = world.graph.all_rows();
            for solver in [BlockSolver::NewtonCg, BlockSolver::Lbfgs] {
                let options = AltEraserOptions {
                    solver,
                    reach: Reach::Everything,
                    rounds_max: 2,
                    ..AltEraserOptions::default()
                };
                let objective = world.objective();
                alt_eraser(
                    &objective,
                    &mut at,
                    &everything,
                    &options,
                    AltEraserControl {
                        cancelled: &never,
                        observe: &mut go_on,
                    },
                )
                .expect("finite");
            }
            let residual = world.objective().prepare(&at).residual();
            (at, residual.to_bits())
        })
    };
    for specification in models() {
        let one = run(1, &specification);
        assert_eq!(one, run(4, &specification), "{}", specification.kind());
    }
}

/// A model that training left somewhere else than at a minimum becomes one when it is anchored: no
/// method moves it while nothing is erased. What is erased moves it to another minimum.
#[test]
fn a_half_trained_model_that_is_held_moves_for_what_is_erased_only() {
    let specification = logistic_factorisation();
    let world = world(specification);
    let at = settled_briefly(&world);
    let plain = world.objective();
    let anchor = Anchor::new(&plain, &at, 0.5);
    let linear = anchor.linear_part(&plain, &at);
    let anchored = Objective {
        proximal: Some(anchor.proximal_term(&linear)),
        ..plain
    };
    assert!(plain.prepare(&at).residual() > 1e-2);
    let some = RowSets::from_pairs(&[(3, 7), (9, 1)]);
    let of_some = Anchor::for_rows(&plain, &at, 0.5, &some).linear_part(&plain, &at);
    for row in &some.users {
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4 * (1.0 + b.abs());
        assert!(of_some.user(*row).iter().zip(linear.user(*row)).all(close));
    }
    for row in &some.items {
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4 * (1.0 + b.abs());
        assert!(of_some.item(*row).iter().zip(linear.item(*row)).all(close));
    }
    assert!(of_some.user(4).iter().all(|value| *value == 0.0));
    assert!(anchored.prepare(&at).residual() < 1e-5);
    let settle = |objective: &Objective<'_>, touched: &RowSets, at: &mut Parameters| {
        let options = AltEraserOptions {
            rounds_max: 30,
            ..AltEraserOptions::default()
        };
        let control = AltEraserControl {
            cancelled: &never,
            observe: &mut go_on,
        };
        alt_eraser(objective, at, touched, &options, control).expect("finite");
    };
    let everything = world.graph.all_rows();
    let mut same = at.clone();
    settle(&anchored, &everything, &mut same);
    let mut further = at.clone();
    settle(&plain, &everything, &mut further);
    let drift = distance(&world, &at, &same);
    assert!(drift < 1e-3 * distance(&world, &at, &further), "{drift}");

    let (rest, touched) = without(&world, &[3]);
    let plain = rest.objective();
    let linear = anchor.linear_part(&plain, &at);
    assert!(linear.user(3).iter().all(|value| *value == 0.0));
    let anchored = Objective {
        proximal: Some(anchor.proximal_term(&linear)),
        ..plain
    };
    let mut settled = at.clone();
    reconcile_rows(rest.model(), &rest.graph, 3, &mut settled);
    let before = anchored.prepare(&settled).residual();
    settle(&anchored, &touched, &mut settled);
    let after = anchored.prepare(&settled).residual();
    assert!(after < 0.01 * before, "{after} of {before}");
    assert!(settled.user(3).iter().all(|value| *value == 0.0));
}

/// A measurement in the background yields to an erasure that comes meanwhile.
#[test]
fn a_measurement_ends_when_it_is_told_to() {
    let world = world(logistic_factorisation());
    let at = settled_briefly(&world);
    let objective = world.objective();
    let point = objective.prepare(&at);
    let measured = point.measure(&|| false).expect("nobody stopped it");
    assert_eq!(measured.residual, point.residual());
    assert!((measured.value - point.value()).abs() < 1e-6 * measured.value.abs());
    let asked = AtomicUsize::new(0);
    let stops = || asked.fetch_add(1, Ordering::Relaxed) >= 1;
    assert_eq!(point.measure(&stops), None);
    assert!(asked.load(Ordering::Relaxed) > 1);
}

/// As many rounds end lower with the acceleration than without it.
#[test]
fn accelerated_rounds_come_further() {
    let world = world(logistic_factorisation());
    let objective = world.objective();
    let residual_after = |memory| {
        let mut at = settled_briefly(&world);
        let options = AltEraserOptions {
            reach: Reach::Everything,
            rounds_max: 40,
            memory,
            ..AltEraserOptions::default()
        };
        let everything = world.graph.all_rows();
        let mut last = f64::INFINITY;
        let observe = &mut |_: &AltEraserReport, at: &Parameters| {
            let value = objective.prepare(at).value();
            assert!(value <= last * (1.0 + 1e-6), "{value} after {last}");
            last = value;
            ControlFlow::Continue(())
        };
        alt_eraser(
            &objective,
            &mut at,
            &everything,
            &options,
            AltEraserControl {
                cancelled: &never,
                observe,
            },
        )
        .expect("finite");
        objective.prepare(&at).residual()
    };
    let (plain, accelerated) = (residual_after(0), residual_after(5));
    assert!(accelerated < 0.5 * plain, "{accelerated}, {plain} without");
}

fn settled_briefly(world: &World) -> Parameters {
    let options = AdamWOptions {
        epochs: 3,
        batch: 300,
        ..AdamWOptions::for_model(world.model())
    };
    let go_on = &mut |_: &_, _: &_| ControlFlow::Continue(());
    retrain_cold(world.model(), &world.graph, 1, &options, go_on).expect("finite")
}

#[test]
fn a_learning_rate_out_of_reason_is_an_error_not_a_model() {
    for specification in models() {
        let world = world(specification);
        let options = AdamWOptions {
            epochs: 50,
            learning_rate: 1e30,
            ..AdamWOptions::for_model(world.model())
        };
        let go_on = &mut |_: &_, _: &_| ControlFlow::Continue(());
        let failed = retrain_cold(world.model(), &world.graph, 1, &options, go_on);
        let error = failed.expect_err("it cannot be finite");
        assert!(matches!(
            error,
            Divergence::NotFinite {
                optimiser: "AdamW",
                ..
            }
        ));
    }
}

#[test]
fn shards_retrain_only_where_something_was_erased() {
    let model = Factorisation {
        dim: 4,
        ..Factorisation::default()
    };
    let options = AdamWOptions {
        epochs: 2,
        ..AdamWOptions::for_model(&model)
    };
    let mut matrix = grouped(40, 30, 4);
    let mut shards =
        Shards::train(&model, &matrix, 5, Dealing::ByUser, 1, &options).expect("finite");
    let before = shards.catalogue(&[1, 2, 3], Aggregation::Own);
    matrix.remove_user(7);
    assert_eq!(shards.forget(&matrix).expect("finite"), 1);
    assert_eq!(shards.forget(&matrix).expect("finite"), 0);
    let fresh = Shards::train(&model, &matrix, 5, Dealing::ByUser, 1, &options).expect("finite");
    let users: Vec<u32> = (0..40).collect();
    assert_eq!(
        shards.catalogue(&users, Aggregation::Mean),
        fresh.catalogue(&users, Aggregation::Mean)
    );
    assert_eq!(before.len(), 90);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is added and erased, examples brought up to date are those made from scratch, and a
    /// user whose pairs did not change keeps theirs as long as their draws stay in use.
    #[test]
    fn examples_are_a_function_of_what_is_retained(
        steps in prop::collection::vec((any::<bool>(), 0u32..7, 0u32..9), 1..40),
        seed in any::<u64>(),
    ) {
        let sampling = Sampling { seed, negatives: 3 };
        let mut pairs = matrix(&[(0, 0), (1, 3), (2, 3), (3, 8)], 7, 9);
        let mut examples = Examples::new(&Graph::new(&pairs), sampling, 0);
        for (adds, user, item) in steps {
            if adds {
                pairs.insert(user, Entry::wanted(item, 1.0));
            } else {
                pairs.remove(user, item);
            }
            let graph = Graph::new(&pairs);
            let before = examples.clone();
            let changed = examples.update(&graph, &[user]);
            prop_assert_eq!(&examples, &Examples::new(&graph, sampling, 0));
            for other in 0..7 {
                let same = before.user(other) == examples.user(other);
                prop_assert_eq!(same, !changed.contains(&other));
            }
        }
    }

    /// An erased pair takes exactly its own group along, but for negatives of its user that the
    /// freed item replaces.
    #[test]
    fn erasing_a_pair_erases_its_negatives(seed in any::<u64>(), place in 0usize..6) {
        let world = World::new(small_models().swap_remove(0), grouped(12, 40, 4), seed);
        let user = 5;
        let history = world.matrix.user(user);
        let item = history[place % history.len()].index;
        let mut matrix: InteractionMatrix = world.matrix.clone();
        matrix.remove(user, item);
        let after = World::new(world.specification.clone(), matrix, seed);
        let stride = world.examples.stride();
        let before = world.examples.user(user).chunks_exact(stride);
        let kept: Vec<&[u32]> = before.filter(|group| group[0] != item).collect();
        let now: Vec<&[u32]> = after.examples.user(user).chunks_exact(stride).collect();
        prop_assert_eq!(kept.len(), now.len());
        for (was, is) in kept.iter().zip(&now) {
            let differ = was.iter().zip(*is).filter(|(was, is)| was != is);
            prop_assert!(differ.into_iter().all(|(_, is)| *is == item));
        }
        // An item that nobody has any more is nobody's negative either.
        let in_use = after.graph.items.degree(item) > 0;
        for other in (0..12).filter(|other| in_use && *other != user) {
            prop_assert_eq!(world.examples.user(other), after.examples.user(other));
        }
    }
}
