//! Neural models: how long they train, how good they get, and how fast they forget.
//!
//! `cargo bench --bench neural -- --model neumf|lightgcn --epochs E --rounds R [--lambda L]`, with
//! `RECANT_BENCH_FILE=pairs.csv.gz`. Each user's last pair of the file is held out and ranked among
//! 99 items drawn at random (He et al. 2017); with `RECANT_BENCH_TEST=pairs.csv.gz` those pairs are
//! held out instead, ranked among all items (Recall@20 and NDCG@20 as He et al. 2020 count them).

mod support;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Instant;

use recant_core::model::{Entry, InteractionMatrix, RowSets};
use recant_core::never;
use recant_neural::forget::{
    AltEraserControl, AltEraserOptions, AltEraserReport, BlockSolver, Reach, alt_eraser,
};
use recant_neural::optimise::{AdamWOptions, LbfgsOptions, Selection, adamw, lbfgs};
use recant_neural::{
    Block, Examples, Graph, NeuralModel, Objective, Parameters, Sampling, Scorer, Source, initial,
    reconcile_rows,
};
use recant_types::{LightGcn, NeuMf};

/// What is held out of the training data.
enum HeldOut {
    /// One item a user, against a hundred less one.
    Last(Vec<Option<u32>>),
    /// Items of each user, against the catalogue.
    Split(Vec<Vec<u32>>),
}

fn main() {
    let (matrix, held_out) = data();
    let graph = Graph::new(&matrix);
    println!(
        "{} users, {} items, {} pairs, {} threads",
        matrix.active_users(),
        matrix.active_items(),
        matrix.interactions(),
        rayon::current_num_threads()
    );
    let neumf = NeuMf {
        lambda: support::argument("--lambda", 1e-5),
        ..NeuMf::with_factors(support::argument("--factors", 8.0) as usize)
    };
    let lightgcn = LightGcn {
        lambda: support::argument("--lambda", 1e-4),
        dim: support::argument("--dim", 64.0) as usize,
        layers: support::argument("--layers", 3.0) as usize,
    };
    let model: &dyn NeuralModel = if is_named("lightgcn") {
        &lightgcn
    } else {
        &neumf
    };
    let at = train(model, &graph, &held_out);
    forget(model, &matrix, &held_out, at);
}

fn is_named(kind: &str) -> bool {
    std::env::args().any(|argument| argument == kind)
}

fn train(model: &dyn NeuralModel, graph: &Graph, held_out: &HeldOut) -> Parameters {
    let seed = support::argument("--seed", 1.0) as u64;
    let usual = AdamWOptions::for_model(model);
    let options = AdamWOptions {
        epochs: support::argument("--epochs", 5.0) as usize,
        batch: support::argument("--batch", usual.batch as f64) as usize,
        learning_rate: support::argument("--rate", f64::from(usual.learning_rate)) as f32,
        seed,
        ..usual
    };
    let every = support::argument("--every", 1.0) as usize;
    let mut at = initial(model, graph, seed);
    let started = Instant::now();
    let trained = adamw(model, graph, &mut at, &options, &mut |report, at| {
        if report.epoch % every == 0 {
            let seconds = started.elapsed().as_secs_f64();
            let (first, second) = quality(model, graph, at, held_out);
            let (epoch, loss) = (report.epoch, report.loss);
            println!("epoch {epoch}: {seconds:.1} s, loss {loss:.5}, {first:.4} {second:.4}");
        }
        ControlFlow::Continue(())
    });
    trained.expect("no divergence");
    at
}

