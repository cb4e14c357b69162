//! The joint steps that the benchmark of forgetting compares with: right where they can be
//! checked, so that the comparison is fair.

#[path = "../../benches/unlearning/closeness.rs"]
mod closeness;
#[path = "../../benches/unlearning/joint/mod.rs"]
mod joint;

use std::ops::ControlFlow;

use closeness::{K, closeness};
use joint::newton_cg::Preconditioner;
use joint::vector::{add_scaled, difference, dot};
use joint::{Joint, adamw, lbfgs, newton_cg};
use recant_core::model::{Entry, Factors, Ials, InteractionMatrix, Side};
use recant_core::optim::als::{CholeskyCache, TrainingOptions, train};
use recant_eval::compare;
use recant_types::IalsHyperparameters;

const USERS: usize = 150;
const ITEMS: usize = 90;

const HYPER: IalsHyperparameters = IalsHyperparameters {
    dim: 7,
    alpha0: 0.3,
    lambda: 0.3,
    nu: 1.0,
};

/// Weighted pairs of two tastes; the last user and the last item have none.
fn matrix() -> InteractionMatrix {
    let mut matrix = InteractionMatrix::new();
    for user in 0..USERS as u32 - 1 {
        for step in 0..4 + user % 9 {
            let item = (user % 2) * 45 + (user * 7 + step * step * 5) % 44;
            matrix.insert(user, Entry::wanted(item, 0.5 + (step % 3) as f32));
        }
    }
    matrix.grow(USERS, ITEMS);
    matrix
}

/// Factors of size one, far from any minimum, zero where there are no interactions.
fn anywhere(seed: u64, matrix: &InteractionMatrix) -> Ials {
    let factors = |rows, side| {
        let mut factors = Factors::random(rows, HYPER.dim, seed, side);
        let values = factors.as_mut_slice().iter_mut();
        values.for_each(|value| *value *= 15.0);
        factors
    };
    let users = factors(USERS, Side::Users);
    let mut model = Ials::from_factors(HYPER, users, factors(ITEMS, Side::Items));
    model.clear_inactive(matrix);
    model
}

fn trained(matrix: &InteractionMatrix, tolerance: f64) -> Ials {
    let options = TrainingOptions {
        tolerance,
        ..TrainingOptions::default()
    };
    let observe = &mut |_: &_| ControlFlow::Continue(());
    train(matrix, HYPER, &options, observe).expect("it ends").0
}

/// Another point like the first, as a direction.
fn direction(joint: &Joint, matrix: &InteractionMatrix, seed: u64) -> Vec<f64> {
    joint.point(&anywhere(seed, matrix))
}

#[test]
fn value_and_gradient_are_those_of_the_model() {
    let matrix = matrix();
    let model = anywhere(1, &matrix);
    let joint = Joint::new(&model, &matrix);
    let point = joint.point(&model);
    let mut gradient = vec![f64::NAN; point.len()];
    let value = joint.evaluate(&point, &mut joint.residuals(), &mut gradient);
    let expected = model.measure(&matrix).objective / 2.0;
    assert!((value - expected).abs() < 1e-12 * expected);
    let half = model.half_gradient(&matrix);
    let expected = [half.users.as_slice(), half.items.as_slice()].concat();
    let off = difference(&gradient, &expected);
    assert!(dot(&off, &off) < 1e-24 * dot(&expected, &expected));
}

#[test]
fn the_gradient_is_the_slope_of_the_value() {
    let matrix = matrix();
    let model = anywhere(1, &matrix);
    let joint = Joint::new(&model, &matrix);
    let point = joint.point(&model);
    let mut gradient = vec![0.0; point.len()];
    joint.evaluate(&point, &mut joint.residuals(), &mut gradient);
    for seed in 2..8 {
        let along = direction(&joint, &matrix, seed);
        let at = |step: f64| {
            let mut moved = point.clone();
            add_scaled(&mut moved, step, &along);
            joint.evaluate(&moved, &mut joint.residuals(), &mut vec![0.0; point.len()])
        };
        let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        let expected = dot(&gradient, &along);
        assert!((slope - expected).abs() < 1e-6 * (1.0 + expected.abs()));
    }
}

#[test]
fn a_product_with_the_hessian_is_the_change_of_the_gradient() {
    let matrix = matrix();
    let model = anywhere(1, &matrix);
    let joint = Joint::new(&model, &matrix);
    let point = joint.point(&model);
    let mut residuals = joint.residuals();
    joint.evaluate(&point, &mut residuals, &mut vec![0.0; point.len()]);
    let mut products = Vec::new();
    for seed in 2..8 {
        let along = direction(&joint, &matrix, seed);
        let mut product = vec![f64::NAN; point.len()];
        joint.hessian_product(&point, &residuals, &along, &mut product);
        let at = |step: f64| {
            let (mut moved, mut gradient) = (point.clone(), vec![0.0; point.len()]);
            add_scaled(&mut moved, step, &along);
            joint.evaluate(&moved, &mut joint.residuals(), &mut gradient);
            gradient
        };
        let mut off = difference(&at(1e-5), &at(-1e-5));
        off.iter_mut().for_each(|value| *value /= 2e-5);
        add_scaled(&mut off, -1.0, &product);
        assert!(dot(&off, &off) < 1e-14 * dot(&product, &product));
        products.push((along, product));
    }
    let (a, b) = (&products[0], &products[1]);
    let (one, other) = (dot(&a.0, &b.1), dot(&b.0, &a.1));
    assert!((one - other).abs() < 1e-12 * dot(&a.0, &a.1).max(one.abs()));
}

/// From the minimum of everything to that without forty pairs and one whole user.
#[test]
fn every_joint_method_approaches_the_retrained_model() {
    let mut matrix = matrix();
    let mut model = trained(&matrix, 1e-9);
    for user in 0..40 {
        let item = matrix.user(user)[0].index;
        matrix.remove(user, item);
    }
    matrix.remove_user(77);
    model.clear_inactive(&matrix);
    let retrained = trained(&matrix, 1e-10);
    let joint = Joint::new(&model, &matrix);
    let start = joint.point(&model);
    let kept = CholeskyCache::new(0);
    let preconditioner = Preconditioner::new(&model, &matrix, &kept);
    let before = closeness(&model, &retrained, &matrix).largest;
    let after = |point: Vec<f64>| closeness(&joint.model(&point), &retrained, &matrix).largest;
    let adamw = after(adamw::minimise(&joint, &start, 1e-2, 200).0);
    let lbfgs = after(lbfgs::minimise(&joint, &start, 1e-2, 200));
    let newton = after(newton_cg::minimise(&joint, &start, &preconditioner, 10, 12));
    assert!(before > 1e-2, "{before}");
    assert!(adamw < 0.1 * before, "{adamw} {before}");
    assert!(lbfgs < 1e-3 * before, "{lbfgs} {before}");
    assert!(newton < 1e-3 * before, "{newton} {before}");
}

#[test]
fn closeness_is_the_librarys_comparison() {
    let matrix = matrix();
    let (a, b) = (anywhere(1, &matrix), trained(&matrix, 1e-3));
    let (found, expected) = (
        closeness(&a, &b, &matrix),
        compare(&a, &b, &matrix, K, &|_| {}),
    );
    for (found, expected) in [
        (found.largest, expected.largest),
        (found.root_mean_square, expected.root_mean_square),
        (found.jaccard, expected.jaccard),
    ] {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}
