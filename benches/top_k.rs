//! The exact k best: time and bytes of a query on one thread, on factors as trained, on catalogues
//! grown from them, and on random ones.
//!
//! `cargo bench --bench top_k [-- --dim D --k K --items-max N --seen N --largest N]`; with
//! `RECANT_BENCH_FILE=pairs.csv.gz` on real data. `RECANT_BENCH_EXPORT=folder` writes each
//! catalogue down for `benches/peers/top_k.py`.

mod support;

use std::fs;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::{Entry, InteractionMatrix};
use recant_core::optim::als;
use recant_core::optim::als::TrainingOptions;
use recant_core::topk::{Filter, ItemIndex, Kernel, PagedRows, Question, RowSet, Ties, Work, scan};
use recant_types::IalsHyperparameters;
use support::table::{Table, Times, shown};

/// Items of the grown catalogues, up to `--largest`.
const SIZES: [usize; 6] = [1_000, 10_000, 27_000, 100_000, 1_000_000, 10_000_000];

/// Queries of a catalogue, each measured in turn.
const QUERIES: usize = 500;

/// Longest time for one figure.
const TIME_MAX: Duration = Duration::from_secs(3);

/// Queries of one call of a batch.
const BATCH: usize = 128;

/// Items, queries, and for each query the rows it leaves out.
struct Catalogue {
    name: String,
    items: PagedRows,
    queries: Vec<Vec<f32>>,
    seen: Vec<Vec<u32>>,
}

fn main() {
    let k = support::argument("--k", 10.0) as usize;
    println!("top_k, k = {k}, one thread, {}", Kernel::best().name());
    let mut table = Table::new(&[
        "catalogue",
        "median",
        "p95",
        "KiB read",
        "of f32",
        "pages",
        "scored",
        "GB/s",
        "batch",
        "scan",
    ]);
    let trained = trained();
    let mut catalogues = vec![with_seen(&trained, 1_000)];
    let largest = support::argument("--largest", 1e6) as usize;
    for size in SIZES.into_iter().take_while(|size| *size <= largest) {
        catalogues.push(grown(&trained, size));
    }
    catalogues.push(random(100_000, trained.items.dim()));
    catalogues.insert(0, trained);
    for catalogue in catalogues {
        export(&catalogue);
        measure(&catalogue, k, &mut table);
        if catalogue.name.starts_with("grown") && catalogue.items.rows() == 100_000 {
            filters(&catalogue, k);
        }
    }
    table.print();
}

/// Items and users of a model trained on the pairs of the file.
fn trained() -> Catalogue {
    let (name, matrix) = support::matrix();
    let matrix = most_popular(matrix, support::argument("--items-max", 1e9) as usize);
    let hyper = IalsHyperparameters {
        dim: support::argument("--dim", 64.0) as usize,
        alpha0: 0.3,
        lambda: support::argument("--lambda", 0.01),
        nu: 1.0,
    };
    let options = TrainingOptions {
        tolerance: 1e-4,
        max_sweeps: 40,
        ..Default::default()
    };
    let (model, _) = als::train(&matrix, hyper, &options, &mut |_| ControlFlow::Continue(()))
        .expect("training ends");
    let narrow = |row: &[f64]| row.iter().map(|value| *value as f32).collect::<Vec<_>>();
    let step = (matrix.user_rows() / QUERIES).max(1);
    let users: Vec<u32> = (0..matrix.user_rows() as u32)
        .step_by(step)
        .take(QUERIES)
        .collect();
    let folder = PathBuf::from(name);
    let folder = folder
        .parent()
        .and_then(|folder| folder.file_name()?.to_str());
    Catalogue {
        name: format!(
            "trained-{}-{}x{}",
            folder
                .filter(|_| std::env::var_os(support::FILE_VARIABLE).is_some())
                .unwrap_or("synthetic"),
            matrix.item_rows(),
            hyper.dim
        ),
        items: PagedRows::from_rows(matrix.item_rows(), hyper.dim, |row, values| {
            values.copy_from_slice(&narrow(model.items.row(row)));
        }),
        queries: users
            .iter()
            .map(|user| narrow(model.users.row(*user as usize)))
            .collect(),
        seen: users
            .iter()
            .map(|user| matrix.user(*user).iter().map(|entry| entry.index).collect())
            .collect(),
    }
}

