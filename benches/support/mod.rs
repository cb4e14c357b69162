//! Data for benchmarks: a file of pairs, or a synthetic stand-in of the same size.
#![allow(dead_code)]

pub mod process;
pub mod stored;
pub mod table;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{Entry, InteractionMatrix};
use recant_http::LearningSettings;
use recant_types::IalsHyperparameters;

/// Environment variable that names a gzipped CSV of `user_id,item_id` to measure on.
pub const FILE_VARIABLE: &str = "RECANT_BENCH_FILE";

/// The number behind `name` on the command line.
pub fn argument(name: &str, default: f64) -> f64 {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name);
    at.and_then(|at| arguments.get(at + 1)?.parse().ok())
        .unwrap_or(default)
}

/// The text behind `name` on the command line.
pub fn text_argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

/// The pairs of the named file, or of a synthetic catalogue of MovieLens-1M's size.
pub fn matrix() -> (String, InteractionMatrix) {
    match std::env::var(FILE_VARIABLE) {
        Ok(path) => (path.clone(), read(Path::new(&path))),
        Err(_) => (
            String::from("synthetic, the size of MovieLens-1M"),
            synthetic(6_040, 3_700, 720_000, 1),
        ),
    }
}

/// Reads `user_id,item_id` with a header from a gzipped CSV.
pub fn read(path: &Path) -> InteractionMatrix {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(file));
    let (mut users, mut items) = (HashMap::new(), HashMap::new());
    let mut histories: Vec<Vec<Entry>> = Vec::new();
    for row in reader.records() {
        let row = row.expect("a readable row");
        let next = users.len() as u32;
        let user = *users.entry(row[0].to_owned()).or_insert(next);
        let next = items.len() as u32;
        let item = *items.entry(row[1].to_owned()).or_insert(next);
        histories.resize(users.len(), Vec::new());
        histories[user as usize].push(Entry::wanted(item, 1.0));
    }
    InteractionMatrix::from_histories(histories, items.len())
}

/// About `pairs` distinct pairs: users with a favourite of 16 groups of items each, items with
/// popularity falling like 1/rank^0.7 within their group.
pub fn synthetic(users: usize, items: usize, pairs: usize, seed: u64) -> InteractionMatrix {
    const GROUPS: usize = 16;
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let per_group = items / GROUPS;
    let mut draw = |favourite: usize| {
        let group = if random.random::<f64>() < 0.6 {
            favourite
        } else {
            random.random_range(0..GROUPS)
        };
        let rank = (random.random::<f64>().powf(3.3) * per_group as f64) as usize;
        (rank * GROUPS + group) as u32
    };
    let histories = (0..users)
        .map(|user| {
            let length = 1 + pairs / users / 2 + (pairs / users) * (user % 11) / 10;
            (0..length)
                .map(|_| Entry::wanted(draw(user % GROUPS), 1.0))
                .collect()
        })
        .collect();
    InteractionMatrix::from_histories(histories, items)
}

/// The time of a local update: `--budget` milliseconds, or what a service takes by default.
pub fn budget() -> Duration {
    let default = LearningSettings::default().budget_milliseconds;
    Duration::from_millis(argument("--budget", default as f64) as u64)
}

/// Says what is measured on: the data, the model and the threads.
pub fn describe(name: &str, matrix: &InteractionMatrix, hyper: IalsHyperparameters) {
    println!(
        "{name}: {} pairs, {} users, {} items; d = {}, α₀ = {}, λ = {}, {} threads",
        matrix.interactions(),
        matrix.active_users(),
        matrix.active_items(),
        hyper.dim,
        hyper.alpha0,
        hyper.lambda,
        rayon::current_num_threads()
    );
}
