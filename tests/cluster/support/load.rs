//! Callers who ask any node: who add, erase, read and follow, and note every answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::ledger::{Held, Ledger, person_path};
use super::process::{Caller, Sent};

/// Users and items that each caller has at a time.
const USERS: usize = 5;
const ITEMS: usize = 7;

/// What several callers share while they put load on a cluster.
#[derive(Default)]
pub struct Load {
    /// Requests that were acknowledged.
    pub acknowledged: AtomicU64,
    /// Requests that may have been done or not.
    pub open: AtomicU64,
    /// Answers to readers that were compared with what had been forgotten.
    pub read: AtomicU64,
    /// The highest version that an erasure was shown to have been forgotten in, wherever it was shown.
    pub floor: AtomicU64,
    /// Tells the callers to stop.
    pub stop: AtomicBool,
}

impl Load {
    /// An erasure was shown like this: what it says has been forgotten stays so for whoever asks from now on.
    pub fn shown(&self, erasure: &Value) {
        if erasure["forgotten_at"].is_string() {
            let after = erasure["model_version_after"].as_u64().expect("a version");
            self.floor.fetch_max(after, Ordering::SeqCst);
        }
    }
}

/// One caller with what they know.
///
/// What was asked and not answered may be done at any later time: by a node that was stopped, once it goes on.
/// So a caller to whom that happens never names the same people and items again. Erasures go under a key of
/// their own, and are asked for again instead.
pub struct Client {
    pub number: usize,
    pub ledger: Ledger,
    random: ChaCha8Rng,
    /// Grows whenever other people and items are taken.
    life: usize,
    /// An erasure that was not answered: it is asked for again first of all.
    unanswered: Option<Asked>,
}

type Pair = (String, String);

/// An erasure as it is requested.
#[derive(Clone)]
struct Asked {
    /// All of what it names that may be held.
    named: Vec<Pair>,
    /// Items that it names whole.
    items: Vec<String>,
    /// People whom it names whole.
    users: Vec<String>,
    method: &'static str,
    path: String,
    body: Option<String>,
    idempotency_key: String,
}

/// A request that was not answered, or whose answer says that nothing was done.
struct TurnedAway;

type Step = Result<(), TurnedAway>;

impl Client {
    pub fn new(number: usize, seed: u64) -> Self {
        Self {
            number,
            ledger: Ledger::default(),
            random: ChaCha8Rng::seed_from_u64(seed * 1_000 + number as u64),
            life: 0,
            unanswered: None,
        }
    }