/// The pairs with the `items` most popular items.
fn most_popular(matrix: InteractionMatrix, items: usize) -> InteractionMatrix {
    if items >= matrix.item_rows() {
        return matrix;
    }
    let mut order: Vec<u32> = (0..matrix.item_rows() as u32).collect();
    order.sort_by_key(|row| std::cmp::Reverse(matrix.item(*row).len()));
    let mut place = vec![None; order.len()];
    for (new, old) in order.iter().take(items).enumerate() {
        place[*old as usize] = Some(new as u32);
    }
    let histories = (0..matrix.user_rows() as u32).map(|user| {
        let kept = matrix
            .user(user)
            .iter()
            .filter_map(|entry| place[entry.index as usize].map(|index| Entry { index, ..*entry }));
        kept.collect()
    });
    InteractionMatrix::from_histories(histories.collect(), items)
}

/// The same items, each query with at least `seen` rows left out.
fn with_seen(trained: &Catalogue, seen: usize) -> Catalogue {
    let mut random = ChaCha12Rng::seed_from_u64(2);
    let rows = trained.items.rows() as u32;
    let fill = |held: &Vec<u32>| {
        let mut held = held.clone();
        while held.len() < seen.min(rows as usize / 2) {
            let row = random.random_range(0..rows);
            if let Err(at) = held.binary_search(&row) {
                held.insert(at, row);
            }
        }
        held
    };
    Catalogue {
        name: format!("{}-seen{seen}", trained.name),
        items: trained.items.clone(),
        queries: trained.queries.clone(),
        seen: trained.seen.iter().map(fill).collect(),
    }
}

/// A catalogue of any size with the norms of a trained one: each item points between two trained
/// ones and a little aside, and has the norm of a third.
fn grown(trained: &Catalogue, size: usize) -> Catalogue {
    let (count, dim) = (trained.items.rows() as u32, trained.items.dim());
    let norm = |row: &[f32]| row.iter().map(|value| value * value).sum::<f32>().sqrt();
    let active: Vec<u32> = (0..count)
        .filter(|row| norm(trained.items.row(*row)) > 0.0)
        .collect();
    let items = PagedRows::from_rows(size, dim, |row, values| {
        let mut random = ChaCha12Rng::seed_from_u64(row as u64);
        let mut pick = || {
            trained
                .items
                .row(active[random.random_range(0..active.len())])
        };
        let (a, b, length) = (pick(), pick(), norm(pick()));
        let (a_norm, b_norm) = (norm(a), norm(b));
        let aside = 0.5 / (dim as f32).sqrt();
        for (column, value) in values.iter_mut().enumerate() {
            let noise = random.random_range(-1.0_f32..1.0);
            *value = a[column] / a_norm + 0.5 * b[column] / b_norm + aside * noise;
        }
        let scale = length / norm(values);
        values.iter_mut().for_each(|value| *value *= scale);
    });
    let mut random = ChaCha12Rng::seed_from_u64(3);
    let hundred = |_: &Vec<f32>| {
        let mut seen: Vec<u32> = (0..100)
            .map(|_| random.random_range(0..size as u32))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        seen
    };
    Catalogue {
        name: format!("grown-{size}x{dim}"),
        seen: trained.queries.iter().map(hundred).collect(),
        queries: trained.queries.clone(),
        items,
    }
}

/// All norms alike and no direction above another: nothing to prune by.
fn random(size: usize, dim: usize) -> Catalogue {
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let mut row = |values: &mut [f32]| {
        values
            .iter_mut()
            .for_each(|value| *value = random.random_range(-1.0..1.0));
    };
    let items = PagedRows::from_rows(size, dim, |_, values| row(values));
    let queries: Vec<Vec<f32>> = (0..QUERIES)
        .map(|_| {
            let mut query = vec![0.0; dim];
            row(&mut query);
            query
        })
        .collect();
    Catalogue {
        name: format!("random-{size}x{dim}"),
        items,
        seen: vec![Vec::new(); queries.len()],
        queries,
    }
}

/// Times of `work` for one query after another, until the time is up.
fn times(queries: usize, mut work: impl FnMut(usize)) -> Times {
    let (mut times, begun) = (Times::default(), Instant::now());
    work(0);
    for at in (0..queries).cycle() {
        let started = Instant::now();
        work(at);
        times.push(started.elapsed());
        if begun.elapsed() > TIME_MAX || times.len() >= 20_000 {
            break;
        }
    }
    times
}

