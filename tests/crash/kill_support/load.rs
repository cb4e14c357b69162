//! Callers who add, erase, read and follow, and note every answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::ledger::{Held, Ledger, person_path};
use super::process::{Answer, Caller, Process};
use recant_types::{UnixMillis, WEIGHT_MAX, WEIGHT_MIN};

/// Users and items that each caller has.
const USERS: usize = 5;
const ITEMS: usize = 7;

/// Largest weight that a caller who means well sends and that is taken. With the largest that there may
/// be beside the smallest, no model is near enough to its minimum to be certified.
const WEIGHT_LARGE: f64 = 100.0;

/// What several callers share while they put load on one server.
#[derive(Default)]
pub struct Load {
    /// Requests that were acknowledged.
    pub acknowledged: AtomicU64,
    /// Callers to whom no answer came.
    pub lost: AtomicU64,
    /// Tells the callers to stop.
    pub stop: AtomicBool,
}

/// One caller with what they know.
pub struct Client {
    pub number: usize,
    pub ledger: Ledger,
    pub random: ChaCha8Rng,
    /// Sends what is at the edge of what is taken, and the same again; a server that has too much to
    /// do may turn them away.
    is_odd: bool,
    /// What was asked under an idempotency key and not answered: it is asked again first of all.
    unanswered: Option<Asked>,
}

type Pair = (String, String);

/// An erasure as it is requested.
#[derive(Clone)]
struct Asked {
    kind: &'static str,
    /// All of what it names that may be held.
    named: Vec<Pair>,
    /// Items that it names whole.
    items: Vec<String>,
    /// People whom it names whole.
    users: Vec<String>,
    method: &'static str,
    path: String,
    body: Option<String>,
    idempotency_key: Option<String>,
}

impl Asked {
    fn send(&self, caller: &Caller) -> Option<Answer> {
        let key = self.idempotency_key.as_deref();
        caller.send_under(self.method, &self.path, self.body.clone(), key)
    }
}

impl Client {
    /// A caller who sends what anybody sends.
    pub fn new(number: usize, random: ChaCha8Rng) -> Self {
        Self {
            number,
            ledger: Ledger::default(),
            random,
            is_odd: false,
            unanswered: None,
        }
    }

    /// A caller whose weights and times are at every edge, who asks twice, and under keys.
    pub fn odd(number: usize, random: ChaCha8Rng) -> Self {
        Self {
            is_odd: true,
            ..Self::new(number, random)
        }
    }

