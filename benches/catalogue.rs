//! The catalogue of a running server, over HTTP: lists under a filter beside lists without one, lists
//! for nobody in particular, and what it takes until a changed item is in the lists.
//!
//! `cargo bench --bench catalogue [-- --items N --questions Q]`.

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::Entry;
use recant_types::UnixMillis;
use serde_json::{Value, json};
use support::process::{Server, recant};
use support::table::{Table, Times, shown};

const USERS: usize = 20_000;
const PAIRS: usize = 1_000_000;
const DIM: &str = "64";

/// Items that one request describes.
const BATCH: usize = 10_000;

/// Expressions that the catalogue follows through every change, at most.
const FOLLOWED: usize = 32;

fn main() {
    let items = support::argument("--items", 100_000.0) as usize;
    let questions = support::argument("--questions", 500.0) as usize;
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    prepare(&data, items);
    let shop = Shop::open(&data, items);
    println!("{items} items, d = {DIM}, k = 10; one caller over HTTP");
    shop.describe_all();
    shop.measure_filters(questions);
    shop.measure_lists(questions);
    shop.measure_changes(questions.min(200));
}

/// A trained store in which every item has somebody.
fn prepare(data: &Path, items: usize) {
    let mut matrix = support::synthetic(USERS, items, PAIRS, 1);
    for item in 0..items {
        matrix.insert((item % USERS) as u32, Entry::wanted(item as u32, 1.0));
    }
    // Over the last hundred days, more of late.
    let now = UnixMillis::now().0 / 1_000;
    support::stored::store_dated(data, &matrix, |user, item| {
        let share = f64::from((user * 31 + item * 17) % 10_007) / 10_007.0;
        Some(now - (share * share * 100.0 * 86_400.0) as i64)
    });
    let train = ["train", "--dim", DIM, "--max-sweeps", "2", "--data-dir"];
    let trained = recant().args(train).arg(data).output();
    assert!(trained.expect("it runs").status.success());
}

/// A server and who asks it.
struct Shop {
    server: Server,
    agent: ureq::Agent,
    items: usize,
}