fn measure(catalogue: &Catalogue, k: usize, table: &mut Table) {
    let Catalogue {
        items,
        queries,
        seen,
        ..
    } = catalogue;
    let index = ItemIndex::new(items.clone(), |_| true);
    let filter = |at: usize| Filter {
        excluded: &seen[at],
        ..Filter::default()
    };
    let mut total = Work::default();
    let mut count = 0;
    let indexed = times(queries.len(), |at| {
        let (list, work) = index.top_k_counted(&queries[at], k, &filter(at));
        black_box(list);
        count += 1;
        total.pages += work.pages;
        total.scored += work.scored;
        total.bytes += work.bytes;
    });
    let scanned = times(queries.len().min(30), |at| {
        let list = scan::top_k(&queries[at], items, k, &seen[at], |_| true);
        assert_eq!(list, index.top_k(&queries[at], k, &filter(at)), "exact");
    });
    let questions: Vec<Question> = (0..queries.len().min(BATCH))
        .map(|at| Question {
            query: &queries[at],
            k,
            filter: filter(at),
            ties: Ties::BY_ROW,
        })
        .collect();
    let started = Instant::now();
    black_box(index.top_k_batch(&questions));
    let batch = started.elapsed() / questions.len() as u32;
    let bytes = total.bytes as f64 / f64::from(count);
    let whole = (items.rows() * items.dim() * size_of::<f32>()) as f64;
    table.row(vec![
        catalogue.name.clone(),
        shown(indexed.median()),
        shown(indexed.percentile(95)),
        format!("{:.1}", bytes / 1024.0),
        format!("{:.2} %", 100.0 * bytes / whole),
        format!(
            "{:.0} of {}",
            total.pages as f64 / f64::from(count),
            index.pages()
        ),
        format!("{:.0}", total.scored as f64 / f64::from(count)),
        format!("{:.1}", bytes / indexed.median().as_secs_f64() / 1e9),
        shown(batch),
        shown(scanned.median()),
    ]);
}

/// The same queries confined to a share of the items.
fn filters(catalogue: &Catalogue, k: usize) {
    let Catalogue {
        name,
        items,
        queries,
        seen,
    } = catalogue;
    let index = ItemIndex::new(items.clone(), |_| true);
    let mut table = Table::new(&["allowed", "median", "p95", "scored"]);
    for share in [1.0, 0.5, 0.1, 0.01, 0.001] {
        let mut random = ChaCha12Rng::seed_from_u64(4);
        let allowed: RowSet = (0..items.rows() as u32)
            .filter(|_| random.random_bool(share))
            .collect();
        let mut scored = 0;
        let times = times(queries.len(), |at| {
            let filter = Filter {
                excluded: &seen[at],
                allowed: Some(&allowed),
                ..Filter::default()
            };
            let (list, work) = index.top_k_counted(&queries[at], k, &filter);
            black_box(list);
            scored += work.scored;
        });
        table.row(vec![
            format!("{} %", share * 100.0),
            shown(times.median()),
            shown(times.percentile(95)),
            (scored / times.len()).to_string(),
        ]);
    }
    println!("filters on {name}");
    table.print();
}

/// Writes a catalogue as little-endian f32 behind two u32, rows and columns; the rows left out as
/// u32: a start for each query and one more, then all of them.
fn export(catalogue: &Catalogue) {
    let Some(folder) = std::env::var_os("RECANT_BENCH_EXPORT").map(PathBuf::from) else {
        return;
    };
    fs::create_dir_all(&folder).expect("a folder");
    let write = |kind: &str, bytes: Vec<u8>| {
        let path = folder.join(format!("{}.{kind}", catalogue.name));
        fs::write(path, bytes).expect("room on the disk");
    };
    let matrix = |rows: usize, row: &dyn Fn(usize) -> Vec<f32>| {
        let head = [rows as u32, catalogue.items.dim() as u32];
        let mut bytes: Vec<u8> = head.iter().flat_map(|n| n.to_le_bytes()).collect();
        for at in 0..rows {
            bytes.extend(row(at).iter().flat_map(|value| value.to_le_bytes()));
        }
        bytes
    };
    let Catalogue {
        items,
        queries,
        seen,
        ..
    } = catalogue;
    write(
        "items",
        matrix(items.rows(), &|at| items.row(at as u32).to_vec()),
    );
    write("queries", matrix(queries.len(), &|at| queries[at].clone()));
    let mut starts = vec![0_u32];
    starts.extend(seen.iter().scan(0, |sum, rows| {
        *sum += rows.len() as u32;
        Some(*sum)
    }));
    let words = starts.iter().chain(seen.iter().flatten());
    write("seen", words.flat_map(|word| word.to_le_bytes()).collect());
}
