//! Small problems made to break a certificate, and what is true of them, found another way: by
//! Newton's method on all factors at once, of full rank, in f64, with a dense duality gap of its own.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{Entry, Ials, InteractionMatrix};
use recant_types::IalsHyperparameters;

/// Steps of the reference solver, and of them without progress.
const STEPS_MAX: usize = 1_500;
const STEPS_WITHOUT_PROGRESS: usize = 80;

/// Who has what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    Random,
    HeavyTail,
    OneUserHasEverything,
    OneItemHasEverybody,
    Disconnected,
    Duplicates,
    OnePairAPerson,
    AllPairs,
}

/// How much the pairs weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    Unit,
    OneHuge,
    OneTiny,
    AnyMagnitude,
    HeavyTail,
    AllHuge,
}

/// What the pairs are drawn to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Targets {
    /// Everything is wanted.
    One,
    /// Nothing is.
    Zero,
    /// Each is wanted, or not, or half.
    Mixed,
}

const PATTERNS: [Pattern; 8] = [
    Pattern::Random,
    Pattern::HeavyTail,
    Pattern::OneUserHasEverything,
    Pattern::OneItemHasEverybody,
    Pattern::Disconnected,
    Pattern::Duplicates,
    Pattern::OnePairAPerson,
    Pattern::AllPairs,
];

const WEIGHTS: [Weights; 6] = [
    Weights::Unit,
    Weights::OneHuge,
    Weights::OneTiny,
    Weights::AnyMagnitude,
    Weights::HeavyTail,
    Weights::AllHuge,
];

/// One problem, and what may be done to it.
#[derive(Debug, Clone)]
pub struct Adversary {
    pub hyper: IalsHyperparameters,
    pub matrix: InteractionMatrix,
    pub pattern: Pattern,
    pub weights: Weights,
    pub targets: Targets,
    pub users: usize,
    pub items: usize,
    random: ChaCha12Rng,
    /// Draws targets, apart from all else: a problem is the same whatever its targets are.
    target_random: ChaCha12Rng,
}

/// A reference solution: X, and a bound on its own distance to the minimiser in Frobenius norm.
#[derive(Debug, Clone)]
pub struct Reference {
    pub scores: Mat<f64>,
    pub error: f64,
}

impl Adversary {
    /// The problem of this number; the same for the same number.
    pub fn number(seed: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let (users, items) = (random.random_range(2..=9), random.random_range(2..=8));
        let magnitude = |random: &mut ChaCha12Rng, least: f64, most: f64| {
            10f64.powf(random.random_range(least..=most))
        };
        let hyper = IalsHyperparameters {
            dim: random.random_range(1..=10),
            alpha0: magnitude(&mut random, -6.0, 1.0),
            lambda: magnitude(&mut random, -4.0, 1.0),
            nu: *[0.0, 0.5, 1.0].choose(&mut random).expect("some"),
        };
        let mut adversary = Self {
            hyper,
            matrix: InteractionMatrix::new(),
            pattern: *PATTERNS.choose(&mut random).expect("some"),
            weights: *WEIGHTS.choose(&mut random).expect("some"),
            targets: [Targets::One, Targets::Mixed, Targets::Zero][(seed % 3) as usize],
            users,
            items,
            random,
            target_random: ChaCha12Rng::seed_from_u64(seed ^ 0x7A26_E757),
        };
        adversary.fill();
        adversary
    }

    fn fill(&mut self) {
        self.matrix.grow(self.users, self.items);
        for user in 0..self.users {
            for item in 0..self.items {
                if self.has(user, item) {
                    let weight = self.weight();
                    self.insert(user as u32, item as u32, weight);
                }
            }
        }
        if self.pattern == Pattern::Duplicates {
            for entry in self.matrix.user(0).to_vec() {
                self.matrix.insert(1, entry);
            }
        }
        if self.matrix.interactions() == 0 {
            self.insert(0, 0, 1.0);
        }
        let pairs = self.pairs();
        let (user, item) = *pairs.choose(&mut self.random).expect("some");
        match self.weights {
            Weights::OneHuge => {
                let weight = *[1e4, 3e5, 1e6].choose(&mut self.random).expect("some");
                self.insert(user, item, weight);
            }
            Weights::OneTiny => self.insert(user, item, 1e-6),
            _ => {}
        }
    }