fn forget(
    model: &dyn NeuralModel,
    matrix: &InteractionMatrix,
    held_out: &HeldOut,
    mut at: Parameters,
) {
    let graph = Graph::new(matrix);
    let sampling = Sampling {
        seed: 1,
        negatives: model.negatives(),
    };
    let started = Instant::now();
    let examples = Examples::new(&graph, sampling, 0);
    println!("examples: {:.3} s", started.elapsed().as_secs_f64());
    let objective = Objective {
        model,
        graph: &graph,
        examples: &examples,
        proximal: None,
    };
    timings(&objective, &at);
    let rounds = support::argument("--rounds", 2.0) as usize;
    let started = Instant::now();
    let show = |what: &str, at: &Parameters| {
        let seconds = started.elapsed().as_secs_f64();
        let point = objective.prepare(at);
        let (first, second) = quality(model, &graph, at, held_out);
        let (value, residual) = (point.value() / examples.len() as f64, point.residual());
        println!(
            "{what}: {seconds:.1} s, mean {value:.6}, residual {residual:.2e}, {first:.4} {second:.4}"
        );
    };
    if is_named("--lbfgs") {
        let selection = Selection::from(Block::All);
        let options = LbfgsOptions {
            steps_max: rounds,
            tolerance: 1e-9,
            ..LbfgsOptions::default()
        };
        let every = support::argument("--every", 1.0) as usize;
        lbfgs(
            &objective,
            &mut at,
            &selection,
            &options,
            &mut |report, at| {
                if report.steps % every == 0 {
                    show(&format!("step {}", report.steps), at);
                }
                ControlFlow::Continue(())
            },
        )
        .expect("no divergence");
    } else {
        let options = AltEraserOptions {
            solver: BlockSolver::NewtonCg,
            reach: Reach::Everything,
            rounds_max: rounds,
            products: support::argument("--products", 10.0) as usize,
            damping: support::argument("--damping", 1e-3),
            ..AltEraserOptions::default()
        };
        let touched = graph.all_rows();
        alt_eraser(
            &objective,
            &mut at,
            &touched,
            &options,
            AltEraserControl {
                cancelled: &never,
                observe: &mut |report: &AltEraserReport, at: &Parameters| {
                    show(&format!("round {}", report.rounds), at);
                    ControlFlow::Continue(())
                },
            },
        )
        .expect("no divergence");
    }
    let pair = [(10, matrix.user(10)[0].index)];
    erase(model, matrix, &at, &examples, &pair);
    let user: Vec<(u32, u32)> = matrix.user(20).iter().map(|e| (20, e.index)).collect();
    erase(model, matrix, &at, &examples, &user);
}

/// Times stage 1 of forgetting some pairs, data structures included.
fn erase(
    model: &dyn NeuralModel,
    matrix: &InteractionMatrix,
    at: &Parameters,
    examples: &Examples,
    pairs: &[(u32, u32)],
) {
    let (mut matrix, mut examples, mut at) = (matrix.clone(), examples.clone(), at.clone());
    let started = Instant::now();
    for (user, item) in pairs {
        matrix.remove(*user, *item);
    }
    let graph = Graph::new(&matrix);
    let mut touched = RowSets::from_pairs(pairs);
    let changed = examples.update(&graph, &touched.users);
    touched.users.extend(changed);
    touched.sort_and_dedup();
    reconcile_rows(model, &graph, 1, &mut at);
    let prepared = started.elapsed();
    let objective = Objective {
        model,
        graph: &graph,
        examples: &examples,
        proximal: None,
    };
    let options = AltEraserOptions {
        reach: Reach::Touched,
        rounds_max: 1,
        ..AltEraserOptions::default()
    };
    let report = alt_eraser(
        &objective,
        &mut at,
        &touched,
        &options,
        AltEraserControl {
            cancelled: &never,
            observe: &mut |_: &_, _: &_| ControlFlow::Continue(()),
        },
    )
    .expect("no divergence");
    println!(
        "{} pairs: prepared {prepared:?}, forgotten after {:?}, {} blocks",
        pairs.len(),
        started.elapsed(),
        report.blocks
    );
}

fn timings(objective: &Objective<'_>, at: &Parameters) {
    let mut into = Parameters::zeros(*at.layout());
    let started = Instant::now();
    let point = objective.prepare(at);
    let propagated = started.elapsed();
    point.value();
    let valued = started.elapsed();
    point.gradient(Block::All, &mut into);
    let differentiated = started.elapsed();
    let direction = into.clone();
    point.gauss_newton_product(Block::All, &direction, &mut into);
    println!(
        "propagation {propagated:?}, value {:?}, gradient {:?}, product {:?}",
        valued - propagated,
        differentiated - valued,
        started.elapsed() - differentiated
    );
}

fn quality(
    model: &dyn NeuralModel,
    graph: &Graph,
    at: &Parameters,
    held_out: &HeldOut,
) -> (f64, f64) {
    let scorer = Scorer::new(model, graph, at);
    match held_out {
        HeldOut::Last(items) => last_quality(&scorer, graph, items),
        HeldOut::Split(items) => split_quality(&scorer, graph, items),
    }
}