    /// Sends requests one after another until told to stop.
    pub fn run(&mut self, nodes: &[Caller], load: &Load) {
        while !load.stop.load(Ordering::Relaxed) {
            if self.step(nodes, load).is_ok() {
                load.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Asks until nothing is unanswered that can be asked for again.
    pub fn finish(&mut self, nodes: &[Caller], load: &Load) {
        while self.unanswered.is_some() {
            let _ = self.step(nodes, load);
        }
    }

    fn step(&mut self, nodes: &[Caller], load: &Load) -> Step {
        let node = &nodes[self.random.random_range(0..nodes.len())];
        if let Some(asked) = self.unanswered.take() {
            return self.ask(node, asked);
        }
        match self.random.random_range(0..100) {
            0..30 => self.add(node, load),
            30..36 => self.describe(node, load),
            36..40 => self.say(node, load),
            40..52 => self.erase_pair(node),
            52..57 => self.erase_user(node),
            57..60 => self.erase_item(node),
            60..64 => self.erase_batch(node),
            64..80 => self.follow(node, load),
            _ => self.read(node, load),
        }
    }

    fn user(&mut self) -> String {
        let (number, life) = (self.number, self.life);
        format!("usr-{number}-{life}-{}", self.random.random_range(0..USERS))
    }

    fn pair(&mut self) -> Pair {
        let user = self.user();
        let (number, life) = (self.number, self.life);
        let item = self.random.random_range(0..ITEMS);
        (user, format!("itm-{number}-{life}-{item}"))
    }

    /// Sends what is not asked for again; `true` when it was answered with this status.
    fn tell(
        &mut self,
        node: &Caller,
        load: &Load,
        [method, path]: [&str; 2],
        body: &Value,
        status: u16,
    ) -> Result<Value, bool> {
        match send(node, method, path, Some(body.to_string()), None) {
            Sent::Answered(answer) => {
                assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
                Ok(answer.json())
            }
            Sent::NotDone => Err(false),
            Sent::Open => {
                load.open.fetch_add(1, Ordering::Relaxed);
                self.life += 1;
                Err(true)
            }
        }
    }

    fn add(&mut self, node: &Caller, load: &Load) -> Step {
        let pairs: Vec<Pair> = (0..self.random.random_range(1..5))
            .map(|_| self.pair())
            .collect();
        let rows = pairs
            .iter()
            .map(|(user, item)| json!({"user": user, "item": item}));
        let body = json!({"interactions": rows.collect::<Vec<_>>()});
        let held = |pair: &Pair| self.ledger.pairs.get(pair).copied();
        let before: Vec<_> = pairs.iter().map(held).collect();
        for pair in &pairs {
            self.ledger.set(pair, Held::Unknown);
            self.ledger.item_is_back(&pair.1);
        }
        match self.tell(node, load, ["POST", "/interactions"], &body, 202) {
            Ok(answer) => {
                assert_eq!(answer["accepted"], pairs.len(), "{answer}");
                let pairs = pairs.iter();
                pairs.for_each(|pair| self.ledger.set(pair, Held::Present));
                Ok(())
            }
            Err(true) => Err(TurnedAway),
            Err(false) => {
                for (pair, held) in pairs.iter().zip(before).rev() {
                    self.ledger.set(pair, held.unwrap_or(Held::Gone));
                }
                Err(TurnedAway)
            }
        }
    }

    /// Says something about an item that nobody touches.
    fn describe(&mut self, node: &Caller, load: &Load) -> Step {
        let (of, life) = (self.random.random_range(0..3), self.life);
        let id = format!("dsc-{}-{life}-{of}", self.number);
        let title = format!("title-{}", self.random.random::<u32>());
        let item = json!({"id": id, "title": title});
        let path = format!("/items/{id}");
        self.say_at(node, load, &path, Some(title), &item)
    }

    /// Says something about somebody, or that nothing is said.
    fn say(&mut self, node: &Caller, load: &Load) -> Step {
        let path = person_path(&self.user());
        let number = self.random.random::<u32>();
        let city = (number % 4 > 0).then(|| format!("city-{number}"));
        let body = match &city {
            Some(city) => json!({"properties": {"city": city}}),
            None => json!({}),
        };
        self.say_at(node, load, &path, city, &body)
    }

    fn say_at(
        &mut self,
        node: &Caller,
        load: &Load,
        path: &str,
        text: Option<String>,
        body: &Value,
    ) -> Step {
        self.ledger.may_be_said(path, text.clone());
        let told = self.tell(node, load, ["PUT", path], body, 200);
        // What is turned away may be said all the same as far as this caller remembers, which is no harm.
        told.map_err(|_| TurnedAway)?;
        self.ledger.is_said(path, text);
        Ok(())
    }

    fn erase_pair(&mut self, node: &Caller) -> Step {
        let (user, item) = self.pair();
        let path = format!("/interactions?user={user}&item={item}");
        let asked = self.deletion(vec![(user, item)], path);
        self.ask(node, asked)
    }

    fn erase_user(&mut self, node: &Caller) -> Step {
        let user = self.user();
        let named = self.ledger.perhaps_held(|(owner, _)| *owner == user);
        let path = format!("/interactions?user={user}");
        let asked = Asked {
            users: vec![user],
            ..self.deletion(named, path)
        };
        self.ask(node, asked)
    }

    fn erase_item(&mut self, node: &Caller) -> Step {
        let (_, item) = self.pair();
        let named = self.ledger.perhaps_held(|(_, named)| *named == item);
        let path = format!("/interactions?item={item}");
        let asked = Asked {
            items: vec![item],
            ..self.deletion(named, path)
        };
        self.ask(node, asked)
    }

    fn erase_batch(&mut self, node: &Caller) -> Step {
        let named: Vec<Pair> = (0..6).map(|_| self.pair()).collect();
        let rows = named
            .iter()
            .map(|(user, item)| json!({"user": user, "item": item}));
        let body = json!({"interactions": rows.collect::<Vec<_>>()});
        let asked = Asked {
            method: "POST",
            body: Some(body.to_string()),
            ..self.deletion(named, String::from("/erasures"))
        };
        self.ask(node, asked)
    }

    /// An erasure that names nobody and no item whole.
    fn deletion(&mut self, named: Vec<Pair>, path: String) -> Asked {
        Asked {
            named,
            items: Vec::new(),
            users: Vec::new(),
            method: "DELETE",
            path,
            body: None,
            idempotency_key: format!("{:032x}", self.random.random::<u128>()),
        }
    }

    /// Erases what `asked` names, or notes that it is to be asked for again.
    fn ask(&mut self, node: &Caller, asked: Asked) -> Step {
        let may_be_held = |pair: &&Pair| {
            let held = self.ledger.pairs.get(*pair);
            held.is_some_and(|held| *held != Held::Gone)
        };
        let held: Vec<Pair> = asked.named.iter().filter(may_be_held).cloned().collect();
        let told = format!("erase by {} {:?}", asked.idempotency_key, asked.named);
        self.ledger.tell(told);
        held.iter()
            .for_each(|pair| self.ledger.set(pair, Held::Unknown));
        let people = asked.users.iter().map(|user| person_path(user));
        let people: Vec<String> = people.collect();
        people
            .iter()
            .for_each(|path| self.ledger.may_be_said(path, None));
        let key = Some(asked.idempotency_key.as_str());
        let sent = send(node, asked.method, &asked.path, asked.body.clone(), key);
        let Sent::Answered(answer) = sent else {
            self.unanswered = Some(asked);
            return Err(TurnedAway);
        };
        assert!([200, 202].contains(&answer.status), "{}", answer.text);
        held.iter()
            .for_each(|pair| self.ledger.set(pair, Held::Gone));
        people
            .iter()
            .for_each(|path| self.ledger.is_said(path, None));
        self.ledger.accepted(&answer.json());
        self.ledger.names_items(&answer.json(), &asked.items);
        if self.random.random_range(0..4) == 0 {
            self.ask_again(node, &asked, &answer.json());
        }
        Ok(())
    }

    /// What was answered once under a key is answered so again.
    fn ask_again(&mut self, node: &Caller, asked: &Asked, first: &Value) {
        let key = Some(asked.idempotency_key.as_str());
        let sent = send(node, asked.method, &asked.path, asked.body.clone(), key);
        if let Sent::Answered(again) = sent {
            assert!([200, 202].contains(&again.status), "{}", again.text);
            assert_eq!(again.json()["id"], first["id"], "{}", again.text);
        }
    }

    fn follow(&mut self, node: &Caller, load: &Load) -> Step {
        let ids = self.ledger.erasure_ids();
        if ids.is_empty() {
            return Ok(());
        }
        // The newest are those that still change.
        let newest = ids.len().saturating_sub(8);
        let from = if self.random.random() { newest } else { 0 };
        let id = &ids[self.random.random_range(from..ids.len())];
        let shown = question(node, &format!("/erasures/{id}"))?;
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        load.shown(&shown);
        self.ledger.observe(id, &shown);
        Ok(())
    }

    fn read(&mut self, node: &Caller, load: &Load) -> Step {
        let user = self.user();
        let floor = load.floor.load(Ordering::SeqCst);
        let listed = question(node, &format!("/recommend?user={user}&k=30"))?;
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        let version = listed["model_version"].as_u64().expect("a version");
        assert!(
            version >= floor,
            "{version} after {floor} was live everywhere"
        );
        load.read.fetch_add(1, Ordering::Relaxed);
        for listed in listed["items"].as_array().expect("a list") {
            let item = listed["item"].as_str().expect("an id");
            let is_forgotten = self.ledger.forgotten_items.contains(item);
            assert!(!is_forgotten, "forgotten, and still recommended");
        }
        let exported = question(node, &format!("/export?user={user}"))?;
        for line in exported.lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            self.ledger.check_line(&user, &line);
        }
        Ok(())
    }
}

/// Sends a request. What a node without room on its disk answers, is not relied on.
fn send(
    node: &Caller,
    method: &str,
    path: &str,
    body: Option<String>,
    idempotency_key: Option<&str>,
) -> Sent {
    match node.send(method, path, body, idempotency_key) {
        Sent::Answered(answer) if answer.status == 507 => Sent::Open,
        sent => sent,
    }
}

/// Asks a question; what was answered.
fn question(node: &Caller, path: &str) -> Result<String, TurnedAway> {
    match send(node, "GET", path, None, None) {
        Sent::Answered(answer) => {
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
            Ok(answer.text)
        }
        Sent::NotDone | Sent::Open => Err(TurnedAway),
    }
}

/// Lets `clients` work on `nodes` until `end` has ended.
pub fn work(nodes: &[Caller], clients: &mut [Client], end: impl FnOnce(&Load)) -> Load {
    let load = Load::default();
    std::thread::scope(|scope| {
        let working: Vec<_> = clients
            .iter_mut()
            .map(|client| scope.spawn(|| client.run(nodes, &load)))
            .collect();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| end(&load)));
        load.stop.store(true, Ordering::Relaxed);
        let ended_well: Vec<_> = working.into_iter().map(|client| client.join()).collect();
        for ended in ended_well.into_iter().chain([ended]) {
            if let Err(panic) = ended {
                std::panic::resume_unwind(panic);
            }
        }
    });
    load
}