    /// Sends requests one after another until told to stop, or until the server is gone.
    pub fn run(&mut self, caller: &Caller, load: &Load) {
        while !load.stop.load(Ordering::Relaxed) {
            if self.step(caller).is_none() {
                load.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            load.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One request; `None` when the server gave no whole answer.
    fn step(&mut self, caller: &Caller) -> Option<()> {
        if let Some(asked) = self.unanswered.take() {
            return self.ask(caller, asked);
        }
        match self.random.random_range(0..100) {
            0..20 if self.is_odd => self.add_at_the_edge(caller),
            0..35 => self.add(caller),
            35..41 => self.describe(caller),
            41..45 => self.say(caller),
            45..65 => self.erase_pair(caller),
            65..72 => self.erase_user(caller),
            72..75 => self.erase_item(caller),
            75..77 => self.delete_item(caller),
            77..84 => self.erase_batch(caller),
            84..92 => self.follow(caller),
            _ => self.read(caller),
        }
    }

    fn pair(&mut self) -> Pair {
        let (user, item) = (
            self.random.random_range(0..USERS),
            self.random.random_range(0..ITEMS),
        );
        let number = self.number;
        (
            format!("usr-{number}-{user}"),
            format!("itm-{number}-{item}"),
        )
    }

    fn add(&mut self, caller: &Caller) -> Option<()> {
        let pairs: Vec<Pair> = (0..self.random.random_range(1..5))
            .map(|_| self.pair())
            .collect();
        let rows = pairs
            .iter()
            .map(|(user, item)| json!({"user": user, "item": item}));
        let body = json!({"interactions": rows.collect::<Vec<_>>()}).to_string();
        for pair in &pairs {
            self.ledger.set(pair, Held::Unknown);
            self.ledger.item_is_back(&pair.1);
        }
        let answer = caller.send("POST", "/interactions", Some(body))?;
        if self.is_turned_away(&answer) {
            return Some(());
        }
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert_eq!(answer.json()["accepted"], pairs.len(), "{}", answer.text);
        pairs
            .iter()
            .for_each(|pair| self.ledger.set(pair, Held::Present));
        Some(())
    }

    /// Whether the server had too much to do; what was asked may have been done all the same.
    fn is_turned_away(&self, answer: &Answer) -> bool {
        self.is_odd && answer.status == 503
    }

    /// One row whose weight and time are at the edges of what is taken, or beyond.
    fn add_at_the_edge(&mut self, caller: &Caller) -> Option<()> {
        let pair = self.pair();
        let row = json!({
            "user": format!(" {} ", pair.0),
            "item": pair.1,
            "weight": self.weight(),
            "timestamp": self.time(),
        });
        let before = self.ledger.pairs.get(&pair).copied();
        self.ledger.set(&pair, Held::Unknown);
        self.ledger.item_is_back(&pair.1);
        let body = json!({"interactions": [row]}).to_string();
        let answer = caller.send("POST", "/interactions", Some(body))?;
        if self.is_turned_away(&answer) {
            return Some(());
        }
        assert_eq!(answer.status, 202, "{}", answer.text);
        let counts = answer.json();
        let rejected = counts["rejected"].as_array().map_or(0, Vec::len);
        let became = [&counts["accepted"], &counts["held_back"], &json!(rejected)];
        match became.map(Value::as_u64) {
            [Some(1), Some(0), Some(0)] => self.ledger.set(&pair, Held::Present),
            [Some(0), Some(1), Some(0)] | [Some(0), Some(0), Some(1)] => {
                self.ledger.set(&pair, before.unwrap_or(Held::Gone));
            }
            _ => panic!("one row became {counts}"),
        }
        Some(())
    }

    fn weight(&mut self) -> Value {
        let (least, most) = (WEIGHT_MIN, WEIGHT_MAX);
        let weights = [
            json!(null),
            json!(1),
            json!(0.5),
            json!(least),
            json!(least / 2.0),
            json!(WEIGHT_LARGE),
            json!(most * 2.0),
            json!(0),
            json!(-1),
            json!(5e-324),
            json!(1e308),
            json!(u64::MAX),
            json!("1"),
        ];
        weights[self.random.random_range(0..weights.len())].clone()
    }

    fn time(&mut self) -> Value {
        let now = UnixMillis::now().0;
        let day = 86_400_000;
        let times = [
            json!(null),
            json!(now),
            json!(now / 1_000),
            json!(now - day),
            json!(now + day - 60_000),
            json!(now + 2 * day),
            json!(0),
            json!(-1),
            json!(i64::MIN),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(99_999_999_999_u64),
            json!(100_000_000_000_u64),
            json!("20240115123000"),
            json!("2024-02-30"),
            json!("0001-01-01T00:00:00Z"),
            json!(1.5),
        ];
        times[self.random.random_range(0..times.len())].clone()
    }

    /// Says something about an item that nobody touches, in one of the ways there are.
    fn describe(&mut self, caller: &Caller) -> Option<()> {
        let (id, number) = (self.described(), self.random.random::<u32>());
        let title = Some(format!("title-{number}"));
        let item = json!({"id": id, "title": title, "hidden": number % 2 == 0});
        let path = format!("/items/{id}");
        self.ledger.may_be_said(&path, title.clone());
        let answer = match self.random.random_range(0..3) {
            0 => caller.send("PUT", &path, Some(item.to_string()))?,
            1 => caller.send(
                "POST",
                "/items",
                Some(json!({ "items": [item] }).to_string()),
            )?,
            _ => {
                let answer = caller.send("PATCH", &path, Some(item.to_string()))?;
                if answer.status == 404 {
                    self.ledger.is_said(&path, None);
                    return Some(());
                }
                answer
            }
        };
        if self.is_turned_away(&answer) {
            return Some(());
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.ledger.is_said(&path, title);
        Some(())
    }

    /// Says something about somebody, or that nothing is said.
    fn say(&mut self, caller: &Caller) -> Option<()> {
        let (path, number) = (person_path(&self.pair().0), self.random.random::<u32>());
        let city = (number % 4 > 0).then(|| format!("city-{number}"));
        self.ledger.may_be_said(&path, city.clone());
        let body = match &city {
            Some(city) => json!({"properties": {"city": city}}),
            None => json!({}),
        };
        let answer = caller.send("PUT", &path, Some(body.to_string()))?;
        if self.is_turned_away(&answer) {
            return Some(());
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.ledger.is_said(&path, city);
        Some(())
    }

    fn delete_item(&mut self, caller: &Caller) -> Option<()> {
        let path = format!("/items/{}", self.described());
        self.ledger.may_be_said(&path, None);
        self.delete(caller, "described", Vec::new(), path.clone())?;
        // An odd caller may have been turned away: then it may be said still.
        if !self.is_odd {
            self.ledger.is_said(&path, None);
        }
        Some(())
    }

    fn described(&mut self) -> String {
        format!("dsc-{}-{}", self.number, self.random.random_range(0..3))
    }

    fn erase_pair(&mut self, caller: &Caller) -> Option<()> {
        let (user, item) = self.pair();
        let path = format!("/interactions?user={user}&item={item}");
        self.delete(caller, "pair", vec![(user, item)], path)
    }

    fn erase_user(&mut self, caller: &Caller) -> Option<()> {
        let (user, _) = self.pair();
        let named = self.ledger.perhaps_held(|(owner, _)| *owner == user);
        let path = format!("/interactions?user={user}");
        let asked = Asked {
            users: vec![user],
            ..self.deletion("user", named, path)
        };
        self.ask(caller, asked)
    }

    fn erase_item(&mut self, caller: &Caller) -> Option<()> {
        let (_, item) = self.pair();
        let named = self.ledger.perhaps_held(|(_, named)| *named == item);
        let path = format!("/interactions?item={item}");
        let asked = Asked {
            items: vec![item],
            ..self.deletion("item", named, path)
        };
        self.ask(caller, asked)
    }

    fn delete(
        &mut self,
        caller: &Caller,
        kind: &'static str,
        named: Vec<Pair>,
        path: String,
    ) -> Option<()> {
        let asked = self.deletion(kind, named, path);
        self.ask(caller, asked)
    }

    /// An erasure that names nobody and no item whole.
    fn deletion(&mut self, kind: &'static str, named: Vec<Pair>, path: String) -> Asked {
        Asked {
            kind,
            named,
            items: Vec::new(),
            users: Vec::new(),
            method: "DELETE",
            path,
            body: None,
            idempotency_key: self.idempotency_key(),
        }
    }

    fn erase_batch(&mut self, caller: &Caller) -> Option<()> {
        let mut named: Vec<Pair> = (0..6).map(|_| self.pair()).collect();
        let rows = named
            .iter()
            .map(|(user, item)| json!({"user": user, "item": item}));
        let mut body = json!({"interactions": rows.collect::<Vec<_>>()});
        let (mut items, mut users) = (Vec::new(), Vec::new());
        if self.is_odd {
            let (user, item) = self.pair();
            named.extend(
                self.ledger
                    .perhaps_held(|pair| pair.0 == user || pair.1 == item),
            );
            body["users"] = json!([user]);
            body["items"] = json!([item]);
            items.push(item);
            users.push(user);
        }
        let asked = Asked {
            kind: "batch",
            named,
            items,
            users,
            method: "POST",
            path: String::from("/erasures"),
            body: Some(body.to_string()),
            idempotency_key: self.idempotency_key(),
        };
        self.ask(caller, asked)
    }

    /// A key of its own for half of what an odd caller asks.
    fn idempotency_key(&mut self) -> Option<String> {
        let wanted = self.is_odd && self.random.random();
        wanted.then(|| format!("{:032x}", self.random.random::<u128>()))
    }

    /// Erases what `asked` names.
    fn ask(&mut self, caller: &Caller, asked: Asked) -> Option<()> {
        let held = |pair: &&Pair| {
            let held = self.ledger.pairs.get(*pair);
            held.is_some_and(|held| *held != Held::Gone)
        };
        let held: Vec<Pair> = asked.named.iter().filter(held).cloned().collect();
        let Asked { kind, named, .. } = &asked;
        self.ledger.tell(format!("erase {kind} {named:?}"));
        held.iter()
            .for_each(|pair| self.ledger.set(pair, Held::Unknown));
        let people = asked.users.iter().map(|user| person_path(user));
        let people: Vec<String> = people.collect();
        people
            .iter()
            .for_each(|path| self.ledger.may_be_said(path, None));
        if asked.idempotency_key.is_some() {
            self.unanswered = Some(asked.clone());
        }
        let answer = asked.send(caller)?;
        if self.is_turned_away(&answer) {
            return Some(());
        }
        self.unanswered = None;
        assert!([200, 202].contains(&answer.status), "{}", answer.text);
        held.iter()
            .for_each(|pair| self.ledger.set(pair, Held::Gone));
        people
            .iter()
            .for_each(|path| self.ledger.is_said(path, None));
        self.ledger.accepted(&answer.json());
        self.ledger.names_items(&answer.json(), &asked.items);
        if self.is_odd && self.random.random_range(0..3) == 0 {
            return self.ask_again(caller, &asked, &answer.json());
        }
        Some(())
    }

    /// What was answered once is answered so again: under a key as the same erasure, and the key is
    /// good for nothing else; without one as another.
    fn ask_again(&mut self, caller: &Caller, asked: &Asked, first: &Value) -> Option<()> {
        let again = asked.send(caller)?;
        if self.is_turned_away(&again) {
            return Some(());
        }
        assert!([200, 202].contains(&again.status), "{}", again.text);
        self.ledger.accepted(&again.json());
        let is_same = again.json()["id"] == first["id"];
        assert_eq!(is_same, asked.idempotency_key.is_some(), "{}", again.text);
        if let Some(key) = asked.idempotency_key.as_deref() {
            let path = "/interactions?user=usr-of-another-request";
            let other = caller.send_under("DELETE", path, None, Some(key))?;
            assert!([422, 503].contains(&other.status), "{}", other.text);
        }
        Some(())
    }

    fn follow(&mut self, caller: &Caller) -> Option<()> {
        let ids = self.ledger.erasure_ids();
        if ids.is_empty() {
            return Some(());
        }
        let id = &ids[self.random.random_range(0..ids.len())];
        let answer = caller.get(&format!("/erasures/{id}"))?;
        if self.is_turned_away(&answer) {
            return Some(());
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.ledger.observe(id, &answer.json());
        Some(())
    }

    fn read(&mut self, caller: &Caller) -> Option<()> {
        let (user, _) = self.pair();
        let answer = caller.get(&format!("/recommend?user={user}&k=30"))?;
        if self.is_turned_away(&answer) {
            return Some(());
        }
        assert_eq!(answer.status, 200, "{}", answer.text);
        for listed in answer.json()["items"].as_array().expect("a list") {
            let item = listed["item"].as_str().expect("an id");
            let is_forgotten = self.ledger.forgotten_items.contains(item);
            assert!(!is_forgotten, "forgotten, and still recommended");
        }
        let answer = caller.get(&format!("/export?user={user}"))?;
        if self.is_turned_away(&answer) {
            return Some(());
        }
        for line in answer.text.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            self.ledger.check_line(&user, &line);
        }
        Some(())
    }
}

/// Lets `clients` work on `server` until `end` has ended it or told them to stop.
pub fn work(server: &mut Process, clients: &mut [Client], end: impl FnOnce(&mut Process, &Load)) {
    work_with(server, None, clients, end);
}

/// The same, by callers who show `key`.
pub fn work_with(
    server: &mut Process,
    key: Option<&str>,
    clients: &mut [Client],
    end: impl FnOnce(&mut Process, &Load),
) {
    let load = Load::default();
    let callers: Vec<Caller> = clients.iter().map(|_| server.caller_with(key)).collect();
    std::thread::scope(|scope| {
        let working: Vec<_> = clients
            .iter_mut()
            .zip(&callers)
            .map(|(client, caller)| scope.spawn(|| client.run(caller, &load)))
            .collect();
        end(server, &load);
        load.stop.store(true, Ordering::Relaxed);
        for client in working {
            if let Err(panic) = client.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}