/// HR@10 and NDCG@10 of each user's held-out item among 99 that they have not seen.
fn last_quality(scorer: &Scorer<'_>, graph: &Graph, items: &[Option<u32>]) -> (f64, f64) {
    let (mut hits, mut gain, mut users) = (0.0, 0.0, 0.0);
    for (user, item) in items.iter().enumerate() {
        let (user, Some(item)) = (user as u32, *item) else {
            continue;
        };
        let source = Source::new(99, 0, user, item);
        let mut others: Vec<u32> = Vec::new();
        for draw in 0.. {
            let other = source
                .negative(graph, user, draw)
                .expect("something unseen");
            if other != item && !others.contains(&other) {
                others.push(other);
            }
            if others.len() == 99 || draw > 2_000 {
                break;
            }
        }
        let pairs: Vec<(u32, u32)> = std::iter::once(item)
            .chain(others)
            .map(|item| (user, item))
            .collect();
        let scores = scorer.pairs(&pairs);
        let rank = scores[1..]
            .iter()
            .filter(|score| **score >= scores[0])
            .count();
        users += 1.0;
        if rank < 10 {
            hits += 1.0;
            gain += 1.0 / (rank as f64 + 2.0).log2();
        }
    }
    (hits / users, gain / users)
}

/// Recall@20 (of all held-out items of a user) and NDCG@20.
fn split_quality(scorer: &Scorer<'_>, graph: &Graph, items: &[Vec<u32>]) -> (f64, f64) {
    const K: usize = 20;
    let users: Vec<u32> = (0..items.len() as u32)
        .filter(|user| !items[*user as usize].is_empty())
        .collect();
    let (mut recall, mut gain) = (0.0, 0.0);
    for users in users.chunks(256) {
        let scores = scorer.catalogue(users);
        for (user, scores) in users.iter().zip(scores.chunks_exact(graph.item_rows())) {
            let seen = graph.users.neighbours(*user);
            let mut ranked: Vec<u32> = (0..scores.len() as u32)
                .filter(|item| seen.binary_search(item).is_err())
                .collect();
            let order = |a: &u32, b: &u32| {
                scores[*b as usize]
                    .total_cmp(&scores[*a as usize])
                    .then(a.cmp(b))
            };
            ranked.select_nth_unstable_by(K, order);
            ranked.truncate(K);
            ranked.sort_unstable_by(order);
            let relevant = &items[*user as usize];
            let discount = |at: usize| 1.0 / (at as f64 + 2.0).log2();
            let hits = ranked
                .iter()
                .enumerate()
                .filter(|(_, item)| relevant.contains(item));
            let hits: Vec<usize> = hits.map(|(at, _)| at).collect();
            recall += hits.len() as f64 / relevant.len() as f64;
            let ideal: f64 = (0..K.min(relevant.len())).map(discount).sum();
            gain += hits.into_iter().map(discount).sum::<f64>() / ideal;
        }
    }
    (recall / users.len() as f64, gain / users.len() as f64)
}

/// Pairs in the order of the file, and the numbers given to ids.
fn read(path: &str, rows: &mut [HashMap<String, u32>; 2]) -> Vec<(u32, u32)> {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut reader = csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(file));
    let records = reader.records().map(|row| row.expect("a readable row"));
    let mut number = |side: usize, id: &str| {
        let next = rows[side].len() as u32;
        *rows[side].entry(id.to_owned()).or_insert(next)
    };
    records
        .map(|row| (number(0, &row[0]), number(1, &row[1])))
        .collect()
}

fn data() -> (InteractionMatrix, HeldOut) {
    let Ok(path) = std::env::var(support::FILE_VARIABLE) else {
        let matrix = support::synthetic(2_000, 1_600, 100_000, 1);
        let nothing = vec![None; matrix.user_rows()];
        return (matrix, HeldOut::Last(nothing));
    };
    let mut rows = [HashMap::new(), HashMap::new()];
    let pairs = read(&path, &mut rows);
    let test = std::env::var("RECANT_BENCH_TEST").map(|path| read(&path, &mut rows));
    let [users, items] = rows.map(|rows| rows.len());
    let mut histories: Vec<Vec<u32>> = vec![Vec::new(); users];
    pairs
        .iter()
        .for_each(|(user, item)| histories[*user as usize].push(*item));
    let held_out = match test {
        Ok(test) => {
            let mut held = vec![Vec::new(); users];
            test.iter()
                .for_each(|(user, item)| held[*user as usize].push(*item));
            HeldOut::Split(held)
        }
        Err(_) => HeldOut::Last(histories.iter_mut().map(Vec::pop).collect()),
    };
    let entry = |index: &u32| Entry::wanted(*index, 1.0);
    let histories = histories
        .iter()
        .map(|items| items.iter().map(entry).collect());
    let matrix = InteractionMatrix::from_histories(histories.collect(), items);
    (matrix, held_out)
}
