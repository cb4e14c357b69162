//! What an explanation proves, against the truth: the convex problem solved another way.

use faer::Mat;
use recant_core::model::{Ials, InteractionMatrix};
use recant_core::unlearn::{GapOptions, duality_gap};
use recant_service::RowTable;
use recant_service::Trainer;
use recant_service::{Explanation, Reason};
use recant_service::{Quality, Snapshot};
use recant_service::{RecommendQuery, Recommendations, Selection, Source, Subject};
use recant_testkit::convex::{ITEMS, Problem, USERS};
use recant_types::{Certificate, GapCertificate, ItemId, UserId};

const VERSION: u64 = 5;

pub fn user(row: usize) -> UserId {
    UserId::new(&format!("user-{row}")).expect("an id")
}

pub fn item(row: usize) -> ItemId {
    ItemId::new(&format!("item-{row}")).expect("an id")
}

pub fn quality(frobenius: f64) -> Quality {
    Quality {
        objective: None,
        residual: None,
        measured_version: Some(VERSION),
        certificate: Some(Certificate::DualityGap(GapCertificate {
            holds: true,
            target: 1e-4,
            root_mean_square: frobenius,
            frobenius,
            gap: frobenius * frobenius,
            dual_scale: 1.0,
            residual: 0.0,
            failure_probability: 1e-9,
            approximate: None,
        })),
        confirmed: true,
    }
}

/// How many people wanted an item.
fn wanted(matrix: &InteractionMatrix, item: usize) -> usize {
    let by = matrix.item(item as u32).iter();
    by.filter(|entry| entry.is_wanted()).count()
}

pub fn snapshot(problem: &Problem, model: &Ials, quality: Quality) -> Snapshot {
    let matrix = problem.matrix.clone();
    let mut trainer = Trainer::empty(problem.hyper, 1);
    let active = |u: &usize| !matrix.user(*u as u32).is_empty();
    let users = (0..matrix.user_rows()).filter(active);
    let users = users.map(|u| (u as u32, user(u)));
    let items = 0..matrix.item_rows();
    trainer.users = RowTable::from_rows(users);
    trainer.items = RowTable::from_rows(items.clone().map(|i| (i as u32, item(i))));
    trainer.item_counts = items
        .clone()
        .map(|i| matrix.item(i as u32).len() as u32)
        .collect();
    trainer.popular = items
        .map(|i| (i as u32, item(i), wanted(&matrix, i) as u32))
        .filter(|(_, _, count)| *count > 0)
        .collect();
    trainer.learner = model.clone().into();
    trainer.matrix = matrix;
    trainer.snapshot(VERSION, quality).expect("finite factors")
}

fn ask(snapshot: &Snapshot, subject: Subject, k: usize) -> (Recommendations, Explanation) {
    let query = RecommendQuery {
        selection: Selection {
            exclude: vec![item(1), ItemId::new("unknown").expect("an id")],
            ..Selection::default()
        },
        explain: true,
        ..RecommendQuery::new(subject, k)
    };
    let mut answer = snapshot.recommend(&query, None, None);
    let explanation = answer.explanation.take().expect("it was asked for");
    (answer, explanation)
}

pub fn row(id: &ItemId) -> usize {
    let number = id.expose().strip_prefix("item-").expect("one of ours");
    number.parse().expect("a row")
}

/// The items the minimiser puts first, in its order, among those that may be recommended.
pub fn truth(problem: &Problem, x: &Mat<f64>, user: usize) -> Vec<usize> {
    let history = problem.matrix.user(user as u32);
    let seen = |i: usize| history.iter().any(|entry| entry.index as usize == i);
    let active = |i: usize| !problem.matrix.item(i as u32).is_empty();
    let mut open: Vec<usize> = (0..ITEMS)
        .filter(|i| *i != 1 && !seen(*i) && active(*i))
        .collect();
    open.sort_by(|a, b| x[(user, *b)].partial_cmp(&x[(user, *a)]).expect("numbers"));
    open
}

pub fn sorted(mut rows: Vec<usize>) -> Vec<usize> {
    rows.sort_unstable();
    rows
}

