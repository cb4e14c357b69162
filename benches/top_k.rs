//! The exact k best of all items: time of a query by the size of the catalogue, on one thread.
//!
//! `cargo bench --bench top_k`

mod support;

use std::hint::black_box;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant::topk::rows::PagedRows;
use recant::topk::scan;
use support::table::{Table, Times};

const DIM: usize = 64;
const K: usize = 10;
const QUERIES: usize = 16;

/// Values looked at in the whole of one measurement; the repetitions follow from it.
const VALUES_MEASURED: usize = 8_000_000_000;

fn main() {
    println!("top_k, k = {K}, d = {DIM}, f32, one thread");
    let mut table = Table::new(&["items", "MiB", "queries", "median µs", "p95 µs", "GB/s"]);
    for items in [3_700, 27_000, 100_000, 1_000_000] {
        let mut random = ChaCha12Rng::seed_from_u64(1);
        let rows = PagedRows::from_rows(items, DIM, |_, row| {
            row.iter_mut()
                .for_each(|value| *value = random.random_range(-1.0..1.0));
        });
        let queries: Vec<Vec<f32>> = (0..QUERIES)
            .map(|_| (0..DIM).map(|_| random.random_range(-1.0..1.0)).collect())
            .collect();
        // What a user has seen is left out; a hundred items is a usual history.
        let seen: Vec<u32> = (0..100).map(|at| at * (items as u32 / 100)).collect();
        let repetitions = (VALUES_MEASURED / (items * DIM)).clamp(50, 5_000);
        let mut next = queries.iter().cycle();
        let times = Times::of(repetitions, || {
            let query = next.next().expect("a cycle never ends");
            black_box(scan::top_k(black_box(query), &rows, K, &seen, |_| true));
        });
        let bytes = items * DIM * size_of::<f32>();
        let median = times.median().as_secs_f64();
        table.row(vec![
            items.to_string(),
            format!("{:.1}", bytes as f64 / f64::from(1 << 20)),
            repetitions.to_string(),
            format!("{:.1}", median * 1e6),
            format!("{:.1}", times.percentile(95).as_secs_f64() * 1e6),
            format!("{:.1}", bytes as f64 / median / 1e9),
        ]);
    }
    table.print();
}