impl Shop {
    fn open(data: &Path, items: usize) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build();
        Self {
            server: Server::start(data),
            agent: agent.into(),
            items,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.address)
    }

    fn list(&self, path: &str) -> Value {
        let answer = self.agent.get(self.url(path)).call();
        let mut answer = answer.expect("it answers");
        assert_eq!(answer.status(), 200, "{path}");
        answer.body_mut().read_json().expect("JSON")
    }

    /// Says of every item its number, in requests of as many items as one may hold.
    fn describe_all(&self) {
        let mut times = Times::default();
        for first in (0..self.items).step_by(BATCH) {
            let last = (first + BATCH).min(self.items);
            let lines = (first..last).map(|number| {
                let appeared = 1_700_000_000 + number * 60;
                let item = json!({"id": format!("item-{number}"), "title": format!("Item {number}"),
                                  "timestamp": appeared, "properties": {"number": number}});
                format!("{item}\n")
            });
            let body: String = lines.collect();
            let started = Instant::now();
            let request = self.agent.post(self.url("/items"));
            let request = request.header("content-type", "application/x-ndjson");
            let mut answer = request.send(body.as_bytes()).expect("it answers");
            times.push(started.elapsed());
            let problem = answer.body_mut().read_to_string().unwrap_or_default();
            assert!(
                answer.status().is_success(),
                "{}: {problem}",
                answer.status()
            );
        }
        println!(
            "{} items in one request: median {}, longest {}",
            BATCH.min(self.items),
            shown(times.median()),
            shown(times.percentile(100))
        );
    }

    fn measure_filters(&self, questions: usize) {
        let mut table = Table::new(&["items left", "first", "p50", "p99"]);
        for (share, name) in [
            (None, "all"),
            (Some(0.5), "50 %"),
            (Some(0.01), "1 %"),
            (Some(0.001), "0.1 %"),
        ] {
            let filter = share.map_or_else(String::new, |share| {
                let end = (self.items as f64 * share) as usize;
                format!("&filter=properties.number%20%3C%20{end}")
            });
            let mut random = ChaCha12Rng::seed_from_u64(1);
            let mut ask = || {
                let user = random.random_range(0..USERS);
                let path = format!("/recommend?user=user-{user}&k=10{filter}");
                let started = Instant::now();
                self.list(&path);
                started.elapsed()
            };
            let first = ask();
            let mut times = Times::default();
            (0..questions).for_each(|_| times.push(ask()));
            table.row(vec![
                name.to_owned(),
                shown(first),
                shown(times.median()),
                shown(times.percentile(99)),
            ]);
        }
        table.print();
    }

    /// Lists for nobody in particular, beside an answer that asks nothing of the model.
    fn measure_lists(&self, questions: usize) {
        let mut table = Table::new(&["list", "first", "p50", "p99"]);
        for path in [
            "/healthz",
            "/popular",
            "/popular?window=7d",
            "/popular?window=7d&user=user-1",
            "/trending",
            "/trending?half_life=1d&window=7d",
            "/latest",
            "/latest?user=user-1",
        ] {
            let ask = || {
                let started = Instant::now();
                self.list(path);
                started.elapsed()
            };
            let first = ask();
            let mut times = Times::default();
            (0..questions).for_each(|_| times.push(ask()));
            table.row(vec![
                path.to_owned(),
                shown(first),
                shown(times.median()),
                shown(times.percentile(99)),
            ]);
        }
        table.print();
    }

    /// Changes of one item, with few and with as many expressions followed as there may be: one upon
    /// another, and each with a look at the next list.
    fn measure_changes(&self, changes: usize) {
        // A model of two sweeps is refined at first, on all processors.
        self.server.until_idle();
        let mut table = Table::new(&[
            "expressions followed",
            "put p50",
            "p99",
            "processor time",
            "put between lists p50",
            "p99",
            "in the next list",
        ]);
        for followed in [3, FOLLOWED] {
            (0..followed).for_each(|number| {
                let path =
                    format!("/recommend?user=user-1&k=1&filter=properties.number%20%3E%20{number}");
                self.list(&path);
            });
            let (mut alone, mut between, mut found) = (Times::default(), Times::default(), 0);
            let before = self.server.processor_time();
            (0..changes).for_each(|change| alone.push(self.put(change * 41, "alone")));
            let of_puts = self.server.processor_time() - before;
            for change in 0..changes {
                let (number, mark) = (change * 37, format!("mark-{followed}-{change}"));
                between.push(self.put(number, &mark));
                found += usize::from(self.lists(number, &mark));
            }
            table.row(vec![
                followed.to_string(),
                shown(alone.median()),
                shown(alone.percentile(99)),
                shown(of_puts / changes as u32),
                shown(between.median()),
                shown(between.percentile(99)),
                format!("{found} of {changes}"),
            ]);
        }
        table.print();
    }

    /// Says something else of an item; how long the answer took.
    fn put(&self, number: usize, mark: &str) -> Duration {
        let number = number % self.items;
        let item = json!({"title": "Changed", "tags": [mark], "properties": {"number": number}});
        let started = Instant::now();
        let request = self.agent.put(self.url(&format!("/items/item-{number}")));
        let answer = request.send_json(item).expect("it answers");
        let took = started.elapsed();
        assert!(answer.status().is_success(), "{}", answer.status());
        took
    }

    /// Whether an item is in the list of those with this tag.
    fn lists(&self, number: usize, mark: &str) -> bool {
        let item = format!("item-{}", number % self.items);
        let path = format!("/recommend?user=user-1&k=10&exclude_seen=false&tag={mark}");
        let list = self.list(&path);
        let items = list["items"].as_array().expect("a list");
        items.iter().any(|entry| entry["item"] == item)
    }
}