/// From untrained to converged, whatever is said to be proven is true of the minimiser; and at
/// convergence most is proven.
#[test]
fn what_is_proven_is_true_of_the_minimiser() {
    let (mut proven, mut converged, mut at_convergence) = (0, 0, 0);
    for seed in 0..10u64 {
        for (weighted, nu, lambda) in [(false, 1.0, 0.2), (true, 0.0, 1.5), (true, 1.0, 0.02)] {
            let problem = Problem::random(seed, weighted, nu, lambda);
            let x = problem.minimiser();
            for (sweeps, noise) in [(2, 0.1), (20, 0.003), (60, 1e-5), (3_000, 0.0)] {
                let model = problem.model(seed + 50, sweeps, noise);
                let gap = duality_gap(&model, &problem.matrix, &GapOptions::default());
                let snapshot = snapshot(&problem, &model, quality(gap.frobenius));
                for user_row in (0..USERS).filter(|u| !problem.matrix.user(*u as u32).is_empty()) {
                    for k in [1, 3, 100] {
                        let (answer, found) = ask(&snapshot, Subject::User(user(user_row)), k);
                        let served: Vec<usize> =
                            answer.items.iter().map(|i| row(&i.item)).collect();
                        let expected = truth(&problem, &x, user_row);
                        let context = format!("seed {seed}, sweeps {sweeps}, k {k}: {found:?}");
                        for set in [
                            found.leading_set_proven,
                            if found.top_k_proven { served.len() } else { 0 },
                        ] {
                            let (ours, theirs) = (&served[..set], &expected[..set]);
                            assert_eq!(sorted(ours.to_vec()), sorted(theirs.to_vec()), "{context}");
                        }
                        let positions = found.leading_positions_proven;
                        assert_eq!(served[..positions], expected[..positions], "{context}");
                        // A user whose row is zero to f32 precision is served like a session: nothing is
                        // claimed.
                        let Some(bound) = found.score_bound else {
                            let nothing_to_say = [Reason::Session, Reason::EveryCandidateListed];
                            assert!(nothing_to_say.contains(&found.reason), "{context}");
                            continue;
                        };
                        for scored in &answer.items {
                            let moved = f64::from(scored.score) - x[(user_row, row(&scored.item))];
                            assert!(moved.abs() <= bound + 1e-9, "{moved} {context}");
                        }
                        if k == 3 {
                            proven += usize::from(found.top_k_proven);
                            converged += usize::from(sweeps == 3_000);
                            at_convergence += usize::from(found.top_k_proven && sweeps == 3_000);
                        }
                    }
                }
            }
        }
    }
    assert!(
        at_convergence * 2 > converged,
        "{at_convergence} of {converged}"
    );
    assert!(
        proven > at_convergence,
        "nothing is proven before convergence"
    );
}

fn small() -> (Problem, Ials) {
    let problem = Problem::random(3, true, 1.0, 0.05);
    let model = problem.model(1, 500, 0.0);
    (problem, model)
}

fn first_user(problem: &Problem) -> usize {
    (0..USERS)
        .find(|u| problem.matrix.user(*u as u32).len() > 1)
        .expect("somebody")
}

/// The threshold is √2 times the bound, and a margin just above or below it decides.
#[test]
fn the_margin_decides_at_the_threshold() {
    let (problem, model) = small();
    let subject = || Subject::User(user(first_user(&problem)));
    let (_, free) = ask(&snapshot(&problem, &model, quality(0.0)), subject(), 3);
    let margin = free.margin.expect("more candidates than three");
    assert!(
        margin > 1e-4 && free.top_k_proven && free.reason == Reason::Margin,
        "{free:?}"
    );
    for (factor, proven) in [(0.999, true), (1.001, false)] {
        let bound = factor * margin / std::f64::consts::SQRT_2;
        let (_, found) = ask(&snapshot(&problem, &model, quality(bound)), subject(), 3);
        assert_eq!(found.top_k_proven, proven, "{found:?}");
        let reason = if proven {
            Reason::Margin
        } else {
            Reason::MarginTooSmall
        };
        assert_eq!((found.reason, found.margin), (reason, Some(margin)));
    }
}

