//! The duality gap against the truth: the convex problem solved another way.

use recant_core::unlearn::{GapOptions, duality_gap};
use recant_testkit::convex::{Problem, distance};

/// Hundreds of factors, from untrained to converged, disturbed and not: the bound holds for all.
#[test]
fn the_bound_is_never_below_the_true_distance() {
    let mut checked = 0;
    for problem_seed in 0..12u64 {
        for (weighted, nu) in [(false, 0.0), (false, 1.0), (true, 0.0), (true, 1.0)] {
            for (lambda, all_wanted) in [(0.02, true), (0.4, true), (0.02, false), (0.4, false)] {
                let problem = Problem::random(problem_seed, weighted, nu, lambda);
                let problem = if all_wanted {
                    problem
                } else {
                    problem.with_targets(problem_seed)
                };
                let truth = problem.minimiser();
                for (sweeps, noise) in [(0, 0.0), (2, 0.3), (10, 0.01), (60, 0.0)] {
                    let model = problem.model(problem_seed + 100, sweeps, noise);
                    let bound = duality_gap(&model, &problem.matrix, &GapOptions::default());
                    let distance = distance(&model, &truth);
                    assert!(
                        distance <= bound.frobenius + 1e-6,
                        "distance {distance} above the bound {bound:?} (seed {problem_seed}, \
                         weighted {weighted}, nu {nu}, lambda {lambda}, all wanted {all_wanted}, \
                         sweeps {sweeps})"
                    );
                    checked += 1;
                }
            }
        }
    }
    assert!(checked >= 300, "only {checked} cases");
}

/// A bound that is always huge would hold too: at a converged model it must be small.
#[test]
fn the_bound_closes_at_the_minimiser() {
    for (weighted, nu) in [(false, 1.0), (true, 1.0)] {
        let wanted = Problem::random(3, weighted, nu, 0.2);
        let mixed = Problem::random(3, weighted, nu, 0.2).with_targets(3);
        for problem in [wanted, mixed] {
            let model = problem.model(5, 3_000, 0.0);
            let bound = duality_gap(&model, &problem.matrix, &GapOptions::default());
            assert!(bound.frobenius < 1e-3, "{bound:?}");
        }
    }
}

/// Whatever is not a number anywhere in the model proves nothing.
#[test]
fn what_is_no_number_is_no_bound() {
    let problem = Problem::random(3, true, 1.0, 0.2);
    let model = problem.model(5, 30, 0.0);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e200] {
        for row in 0..3 {
            let (mut users, mut items) = (model.clone(), model.clone());
            users.users.row_mut(row)[1] = value;
            items.items.row_mut(row)[0] = value;
            for mut broken in [users, items] {
                broken.rebuild_gramians();
                let bound = duality_gap(&broken, &problem.matrix, &GapOptions::default());
                assert!(
                    bound.gap > 1e6 && bound.frobenius > 1e3 && bound.root_mean_square > 1.0,
                    "{value} in row {row}: {bound:?}"
                );
            }
        }
    }
}

/// Six people, everything of everybody: one column of a λ that f64 cannot see is not the minimiser,
/// and is not claimed to be.
#[test]
fn a_regularisation_beyond_numbers_proves_nothing_false() {
    let mut problem = Problem::random(4, false, 0.0, 1e-100);
    problem.hyper.dim = 1;
    let mut truth = Problem::random(4, false, 0.0, 1e-9);
    truth.hyper.dim = 1;
    let x = truth.minimiser();
    for sweeps in [0, 1, 60] {
        let model = problem.model(5, sweeps, 0.0);
        let bound = duality_gap(&model, &problem.matrix, &GapOptions::default());
        let distance = distance(&model, &x);
        let below =
            bound.frobenius.partial_cmp(&(0.9 * distance)) == Some(std::cmp::Ordering::Less);
        assert!(!below, "{distance} {bound:?}");
    }
}
