//! Whether times tell that somebody was known: erasures of people and pairs that the service holds and
//! of others it never heard of, over HTTP, idle and under load. For each time that a requester sees or
//! can take, the area under the ROC curve: ½ tells nothing, 1 everything.
//!
//! `cargo bench --bench oracle [-- --samples N]`: N erasures of either kind for each line.

mod support;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use recant_core::model::InteractionMatrix;
use recant_eval::area_under_curve;
use recant_types::{TimeRule, UnixMillis};
use serde_json::{Value, json};
use support::process::{Server, recant};
use support::table::{Table, median};

const USERS: usize = 6_040;
const ITEMS: usize = 400;
const PAIRS: usize = 60_000;

/// What goes on beside, in a second.
const ADDITIONS: u32 = 20;

/// Users with a number below this are those whom the load adds interactions of.
const BUSY: usize = 100;

/// What an erasure names.
#[derive(Clone, Copy)]
enum Kind {
    User,
    Pair,
}

/// One number of one erasure that might be larger for those who were known.
type Features = Vec<(&'static str, f64)>;

fn main() {
    let samples = support::argument("--samples", 400.0) as usize;
    let matrix = support::synthetic(USERS, ITEMS, PAIRS, 1);
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    support::stored::store(&data, &matrix);
    // So many dimensions and so much regularisation that every erasure ends certified.
    let train = ["train", "--dim", "32", "--lambda", "0.05", "--data-dir"];
    let trained = recant().args(train).arg(&data).output();
    assert!(trained.expect("it runs").status.success());
    let asker = Asker::start(&data);
    println!(
        "{} pairs, {USERS} users, {ITEMS} items, d = 32, λ = 0.05; {samples} known and {samples} unknown a line; an \
         area of ½ is within ±{:.3} nineteen times of twenty",
        matrix.interactions(),
        1.96 * ((2.0 * samples as f64 + 1.0) / (12.0 * (samples * samples) as f64)).sqrt()
    );
    let mut table = Table::new(&["load", "named", "time", "known ms", "unknown ms", "area"]);
    let mut people = BUSY..USERS;
    let mut random = ChaCha12Rng::seed_from_u64(1);
    for is_busy in [false, true] {
        for kind in [Kind::User, Kind::Pair] {
            for waits in [false, true] {
                let mut look = || {
                    compare(samples, &mut random, |is_known| {
                        let person = people.next().expect("enough of them");
                        let query = query(&matrix, kind, person, is_known);
                        if waits {
                            asker.waited(&query)
                        } else {
                            asker.followed(&query)
                        }
                    })
                };
                let found = if is_busy {
                    asker.under_load(look)
                } else {
                    look()
                };
                report(&mut table, is_busy, kind, &found);
            }
        }
    }
    table.print();
}

/// The features of `samples` erasures of somebody known and as many of nobody, in random order.
fn compare(
    samples: usize,
    random: &mut ChaCha12Rng,
    mut erase: impl FnMut(bool) -> Features,
) -> [Vec<Features>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    while found.iter().any(|class| class.len() < samples) {
        let is_known = random.random::<bool>();
        let class = &mut found[usize::from(is_known)];
        if class.len() < samples {
            class.push(erase(is_known));
        }
    }
    found
}

/// What names somebody who is held, or somebody or something of theirs that is not.
fn query(matrix: &InteractionMatrix, kind: Kind, person: usize, is_known: bool) -> String {
    match (kind, is_known) {
        (Kind::User, true) => format!("user=user-{person}"),
        (Kind::User, false) => format!("user=user-{}", person + USERS),
        (Kind::Pair, true) => {
            let item = matrix.user(person as u32)[0].index;
            format!("user=user-{person}&item=item-{item}")
        }
        (Kind::Pair, false) => format!("user=user-{person}&item=item-{}", ITEMS + person),
    }
}

fn report(table: &mut Table, is_busy: bool, kind: Kind, [unknown, known]: &[Vec<Features>; 2]) {
    for feature in 0..known[0].len() {
        let of = |class: &[Features]| -> Vec<f64> {
            class.iter().map(|features| features[feature].1).collect()
        };
        let (known_values, unknown_values) = (of(known), of(unknown));
        let area = area_under_curve(&known_values, &unknown_values).expect("samples");
        table.row(vec![
            String::from(if is_busy { "busy" } else { "idle" }),
            String::from(match kind {
                Kind::User => "user",
                Kind::Pair => "pair",
            }),
            known[0][feature].0.to_owned(),
            format!("{:.2}", median(known_values)),
            format!("{:.2}", median(unknown_values)),
            format!("{:.3}", area.max(1.0 - area)),
        ]);
    }
}

/// A server, and somebody who asks it.
struct Asker {
    server: Server,
    agent: ureq::Agent,
}

impl Asker {
    fn start(data: &Path) -> Self {
        let asker = Self {
            server: Server::start(data),
            agent: ureq::Agent::new_with_defaults(),
        };
        asker.followed("user=nobody");
        asker
    }

    fn erase(&self, query: &str, wait: &str) -> Value {
        let target = format!("{}/interactions?{query}", self.server.address);
        let answer = self.agent.delete(target).header("prefer", wait).call();
        let mut answer = answer.expect("an erasure is accepted");
        answer.body_mut().read_json().expect("JSON")
    }

    fn record(&self, id: &Value) -> Value {
        let id = id.as_str().expect("an id");
        let target = format!("{}/erasures/{id}", self.server.address);
        let mut answer = self.agent.get(target).call().expect("it is there");
        answer.body_mut().read_json().expect("JSON")
    }

    /// An erasure followed by somebody who asks for its state again and again: how long the answer
    /// took, when each state was first seen by their own clock, and the times that are shown.
    fn followed(&self, query: &str) -> Features {
        let started = Instant::now();
        let id = self.erase(query, "wait=0")["id"].clone();
        let answered = milliseconds(started);
        let (mut forgotten, mut certified) = (None, None);
        let record = loop {
            let record = self.record(&id);
            let now = milliseconds(started);
            if record["forgotten_at"].is_string() {
                forgotten.get_or_insert(now);
            }
            if is_certified(&record) {
                certified.get_or_insert(now);
                break record;
            }
        };
        let shown = |name: &str| shown_milliseconds(&record[name]);
        let seen = |time: Option<f64>| time.expect("it was seen");
        vec![
            ("answer 202", answered),
            ("own clock: forgotten", seen(forgotten) - answered),
            (
                "own clock: certified − forgotten",
                seen(certified) - seen(forgotten),
            ),
            (
                "shown: erased − accepted",
                shown("erased_at") - shown("accepted_at"),
            ),
            (
                "shown: forgotten − accepted",
                shown("forgotten_at") - shown("accepted_at"),
            ),
            (
                "shown: certified − forgotten",
                shown("certified_at") - shown("forgotten_at"),
            ),
        ]
    }

    /// An erasure whose answer is waited for; the next comes when it is certified.
    fn waited(&self, query: &str) -> Features {
        let started = Instant::now();
        let id = self.erase(query, "wait=60")["id"].clone();
        let answered = milliseconds(started);
        while !is_certified(&self.record(&id)) {}
        vec![("answer to Prefer: wait", answered)]
    }

    /// Calls `work` while others add interactions.
    fn under_load<T>(&self, work: impl FnOnce() -> T) -> T {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| self.put_load(&stop));
            let found = work();
            stop.store(true, Ordering::Release);
            found
        })
    }

    fn put_load(&self, stop: &AtomicBool) {
        let mut random = ChaCha12Rng::seed_from_u64(2);
        let agent = ureq::Agent::new_with_defaults();
        let mut next = Instant::now();
        while !stop.load(Ordering::Acquire) {
            let user = random.random_range(0..BUSY);
            let item = random.random_range(0..ITEMS);
            let row = json!({"user": format!("user-{user}"), "item": format!("item-{item}")});
            let body = json!({"interactions": [row]});
            let sent = agent.post(format!("{}/interactions", self.server.address));
            sent.send_json(body).expect("it is accepted");
            next += Duration::from_secs(1) / ADDITIONS;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

/// Whether an erasure has come to its end. One that cannot would be followed for ever.
fn is_certified(record: &Value) -> bool {
    assert!(!record["failure"].is_string(), "{record}");
    record["certified_at"].is_string()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// A time of a record in milliseconds since 1970.
fn shown_milliseconds(time: &Value) -> f64 {
    let time = TimeRule::new(UnixMillis::now()).text(time.as_str().expect("a time"));
    let time = time.expect("RFC 3339").expect("a time");
    UnixMillis::from_timestamp(time).0 as f64
}