    fn insert(&mut self, user: u32, item: u32, weight: f32) {
        let target = match self.targets {
            Targets::One => 1.0,
            Targets::Zero => 0.0,
            Targets::Mixed => {
                let any = self.target_random.random();
                *([0.0, 0.5, 1.0, any].choose(&mut self.target_random)).expect("some")
            }
        };
        let entry = Entry {
            index: item,
            weight,
            target,
        };
        self.matrix.insert(user, entry);
    }

    fn has(&mut self, user: usize, item: usize) -> bool {
        let chance = self.random.random::<f64>();
        match self.pattern {
            Pattern::Random | Pattern::Duplicates => chance < 0.35,
            Pattern::HeavyTail => chance < 1.0 / ((1 + user) * (1 + item)) as f64 + 0.05,
            Pattern::OneUserHasEverything => user == 0 || chance < 0.2,
            Pattern::OneItemHasEverybody => item == 0 || chance < 0.2,
            Pattern::Disconnected => user % 2 == item % 2 && chance < 0.7,
            Pattern::OnePairAPerson => item == user * 7 % self.items,
            Pattern::AllPairs => true,
        }
    }

    fn weight(&mut self) -> f32 {
        match self.weights {
            Weights::Unit | Weights::OneHuge | Weights::OneTiny => 1.0,
            Weights::AnyMagnitude => 10f64.powf(self.random.random_range(-6.0..6.0)) as f32,
            Weights::HeavyTail => (1.0 / self.random.random_range(1e-6..1.0f64)).min(1e6) as f32,
            Weights::AllHuge => 10f64.powf(self.random.random_range(4.0..6.0)) as f32,
        }
    }

    /// Every pair there is.
    pub fn pairs(&self) -> Vec<(u32, u32)> {
        (0..self.users as u32)
            .flat_map(|user| self.matrix.user(user).iter().map(move |e| (user, e.index)))
            .collect()
    }

    /// Adds or takes away something, never everything; returns the rows whose data changed.
    pub fn change(&mut self) -> (Vec<u32>, Vec<u32>) {
        let pairs = self.pairs();
        let (user, item) = *pairs.choose(&mut self.random).expect("some");
        let kind = self.random.random_range(0..4);
        let user_items: Vec<u32> = self.matrix.user(user).iter().map(|e| e.index).collect();
        let item_users: Vec<u32> = self.matrix.item(item).iter().map(|e| e.index).collect();
        if kind == 1 && user_items.len() < pairs.len() {
            self.matrix.remove_user(user);
            return (vec![user], user_items);
        }
        if kind == 2 && item_users.len() < pairs.len() {
            self.matrix.remove_item(item);
            return (item_users, vec![item]);
        }
        if kind == 3 && pairs.len() > 1 {
            self.matrix.remove(user, item);
            return (vec![user], vec![item]);
        }
        let user = self.random.random_range(0..self.users) as u32;
        let item = self.random.random_range(0..self.items) as u32;
        let weight = self.weight();
        self.insert(user, item, weight);
        (vec![user], vec![item])
    }

    /// `√‖X − X_ref‖²` over all pairs.
    pub fn distance(&self, model: &Ials, reference: &Reference) -> f64 {
        let mut squared = 0.0;
        for user in 0..self.users {
            for item in 0..self.items {
                let (p, q) = (model.users.row(user), model.items.row(item));
                let score: f64 = p.iter().zip(q).map(|(p, q)| p * q).sum();
                squared += (score - reference.scores[(user, item)]).powi(2);
            }
        }
        squared.sqrt()
    }

    /// The minimiser.
    pub fn solved(&self) -> Reference {
        Dense::new(self).solved()
    }
}

/// The problem over active rows as full matrices, in the scaled variables `√λ_u p_u` and `√λ_i q_i`:
/// `Σ w x² − 2 Σ c t x + Σ c t² + ‖P‖² + ‖Q‖²` with `x = s p·q`.
struct Dense {
    users: Vec<usize>,
    items: Vec<usize>,
    shape: (usize, usize),
    rank: usize,
    /// c, t and c + α₀, and s = 1/√(λ_u λ_i), active users × active items.
    observed: Mat<f64>,
    target: Mat<f64>,
    weight: Mat<f64>,
    scale: Mat<f64>,
    alpha0: f64,
}

