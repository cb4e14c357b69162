//! Items that nobody has touched: how well rows made from what is said about them find who likes them, and
//! what their rows do to the lists of all other items.
//!
//! `cargo bench --bench content -- --items FILE [--dim D --lambda L]`, with `RECANT_BENCH_FILE=pairs.csv.gz`, whose
//! first columns are user and item. The items' file is a gzipped CSV of id, title and tags with `|` between
//! them; a year in brackets at the end of a title is taken as a number. One described item in ten loses everybody, and a fifth
//! of each history is held out besides.

mod support;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;
use recant_core::content::ContentModel;
use recant_core::model::{Entry, Ials, InteractionMatrix};
use recant_core::never;
use recant_core::optim::als;
use recant_core::optim::als::TrainingOptions;
use recant_core::topk::{PagedRows, scan};
use recant_eval::{hold_out, ndcg, recall};
use recant_types::{IalsHyperparameters, ItemDescription, ItemId, PropertyValue};
use support::table::{Table, shown};

const K: usize = 20;
const SEED: u64 = 1;

fn main() {
    let data = Data::read();
    let hyper = IalsHyperparameters {
        dim: support::argument("--dim", 64.0) as usize,
        lambda: support::argument("--lambda", IalsHyperparameters::default().lambda),
        ..IalsHyperparameters::default()
    };
    support::describe("without the cold items", &data.warm, hyper);
    let options = TrainingOptions {
        tolerance: 1e-4,
        ..TrainingOptions::default()
    };
    let trained = als::train(&data.warm, hyper, &options, &mut |_| {
        ControlFlow::Continue(())
    });
    let (model, _) = trained.expect("it trains");
    let rows = Rows::of(&data, &model);
    cold_alone(&data, &model, &rows);
    whole_lists(&data, &model, &rows);
}

/// A catalogue of which some items lost everybody.
struct Data {
    said: Vec<Option<Arc<ItemDescription>>>,
    /// What is trained on: no pair of a cold item, none that is held out.
    warm: InteractionMatrix,
    is_cold: Vec<bool>,
    /// By user: held-out pairs of warm items, and all pairs of cold ones; ascending.
    held_out_warm: Vec<Vec<u32>>,
    liked_cold: Vec<Vec<u32>>,
}

impl Data {
    fn read() -> Self {
        let pairs = std::env::var(support::FILE_VARIABLE).expect("RECANT_BENCH_FILE names pairs");
        let items = support::text_argument("--items").expect("--items names what is said");
        let (matrix, ids) = read_pairs(Path::new(&pairs));
        let mut described = read_items(Path::new(&items));
        let said: Vec<_> = ids.iter().map(|id| described.remove(id)).collect();
        let rows = 0..ids.len() as u32;
        let mut cold: Vec<u32> = rows.filter(|row| said[*row as usize].is_some()).collect();
        cold.shuffle(&mut ChaCha12Rng::seed_from_u64(SEED));
        cold.truncate(cold.len() / 10);
        let mut is_cold = vec![false; ids.len()];
        cold.iter().for_each(|row| is_cold[*row as usize] = true);
        let users = || (0..matrix.user_rows() as u32).map(|user| matrix.user(user));
        let part = |cold: bool| {
            let is_cold = &is_cold;
            let is_of = move |entry: &&Entry| is_cold[entry.index as usize] == cold;
            users().map(move |history| {
                history
                    .iter()
                    .filter(is_of)
                    .copied()
                    .collect::<Vec<Entry>>()
            })
        };
        let warm = InteractionMatrix::from_histories(part(false).collect(), ids.len());
        let liked = part(true).map(|history| history.iter().map(|entry| entry.index).collect());
        let liked_cold = liked.collect();
        let split = hold_out(&warm, 0.2, SEED);
        println!("{} of {} items are cold", cold.len(), ids.len());
        Self {
            said,
            warm: split.train,
            held_out_warm: split.held_out,
            liked_cold,
            is_cold,
        }
    }

    fn has(&self, user: usize, item: u32) -> bool {
        let history = self.warm.user(user as u32);
        history
            .binary_search_by_key(&item, |entry| entry.index)
            .is_ok()
    }
}

fn reader(path: &Path) -> csv::Reader<flate2::read::MultiGzDecoder<std::fs::File>> {
    let file =
        std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    csv::Reader::from_reader(flate2::read::MultiGzDecoder::new(file))
}

fn read_pairs(path: &Path) -> (InteractionMatrix, Vec<String>) {
    let (mut users, mut items) = (HashMap::new(), HashMap::new());
    let (mut histories, mut ids) = (Vec::<Vec<Entry>>::new(), Vec::new());
    for row in reader(path).records() {
        let row = row.expect("a readable row");
        let next = users.len();
        let user = *users.entry(row[0].to_owned()).or_insert(next);
        let item = *items.entry(row[1].to_owned()).or_insert_with(|| {
            ids.push(row[1].to_owned());
            ids.len() as u32 - 1
        });
        histories.resize(users.len(), Vec::new());
        histories[user].push(Entry::wanted(item, 1.0));
    }
    let matrix = InteractionMatrix::from_histories(histories, ids.len());
    (matrix, ids)
}

fn read_items(path: &Path) -> BTreeMap<String, Arc<ItemDescription>> {
    let described = reader(path).into_records().map(|row| {
        let row = row.expect("a readable row");
        let mut said = ItemDescription::of(ItemId::new(&row[0]).expect("an id"));
        said.set_tags(
            row[2]
                .split('|')
                .filter(|tag| !tag.is_empty())
                .map(Arc::from),
        );
        if let Some(year) = year(&row[1]) {
            said.properties
                .insert(Arc::from("year"), PropertyValue::Number(year));
        }
        (row[0].to_owned(), Arc::new(said))
    });
    described.collect()
}

