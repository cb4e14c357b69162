//! The two stages of forgetting against a model trained from other random factors on what is left:
//! the first alone, the second alone, both; and ten thousand erasures against one batch.

use std::ops::ControlFlow;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{Entry, Ials, InteractionMatrix, RowSets};
use recant_core::optim::als::{
    self, CACHE_BYTES_MAX, SweepReport, TrainingOptions, solve_users_to_rounding,
};
use recant_core::unlearn::{
    GapOptions, Goal, Progress, UpdateOptions, Warm, cold, converge, duality_gap, update,
};
use recant_types::IalsHyperparameters;

const HYPER: IalsHyperparameters = IalsHyperparameters {
    dim: 24,
    alpha0: 0.3,
    lambda: 0.05,
    nu: 1.0,
};

/// Certified root mean square that every model here is brought to.
const TARGET: f64 = 1e-6;

/// Users and items of a few tastes, popular and rare ones among them.
fn data(users: usize, items: usize, seed: u64) -> InteractionMatrix {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let histories = (0..users)
        .map(|user| {
            let length = 4 + user % 23;
            let mut history: Vec<u32> = (0..length)
                .map(|_| {
                    let popular = random.random::<f64>().powi(2);
                    let taste = if random.random::<f64>() < 0.7 {
                        user % 5
                    } else {
                        0
                    };
                    ((popular * items as f64 / 5.0) as usize * 5 + taste) as u32 % items as u32
                })
                .collect();
            history.sort_unstable();
            history.dedup();
            let entry = |index| Entry::wanted(index, 1.0);
            history.into_iter().map(entry).collect()
        })
        .collect();
    InteractionMatrix::from_histories(histories, items)
}

/// The same where a weight of a million leaves its rounding in the bound.
const HEAVY_TARGET: f64 = 5e-5;

fn trained(matrix: &InteractionMatrix, seed: u64) -> Ials {
    trained_to(matrix, seed, TARGET)
}

fn trained_to(matrix: &InteractionMatrix, seed: u64, target: f64) -> Ials {
    let options = TrainingOptions {
        seed,
        tolerance: 1e-9,
        max_sweeps: 20_000,
        ..TrainingOptions::default()
    };
    let observe = &mut |_: recant_core::unlearn::Progress<'_>| ControlFlow::Continue(());
    let trained = cold::train(matrix, HYPER, &options, target, observe).expect("no divergence");
    let (model, convergence) = trained.expect("nothing ends it");
    let bound = convergence.gap.root_mean_square;
    assert!(bound <= target, "{bound} after {:?}", convergence.report);
    model
}

/// What a service knows that has refined `model` before.
fn warm(model: &Ials, matrix: &InteractionMatrix) -> Warm {
    let mut warm = Warm::new(CACHE_BYTES_MAX);
    let mut copy = model.clone();
    refine(&mut copy, matrix, &mut warm);
    warm
}

fn local_update(model: &mut Ials, matrix: &InteractionMatrix, warm: &mut Warm, touched: &RowSets) {
    let options = UpdateOptions {
        // The work is bounded by the tolerance and by what a pass may leave: no clock in a test.
        budget: Duration::from_secs(600),
        tolerance: 1e-6,
        seed: 1,
    };
    update(model, matrix, &mut warm.cache, touched, &options);
}

fn refine(model: &mut Ials, matrix: &InteractionMatrix, warm: &mut Warm) -> f64 {
    refine_to(model, matrix, warm, TARGET)
}

fn refine_to(model: &mut Ials, matrix: &InteractionMatrix, warm: &mut Warm, target: f64) -> f64 {
    let goal = Goal {
        root_mean_square: target,
        residual: 1e-9,
        max_sweeps: 20_000,
        seed: 3,
    };
    let observe = &mut |_: recant_core::unlearn::Progress<'_>| ControlFlow::Continue(());
    let convergence = converge(model, matrix, warm, &goal, &|| false, observe);
    let convergence = convergence
        .expect("no divergence")
        .expect("nothing ends it");
    let bound = convergence.gap.root_mean_square;
    assert!(bound <= target, "{bound} after {:?}", convergence.report);
    convergence.gap.frobenius
}

/// The largest and the Frobenius difference of all scores.
fn difference(a: &Ials, b: &Ials) -> (f64, f64) {
    let scores = |model: &Ials| model.users.view().dot(&model.items.view().t());
    let difference = scores(a) - scores(b);
    let largest = difference.iter().fold(0.0f64, |most, d| most.max(d.abs()));
    (
        largest,
        difference.iter().map(|d| d * d).sum::<f64>().sqrt(),
    )
}