impl Dense {
    fn new(of: &Adversary) -> Self {
        let (matrix, hyper) = (&of.matrix, &of.hyper);
        let users: Vec<usize> = (0..of.users)
            .filter(|u| !matrix.user(*u as u32).is_empty())
            .collect();
        let items: Vec<usize> = (0..of.items)
            .filter(|i| !matrix.item(*i as u32).is_empty())
            .collect();
        let lambda = |count: usize, opposite: usize| hyper.regularisation(count, opposite);
        let entry = |u: usize, i: usize| {
            let mut entries = matrix.user(users[u] as u32).iter();
            entries.find(|entry| entry.index as usize == items[i])
        };
        let observed = Mat::from_fn(users.len(), items.len(), |u, i| {
            entry(u, i).map_or(0.0, |entry| f64::from(entry.weight))
        });
        let target = Mat::from_fn(users.len(), items.len(), |u, i| {
            entry(u, i).map_or(0.0, |entry| f64::from(entry.target))
        });
        let scale = Mat::from_fn(users.len(), items.len(), |u, i| {
            let of_user = lambda(matrix.user(users[u] as u32).len(), items.len());
            let of_item = lambda(matrix.item(items[i] as u32).len(), users.len());
            1.0 / (of_user * of_item).sqrt()
        });
        let weight = Mat::from_fn(users.len(), items.len(), |u, i| {
            observed[(u, i)] + hyper.alpha0
        });
        Self {
            rank: users.len().min(items.len()),
            shape: (of.users, of.items),
            observed,
            target,
            weight,
            scale,
            alpha0: hyper.alpha0,
            users,
            items,
        }
    }

    fn solved(&self) -> Reference {
        let (m, n, r) = (self.users.len(), self.items.len(), self.rank);
        let mut random = ChaCha12Rng::seed_from_u64(3);
        let mut at: Vec<f64> = (0..(m + n) * r)
            .map(|_| random.random_range(-0.5..0.5))
            .collect();
        let mut damping = 1.0;
        let mut value = self.value(&at);
        let (mut best, mut best_gap, mut idle) = (self.scores(&at), self.gap(&at), 0);
        for _ in 0..STEPS_MAX {
            let (gradient, hessian) = self.derivatives(&at);
            let step = shifted_solve(&hessian, &gradient, damping);
            let next: Option<Vec<f64>> =
                step.map(|step| at.iter().zip(&step).map(|(a, s)| a - s).collect());
            let found = next.map(|next| (self.value(&next), next));
            match found {
                Some((lower, next)) if lower <= value + 1e-15 * value.abs() => {
                    (value, at) = (lower, next);
                    damping = (damping * 0.2).max(1e-11);
                    let gap = self.gap(&at);
                    idle += 1;
                    if gap < best_gap {
                        idle = if gap < 0.9 * best_gap { 0 } else { idle };
                        (best, best_gap) = (self.scores(&at), gap);
                    }
                }
                _ => {
                    damping = (damping * 5.0).min(1e12);
                    idle += 1;
                }
            }
            if idle > STEPS_WITHOUT_PROGRESS {
                break;
            }
        }
        let mut scores = Mat::zeros(self.shape.0, self.shape.1);
        for (u, user) in self.users.iter().enumerate() {
            for (i, item) in self.items.iter().enumerate() {
                scores[(*user, *item)] = best[(u, i)];
            }
        }
        Reference {
            scores,
            error: (best_gap / self.alpha0).sqrt(),
        }
    }

