//! What dislikes are worth: a model of likes alone beside one that has dislikes as targets of 0.
//!
//! `cargo bench --bench dislikes -- --ratings FILE --like ge4 --dislike ge3` on a gzipped CSV with a
//! header, `user_id,item_id` first: a row is a like when the column of `--like` is at least
//! `--like-from` (1), and a dislike when that of `--dislike` is at most `--dislike-to` (0). Of each kind
//! a tenth is held out.

mod support;

use std::collections::HashMap;
use std::fs::File;
use std::ops::ControlFlow;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{Entry, Ials, InteractionMatrix};
use recant_core::optim::als::TrainingOptions;
use recant_core::unlearn::cold;
use recant_eval::{Holdout, accuracy, best, compare};
use recant_types::IalsHyperparameters;

/// Length of the lists.
const LIST: usize = 20;

/// Share of each kind that is held out.
const HELD_OUT: f64 = 0.1;

/// The root mean square that is certified.
const TARGET: f64 = 3e-5;

/// What somebody thinks of something.
struct Rated {
    user: u32,
    item: u32,
    is_liked: bool,
    is_held_out: bool,
}

fn main() {
    let Some(path) = support::text_argument("--ratings") else {
        println!("skipped: --ratings FILE names no file");
        return;
    };
    let rated = read(&path);
    let count = |liked: bool, held_out: bool| {
        let of_kind = |row: &&Rated| row.is_liked == liked && row.is_held_out == held_out;
        rated.iter().filter(of_kind).count()
    };
    println!(
        "{path}: {} likes and {} dislikes, {} and {} held out",
        count(true, false),
        count(false, false),
        count(true, true),
        count(false, true)
    );
    let hyper = IalsHyperparameters {
        dim: support::argument("--dim", 128.0) as usize,
        alpha0: support::argument("--alpha0", 0.3),
        lambda: support::argument("--lambda", 0.01),
        nu: 1.0,
    };
    println!(
        "d = {}, α₀ = {}, λ = {}",
        hyper.dim, hyper.alpha0, hyper.lambda
    );
    let everything = matrix(&rated, Some(1.0));
    let likes = held_out(&rated, everything.clone(), true);
    let dislikes = held_out(&rated, everything, false);
    println!(
        "dislikes' weight   NDCG@20   held-out dislikes in the lists   certified rms   another seed's distance"
    );
    for weight in [None, Some(0.5), Some(1.0), Some(2.0), Some(4.0)] {
        let data = matrix(&rated, weight);
        let (model, certified) = trained(&data, hyper, 1);
        let (again, _) = trained(&data, hyper, 2);
        println!(
            "{:>16}   {:.4}   {:>30}   {:>13}   {:.2e}",
            weight.map_or_else(|| String::from("none"), |weight| format!("{weight}")),
            accuracy(&model, &likes, LIST).ndcg,
            unwanted_in_lists(&model, &dislikes),
            certified.map_or_else(|| String::from("open"), |rms| format!("{rms:.2e}")),
            compare(&model, &again, &data, LIST, &|_| ()).root_mean_square
        );
    }
}

/// The model, and the certified root mean square if it is within the target.
fn trained(data: &InteractionMatrix, hyper: IalsHyperparameters, seed: u64) -> (Ials, Option<f64>) {
    let options = TrainingOptions {
        seed,
        ..TrainingOptions::default()
    };
    let trained = cold::train(data, hyper, &options, TARGET, &mut |_| {
        ControlFlow::Continue(())
    });
    let (model, convergence) = trained.expect("it converges").expect("nobody ends it");
    let bound = convergence.gap.root_mean_square;
    (model, Some(bound).filter(|bound| *bound <= TARGET))
}

/// Held-out dislikes in the lists of `LIST`, of all users together.
fn unwanted_in_lists(model: &Ials, dislikes: &Holdout) -> usize {
    (0..dislikes.held_out.len())
        .map(|user| hits(model, dislikes, user as u32))
        .sum()
}

fn hits(model: &Ials, dislikes: &Holdout, user: u32) -> usize {
    let held_out = &dislikes.held_out[user as usize];
    if held_out.is_empty() {
        return 0;
    }
    let own = model.users.row(user as usize);
    let history = dislikes.train.user(user);
    let score = |item: usize| -> f64 {
        let row = model.items.row(item);
        own.iter().zip(row).map(|(a, b)| a * b).sum()
    };
    let scores: Vec<f64> = (0..dislikes.train.item_rows()).map(score).collect();
    let is_free = |item: u32| {
        let has = history.binary_search_by_key(&item, |entry| entry.index);
        has.is_err()
    };
    let listed = best(&scores, LIST, is_free).into_iter();
    listed.filter(|item| held_out.contains(item)).count()
}

/// What is trained on: likes, and dislikes of this weight if there is one.
fn matrix(rated: &[Rated], dislikes: Option<f32>) -> InteractionMatrix {
    let users = rated.iter().map(|row| row.user + 1).max().unwrap_or(0);
    let items = rated.iter().map(|row| row.item + 1).max().unwrap_or(0);
    let mut histories: Vec<Vec<Entry>> = vec![Vec::new(); users as usize];
    for row in rated.iter().filter(|row| !row.is_held_out) {
        let entry = match (row.is_liked, dislikes) {
            (true, _) => Entry::wanted(row.item, 1.0),
            (false, Some(weight)) => Entry {
                index: row.item,
                weight,
                target: 0.0,
            },
            (false, None) => continue,
        };
        histories[row.user as usize].push(entry);
    }
    InteractionMatrix::from_histories(histories, items as usize)
}

/// What is held out of one kind. Lists leave out everything of the training part, of either kind.
fn held_out(rated: &[Rated], train: InteractionMatrix, liked: bool) -> Holdout {
    let mut held_out: Vec<Vec<u32>> = vec![Vec::new(); train.user_rows()];
    for row in rated
        .iter()
        .filter(|row| row.is_held_out && row.is_liked == liked)
    {
        held_out[row.user as usize].push(row.item);
    }
    held_out.iter_mut().for_each(|items| items.sort_unstable());
    Holdout { train, held_out }
}

fn read(path: &str) -> Vec<Rated> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut reader = csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(file));
    let header = reader.headers().expect("a header").clone();
    let column = |flag: &str| {
        let name = support::text_argument(flag).unwrap_or_else(|| String::from("rating"));
        let found = header.iter().position(|column| column == name);
        found.unwrap_or_else(|| panic!("{path} has no column {name}"))
    };
    let (like, dislike) = (column("--like"), column("--dislike"));
    let like_from = support::argument("--like-from", 1.0);
    let dislike_to = support::argument("--dislike-to", 0.0);
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let (mut users, mut items) = (HashMap::new(), HashMap::new());
    let mut rated = Vec::new();
    for row in reader.records() {
        let row = row.expect("a readable row");
        let number = |column: usize| row[column].parse::<f64>().ok();
        let is_liked = number(like).is_some_and(|value| value >= like_from);
        let is_disliked = number(dislike).is_some_and(|value| value <= dislike_to);
        if is_liked == is_disliked {
            continue;
        }
        let next = users.len() as u32;
        let user = *users.entry(row[0].to_owned()).or_insert(next);
        let next = items.len() as u32;
        let item = *items.entry(row[1].to_owned()).or_insert(next);
        let is_held_out = random.random::<f64>() < HELD_OUT;
        rated.push(Rated {
            user,
            item,
            is_liked,
            is_held_out,
        });
    }
    rated
}