#[test]
fn each_stage_comes_nearer_to_the_retrained_model_and_both_together_arrive() {
    let whole = data(220, 120, 5);
    let model = trained(&whole, 1);
    for (user, place) in [(7u32, 0usize), (22, 3), (100, 1), (150, 4), (219, 2)] {
        let mut matrix = whole.clone();
        let mut state = warm(&model, &whole);
        let item = matrix.user(user)[place].index;
        matrix.remove(user, item).expect("it is there");
        let touched = RowSets {
            users: vec![user],
            items: vec![item],
        };
        let retrained = trained(&matrix, 77);
        let (nothing, _) = difference(&model, &retrained);
        assert!(nothing > 1e-3, "nothing to forget: {nothing}");

        let mut both = model.clone();
        local_update(&mut both, &matrix, &mut state, &touched);
        let (first, _) = difference(&both, &retrained);
        assert!(first <= 0.25 * nothing, "stage 1 left {first} of {nothing}");
        let bound = refine(&mut both, &matrix, &mut state);
        let (_, arrived) = difference(&both, &retrained);
        let pairs = f64::from(matrix.active_users() as u32 * matrix.active_items() as u32);
        assert!(arrived <= bound + TARGET * pairs.sqrt(), "{arrived}");

        let mut second = model.clone();
        refine(&mut second, &matrix, &mut Warm::new(0));
        let (alone, _) = difference(&second, &both);
        assert!(
            alone <= 2.0 * TARGET * pairs.sqrt(),
            "stage 2 alone: {alone}"
        );
    }
}

/// Sweeps that prove what is already so would only keep people waiting.
#[test]
fn what_a_local_update_left_within_the_target_is_certified_as_it_is() {
    let whole = data(220, 120, 5);
    let trained = trained(&whole, 1);
    let mut warm = warm(&trained, &whole);
    let (mut model, mut matrix) = (trained.clone(), whole.clone());
    let item = matrix.user(100)[1].index;
    matrix.remove(100, item).expect("it is there");
    let touched = RowSets {
        users: vec![100],
        items: vec![item],
    };
    local_update(&mut model, &matrix, &mut warm, &touched);
    let left = duality_gap(&model, &matrix, &GapOptions::default()).root_mean_square;
    let retrained = self::trained(&matrix, 77);
    for (target, is_swept) in [(3.0 * left, false), (0.05 * left, true)] {
        let (mut refined, mut warm) = (model.clone(), warm.fork());
        let goal = Goal {
            root_mean_square: target,
            residual: 1e-9,
            max_sweeps: 20_000,
            seed: 3,
        };
        let observe = &mut |_: Progress<'_>| ControlFlow::Continue(());
        let convergence = converge(&mut refined, &matrix, &mut warm, &goal, &|| false, observe);
        let convergence = convergence.expect("no divergence").expect("nobody ends it");
        assert_eq!(convergence.report.sweeps > 0, is_swept, "{target}");
        assert_eq!(refined.items != model.items, is_swept);
        assert!(convergence.gap.root_mean_square <= target);
        let pairs = f64::from(matrix.active_users() as u32 * matrix.active_items() as u32);
        let (_, distance) = difference(&refined, &retrained);
        assert!(distance <= convergence.gap.frobenius + TARGET * pairs.sqrt());
    }
}

/// It decides when sweeping ends: one that is too large makes for sweeps that nobody needs.
#[test]
fn a_sweep_tells_the_residual_that_is_measured_after_it() {
    let matrix = data(220, 120, 5);
    for tolerance in [1e-3, 1e-5, 1e-7] {
        let options = TrainingOptions {
            tolerance,
            ..TrainingOptions::default()
        };
        let mut told = f64::INFINITY;
        let observe = &mut |sweep: &SweepReport| {
            told = sweep.residual;
            ControlFlow::Continue(())
        };
        let (_, report) = als::train(&matrix, HYPER, &options, observe).expect("no divergence");
        let share = report.residual / told;
        assert!((0.2..1.5).contains(&share), "{tolerance}: {share}");
    }
}