    fn user<'a>(&self, at: &'a [f64], user: usize) -> &'a [f64] {
        &at[user * self.rank..(user + 1) * self.rank]
    }

    fn item<'a>(&self, at: &'a [f64], item: usize) -> &'a [f64] {
        self.user(at, self.users.len() + item)
    }

    fn scores(&self, at: &[f64]) -> Mat<f64> {
        Mat::from_fn(self.users.len(), self.items.len(), |u, i| {
            let (p, q) = (self.user(at, u), self.item(at, i));
            self.scale[(u, i)] * p.iter().zip(q).map(|(p, q)| p * q).sum::<f64>()
        })
    }

    fn value(&self, at: &[f64]) -> f64 {
        let scores = self.scores(at);
        let mut value: f64 = at.iter().map(|a| a * a).sum();
        for u in 0..self.users.len() {
            for i in 0..self.items.len() {
                let x = scores[(u, i)];
                let error = x - self.target[(u, i)];
                value += self.observed[(u, i)] * error * error + self.alpha0 * x * x;
            }
        }
        value
    }

    /// Half of ∂f/∂x, times the scale: what each pair pulls with.
    fn pulls(&self, scores: &Mat<f64>) -> Mat<f64> {
        Mat::from_fn(self.users.len(), self.items.len(), |u, i| {
            let x = scores[(u, i)];
            let error = x - self.target[(u, i)];
            self.scale[(u, i)] * (self.observed[(u, i)] * error + self.alpha0 * x)
        })
    }

    /// Half the gradient and half the Hessian.
    fn derivatives(&self, at: &[f64]) -> (Mat<f64>, Mat<f64>) {
        let (m, n, r) = (self.users.len(), self.items.len(), self.rank);
        let size = (m + n) * r;
        let pulls = self.pulls(&self.scores(at));
        let mut gradient = Mat::from_fn(size, 1, |k, _| at[k]);
        let mut hessian: Mat<f64> = Mat::identity(size, size);
        for u in 0..m {
            for i in 0..n {
                let (p, q) = (self.user(at, u), self.item(at, i));
                let (pull, s) = (pulls[(u, i)], self.scale[(u, i)]);
                let curved = self.weight[(u, i)] * s * s;
                let (row, column) = (u * r, (m + i) * r);
                for a in 0..r {
                    gradient[(row + a, 0)] += pull * q[a];
                    gradient[(column + a, 0)] += pull * p[a];
                    hessian[(row + a, column + a)] += pull;
                    hessian[(column + a, row + a)] += pull;
                    for b in 0..r {
                        hessian[(row + a, row + b)] += curved * q[a] * q[b];
                        hessian[(column + a, column + b)] += curved * p[a] * p[b];
                        hessian[(row + a, column + b)] += curved * q[a] * p[b];
                        hessian[(column + b, row + a)] += curved * q[a] * p[b];
                    }
                }
            }
        }
        (gradient, hessian)
    }

    /// `L − D` at the gradient scaled to be dual feasible. For quadratic terms `f + f* − xy` is
    /// `(y − f′)²/4w`, so nothing of the size of f is subtracted from anything.
    fn gap(&self, at: &[f64]) -> f64 {
        let scores = self.scores(at);
        let pulls = self.pulls(&scores);
        let Ok(values) = pulls.singular_values() else {
            return f64::INFINITY;
        };
        let shrink = 1.0 / values.first().copied().unwrap_or(0.0).max(1.0);
        let mut gap: f64 = at.iter().map(|a| a * a).sum();
        for u in 0..self.users.len() {
            for i in 0..self.items.len() {
                let half_gradient = pulls[(u, i)] / self.scale[(u, i)];
                let taken = (1.0 - shrink) * half_gradient;
                gap += taken * taken / self.weight[(u, i)];
                gap += 2.0 * shrink * half_gradient * scores[(u, i)];
            }
        }
        let size: f64 = at.iter().map(|a| a * a).sum();
        if gap.is_finite() {
            gap.max(0.0) + 1e-15 * size
        } else {
            f64::INFINITY
        }
    }
}

/// `(H + μI)⁻¹g`, with μ at least `damping`, and more where H is not positive definite.
fn shifted_solve(hessian: &Mat<f64>, gradient: &Mat<f64>, damping: f64) -> Option<Vec<f64>> {
    let size = hessian.nrows();
    let shifted = Mat::from_fn(size, size, |a, b| {
        hessian[(a, b)] + if a == b { damping } else { 0.0 }
    });
    let factor = shifted.llt(Side::Lower).ok()?;
    let step = factor.solve(gradient);
    let step: Vec<f64> = (0..size).map(|k| step[(k, 0)]).collect();
    step.iter().all(|value| value.is_finite()).then_some(step)
}