/// Without a certificate of this very version nothing is proven, and the reason is named; what
/// needs no certificate stays true.
#[test]
fn a_certificate_counts_for_its_own_version_alone() {
    let (problem, model) = small();
    let good = || quality(1e-9);
    let residual = Some(Certificate::residual(1e-6, 1e-5));
    for (quality, reason, shown) in [
        (
            Quality {
                measured_version: Some(VERSION - 1),
                ..good()
            },
            Reason::NotCertifiedYet,
            false,
        ),
        (
            Quality {
                confirmed: false,
                ..good()
            },
            Reason::NotConfirmedYet,
            true,
        ),
        (
            Quality {
                certificate: residual,
                ..good()
            },
            Reason::NoProof,
            true,
        ),
        (Quality::default(), Reason::NoCertificate, false),
    ] {
        let snapshot = snapshot(&problem, &model, quality);
        let subject = || Subject::User(user(first_user(&problem)));
        let (_, found) = ask(&snapshot, subject(), 2);
        assert_eq!(found.reason, reason);
        assert_eq!(found.certificate.is_some(), shown, "{found:?}");
        assert_eq!((found.top_k_proven, found.leading_set_proven), (false, 0));
        assert_eq!(
            (found.leading_positions_proven, found.score_bound),
            (0, None)
        );
        let (answer, everything) = ask(&snapshot, subject(), 1_000);
        assert!(everything.top_k_proven && everything.margin.is_none());
        assert_eq!(everything.reason, Reason::EveryCandidateListed);
        assert_eq!(everything.leading_set_proven, answer.items.len());
    }
}

#[test]
fn a_session_is_not_covered_and_counts_are_exact() {
    let (problem, model) = small();
    let snapshot = snapshot(&problem, &model, quality(1e-9));
    let (answer, found) = ask(&snapshot, Subject::History(vec![item(0), item(2)]), 3);
    assert_eq!(answer.source, Source::FoldIn);
    assert_eq!((found.top_k_proven, found.reason), (false, Reason::Session));
    let stranger = || Subject::User(UserId::new("stranger").expect("an id"));
    for k in 1..ITEMS {
        let (answer, found) = ask(&snapshot, stranger(), k);
        assert_eq!(answer.source, Source::Popular);
        assert_eq!(found.score_bound, Some(0.0));
        let count = |i: usize| problem.matrix.item(i as u32).len();
        let rest = |i: &usize| *i != 1 && answer.items.iter().all(|listed| row(&listed.item) != *i);
        let next = (0..ITEMS).filter(rest).map(count).max().unwrap_or(0);
        let last = answer.items.last().expect("k is at least 1").score as usize;
        assert_eq!(found.top_k_proven, last > next, "{k}: {found:?}");
        let reason = match (next, last > next) {
            (0, _) => Reason::EveryCandidateListed,
            (_, true) => Reason::Counts,
            (_, false) => Reason::CountsTied,
        };
        assert_eq!(found.reason, reason);
    }
}

/// A list of popular items counts those who wanted them, and so does what is said about it.
#[test]
fn counts_are_of_what_was_wanted() {
    for seed in 0..6 {
        let problem = Problem::random(seed, true, 1.0, 0.05).with_targets(seed);
        let model = problem.model(1, 20, 0.0);
        let snapshot = snapshot(&problem, &model, Quality::default());
        let stranger = || Subject::User(UserId::new("stranger").expect("an id"));
        for k in 1..ITEMS {
            let (answer, found) = ask(&snapshot, stranger(), k);
            let scores = answer.items.iter().map(|listed| listed.score as usize);
            let listed: Vec<usize> = answer.items.iter().map(|found| row(&found.item)).collect();
            assert!(scores.eq(listed.iter().map(|row| wanted(&problem.matrix, *row))));
            let rest = (0..ITEMS).filter(|row| *row != 1 && !listed.contains(row));
            let counts = rest.map(|row| wanted(&problem.matrix, row));
            let next = counts.filter(|count| *count > 0).max();
            let last = answer.items.last().map(|found| f64::from(found.score));
            let margin = next.zip(last).map(|(next, last)| last - next as f64);
            assert_eq!(found.margin, margin, "{found:?}");
        }
    }
}