/// The year that a title ends with, as in `Heat (1995)`.
fn year(title: &str) -> Option<f64> {
    let (_, year) = title.trim().strip_suffix(')')?.rsplit_once('(')?;
    year.parse().ok()
}

/// Rows of all items: those of the model, and those that descriptions give the cold ones.
struct Rows {
    warm: PagedRows,
    all: PagedRows,
}

impl Rows {
    fn of(data: &Data, model: &Ials) -> Self {
        let dim = model.hyper.dim;
        let is_touched = |row: &usize| !data.warm.item(*row as u32).is_empty();
        let touched = (0..data.said.len()).filter(is_touched);
        let (mut described, mut factors) = (Vec::new(), Vec::new());
        for (row, said) in touched.filter_map(|row| Some((row, data.said[row].clone()?))) {
            described.push(said);
            factors.extend_from_slice(model.items.row(row));
        }
        let started = Instant::now();
        let content = ContentModel::fit(&described, &factors, dim, &never).expect("enough items");
        println!(
            "fitted to {} items, {} features, rho = {}, in {}",
            described.len(),
            content.features(),
            content.rho(),
            shown(started.elapsed())
        );
        let warm = |row: usize, into: &mut [f32]| narrow(model.items.row(row), into);
        let rows = data.said.len();
        Self {
            warm: PagedRows::from_rows(rows, dim, warm),
            all: PagedRows::from_rows(rows, dim, |row, into| match &data.said[row] {
                Some(said) if data.is_cold[row] => {
                    into.copy_from_slice(&content.predict(said).unwrap_or(vec![0.0; dim]));
                }
                _ => warm(row, into),
            }),
        }
    }
}

fn narrow(row: &[f64], into: &mut [f32]) {
    into.iter_mut()
        .zip(row)
        .for_each(|(into, value)| *into = *value as f32);
}

/// Means over the users of whom something is relevant.
#[derive(Default)]
struct Means {
    users: f64,
    recall: f64,
    ndcg: f64,
}

impl Means {
    fn of(relevant: &[Vec<u32>], list: impl Fn(usize) -> Vec<u32>) -> Self {
        let mut means = Self::default();
        for (user, relevant) in relevant.iter().enumerate() {
            if relevant.is_empty() {
                continue;
            }
            let list = list(user);
            means.users += 1.0;
            means.recall += recall(&list, relevant, K).unwrap_or(0.0);
            means.ndcg += ndcg(&list, relevant, K).unwrap_or(0.0);
        }
        means
    }

    fn cells(&self) -> [String; 2] {
        [self.recall, self.ndcg].map(|sum| format!("{:.4}", sum / self.users))
    }
}

fn best(model: &Ials, rows: &PagedRows, user: usize, may: impl Fn(u32) -> bool) -> Vec<u32> {
    let mut factors = vec![0.0; model.hyper.dim];
    narrow(model.users.row(user), &mut factors);
    let best = scan::top_k(&factors, rows, K, &[], may);
    best.into_iter().map(|(row, _)| row).collect()
}

/// Cold items alone, ordered for each user.
fn cold_alone(data: &Data, model: &Ials, rows: &Rows) {
    let is_cold = |row: &u32| data.is_cold[*row as usize];
    let cold: Vec<u32> = (0..data.said.len() as u32).filter(is_cold).collect();
    let mut table = Table::new(&["cold items alone", "recall@20", "NDCG@20"]);
    let by_content = Means::of(&data.liked_cold, |user| {
        best(model, &rows.all, user, |row| is_cold(&row))
    });
    let by_chance = Means::of(&data.liked_cold, |user| {
        let mut shuffled = cold.clone();
        let mut random = ChaCha12Rng::seed_from_u64(SEED);
        random.set_stream(user as u64);
        shuffled.shuffle(&mut random);
        shuffled.truncate(K);
        shuffled
    });
    let by_none = Means::of(&data.liked_cold, |_| Vec::new());
    for (name, means) in [
        ("content", by_content),
        ("random", by_chance),
        ("none", by_none),
    ] {
        table.row([name.to_owned()].into_iter().chain(means.cells()).collect());
    }
    table.print();
}

/// The lists as they are served, with and without content rows.
fn whole_lists(data: &Data, model: &Ials, rows: &Rows) {
    let both = |user: usize| {
        let mut both = data.held_out_warm[user].clone();
        both.extend(&data.liked_cold[user]);
        both.sort_unstable();
        both
    };
    let all: Vec<Vec<u32>> = (0..data.liked_cold.len()).map(both).collect();
    let mut table = Table::new(&[
        "whole lists",
        "warm: recall@20",
        "NDCG@20",
        "all: recall@20",
        "NDCG@20",
    ]);
    let without = |user: usize| {
        let may = |row: u32| !data.is_cold[row as usize] && !data.has(user, row);
        best(model, &rows.warm, user, may)
    };
    let with = |user: usize| best(model, &rows.all, user, |row| !data.has(user, row));
    let measured = [
        (
            "without content",
            Means::of(&data.held_out_warm, without),
            Means::of(&all, without),
        ),
        (
            "with content",
            Means::of(&data.held_out_warm, with),
            Means::of(&all, with),
        ),
    ];
    for (name, warm, all) in measured {
        let cells = warm.cells().into_iter().chain(all.cells());
        table.row([name.to_owned()].into_iter().chain(cells).collect());
    }
    table.print();
}