/// Ten thousand erasures one after another, a refinement now and then, as in a service; the same in
/// one batch; and a training from scratch on what is left.
#[test]
fn ten_thousand_erasures_do_not_drift() {
    const ERASURES: usize = 10_000;
    let whole = data(2_000, 150, 9);
    assert!(
        whole.interactions() > ERASURES + 5_000,
        "{}",
        whole.interactions()
    );
    let model = trained(&whole, 1);
    let mut random = ChaCha12Rng::seed_from_u64(8);
    let (mut one_by_one, mut matrix) = (model.clone(), whole.clone());
    let mut state = warm(&model, &whole);
    let mut all = RowSets::default();
    for erasure in 0..ERASURES {
        let (user, item) = loop {
            let user = random.random_range(0..matrix.user_rows() as u32);
            let history = matrix.user(user);
            if !history.is_empty() {
                break (user, history[random.random_range(0..history.len())].index);
            }
        };
        matrix.remove(user, item).expect("it is there");
        let touched = RowSets {
            users: vec![user],
            items: vec![item],
        };
        let options = UpdateOptions {
            budget: Duration::ZERO,
            tolerance: 1e-5,
            seed: 1,
        };
        update(
            &mut one_by_one,
            &matrix,
            &mut state.cache,
            &touched,
            &options,
        );
        all.users.push(user);
        all.items.push(item);
        if erasure % 2_500 == 2_499 {
            refine(&mut one_by_one, &matrix, &mut state);
        }
    }
    let mut at_once = model.clone();
    let mut fresh = warm(&model, &whole);
    local_update(&mut at_once, &matrix, &mut fresh, &all);
    refine(&mut at_once, &matrix, &mut fresh);
    let retrained = trained(&matrix, 31);
    let pairs = (matrix.active_users() as f64 * matrix.active_items() as f64).sqrt();
    for (name, model) in [("one by one", &one_by_one), ("at once", &at_once)] {
        let (largest, frobenius) = difference(model, &retrained);
        assert!(frobenius <= 2.0 * TARGET * pairs, "{name}: {frobenius}");
        assert!(largest <= 1e-3, "{name}: {largest}");
        for row in 0..matrix.user_rows() {
            let gone = matrix.user(row as u32).is_empty();
            assert!(!gone || model.users.row(row).iter().all(|value| *value == 0.0));
        }
    }
}

/// Beside a row of one huge weight, a residual relative to everything says nothing of the others, and
/// a local update relative to everything would leave them be.
#[test]
fn an_erasure_beside_a_huge_weight_moves_the_scores_where_they_belong() {
    let mut whole = data(60, 40, 5);
    whole.insert(3, Entry::wanted(7, 1e6));
    let model = trained_to(&whole, 1, HEAVY_TARGET);
    for user in [3, 11] {
        let mut state = Warm::new(CACHE_BYTES_MAX);
        refine_to(&mut model.clone(), &whole, &mut state, HEAVY_TARGET);
        let mut matrix = whole.clone();
        let item = (matrix.user(user).iter().map(|entry| entry.index))
            .find(|item| *item != 7)
            .expect("another");
        matrix.remove(user, item).expect("it is there");
        let touched = RowSets {
            users: vec![user],
            items: vec![item],
        };
        let retrained = trained_to(&matrix, 77, HEAVY_TARGET);
        let (nothing, _) = difference(&model, &retrained);
        let mut updated = model.clone();
        local_update(&mut updated, &matrix, &mut state, &touched);
        let (first, _) = difference(&updated, &retrained);
        assert!(
            first <= 0.25 * nothing,
            "the update left {first} of {nothing}"
        );
        refine_to(&mut updated, &matrix, &mut state, HEAVY_TARGET);
        let (both, _) = difference(&updated, &retrained);
        assert!(
            both <= 1e-3 * nothing,
            "refinement left {both} of {nothing}"
        );
    }
}

/// What a restart serves is solved for anew: with huge weights, too, it is what was certified.
#[test]
fn users_solved_anew_are_those_that_were_certified() {
    let mut whole = data(60, 40, 5);
    for (user, item, weight) in [(3, 7, 1e6), (4, 7, 1e4), (5, 9, 1e-6), (20, 1, 3e5)] {
        whole.insert(user, Entry::wanted(item, weight));
    }
    let model = trained_to(&whole, 1, HEAVY_TARGET);
    let mut loaded = Ials::from_item_factors(HYPER, whole.user_rows(), model.items.clone());
    solve_users_to_rounding(&mut loaded, &whole);
    let (largest, _) = difference(&model, &loaded);
    assert!(largest < 1e-7, "{largest}");
    let gradient = loaded.half_gradient(&whole);
    for user in 0..whole.user_rows() {
        let weights = whole.user(user as u32).iter();
        let worth: f64 = weights.map(|entry| f64::from(entry.weight)).sum();
        let left = gradient
            .users
            .row(user)
            .iter()
            .map(|g| g * g)
            .sum::<f64>()
            .sqrt();
        assert!(left <= 1e-12 * worth, "{left} of {worth}");
    }
}
