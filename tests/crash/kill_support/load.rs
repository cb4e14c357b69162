//! Callers who add, erase, read and follow, and note every answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::ledger::{Held, Ledger};
use super::process::{Answer, Caller, Process};

/// Users and items that each caller has.
const USERS: usize = 5;
const ITEMS: usize = 7;

/// What several callers share while they put load on one server.
#[derive(Default)]
pub struct Load {
    /// Requests that were acknowledged.
    pub acknowledged: AtomicU64,
    /// Tells the callers to stop.
    pub stop: AtomicBool,
}

/// One caller with what they know.
pub struct Client {
    pub number: usize,
    pub ledger: Ledger,
    pub random: ChaCha8Rng,
}

type Pair = (String, String);

impl Client {
    /// Sends requests one after another until told to stop, or until the server is gone.
    pub fn run(&mut self, caller: &Caller, load: &Load) {
        while !load.stop.load(Ordering::Relaxed) {
            if self.step(caller).is_none() {
                return;
            }
            load.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One request; `None` when the server gave no whole answer.
    fn step(&mut self, caller: &Caller) -> Option<()> {
        match self.random.random_range(0..100) {
            0..35 => self.add(caller),
            35..45 => self.describe(caller),
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
        pairs
            .iter()
            .for_each(|pair| self.ledger.set(pair, Held::Unknown));
        let answer = caller.send("POST", "/interactions", Some(body))?;
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert_eq!(answer.json()["accepted"], pairs.len(), "{}", answer.text);
        pairs
            .iter()
            .for_each(|pair| self.ledger.set(pair, Held::Present));
        Some(())
    }

    /// Says something about an item that nobody touches, in one of the ways there are.
    fn describe(&mut self, caller: &Caller) -> Option<()> {
        let (id, number) = (self.described(), self.random.random::<u32>());
        let title = Some(format!("title-{number}"));
        let item = json!({"id": id, "title": title, "hidden": number % 2 == 0});
        let path = format!("/items/{id}");
        self.ledger.may_be_said(&id, title.clone());
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
                    self.ledger.is_said(&id, None);
                    return Some(());
                }
                answer
            }
        };
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.ledger.is_said(&id, title);
        Some(())
    }

    fn delete_item(&mut self, caller: &Caller) -> Option<()> {
        let id = self.described();
        self.ledger.may_be_said(&id, None);
        let path = format!("/items/{id}");
        self.erase("described", &[], || caller.send("DELETE", &path, None))?;
        self.ledger.is_said(&id, None);
        Some(())
    }

    fn described(&mut self) -> String {
        format!("dsc-{}-{}", self.number, self.random.random_range(0..3))
    }

    fn erase_pair(&mut self, caller: &Caller) -> Option<()> {
        let (user, item) = self.pair();
        let path = format!("/interactions?user={user}&item={item}");
        let named = vec![(user, item)];
        self.erase("pair", &named, || caller.send("DELETE", &path, None))
    }

    fn erase_user(&mut self, caller: &Caller) -> Option<()> {
        let (user, _) = self.pair();
        let named = self.ledger.perhaps_held(|(owner, _)| *owner == user);
        let path = format!("/interactions?user={user}");
        self.erase("user", &named, || caller.send("DELETE", &path, None))
    }

    fn erase_item(&mut self, caller: &Caller) -> Option<()> {
        let (_, item) = self.pair();
        let named = self.ledger.perhaps_held(|(_, named)| *named == item);
        let path = format!("/interactions?item={item}");
        self.erase("item", &named, || caller.send("DELETE", &path, None))
    }

    fn erase_batch(&mut self, caller: &Caller) -> Option<()> {
        let named: Vec<Pair> = (0..6).map(|_| self.pair()).collect();
        let rows = named
            .iter()
            .map(|(user, item)| json!({"user": user, "item": item}));
        let body = json!({"interactions": rows.collect::<Vec<_>>()}).to_string();
        self.erase("batch", &named, || {
            caller.send("POST", "/erasures", Some(body))
        })
    }

    /// Erases what `send` names: `named` is all of it that may be held.
    fn erase(
        &mut self,
        kind: &str,
        named: &[Pair],
        send: impl FnOnce() -> Option<Answer>,
    ) -> Option<()> {
        let held: Vec<Pair> = named
            .iter()
            .filter(|pair| {
                self.ledger
                    .pairs
                    .get(*pair)
                    .is_some_and(|h| *h != Held::Gone)
            })
            .cloned()
            .collect();
        self.ledger.tell(format!("erase {kind} {named:?}"));
        held.iter()
            .for_each(|pair| self.ledger.set(pair, Held::Unknown));
        let answer = send()?;
        assert!([200, 202].contains(&answer.status), "{}", answer.text);
        held.iter()
            .for_each(|pair| self.ledger.set(pair, Held::Gone));
        self.ledger.accepted(&answer.json());
        Some(())
    }

    fn follow(&mut self, caller: &Caller) -> Option<()> {
        let ids = self.ledger.erasure_ids();
        if ids.is_empty() {
            return Some(());
        }
        let id = &ids[self.random.random_range(0..ids.len())];
        let answer = caller.get(&format!("/erasures/{id}"))?;
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.ledger.observe(id, &answer.json());
        Some(())
    }

    fn read(&mut self, caller: &Caller) -> Option<()> {
        let (user, _) = self.pair();
        let answer = caller.get(&format!("/recommend?user={user}&k=3"))?;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let answer = caller.get(&format!("/export?user={user}"))?;
        for line in answer.text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let item = line["item"].as_str().expect("an id").to_owned();
            let held = self.ledger.pairs.get(&(user.clone(), item));
            assert!(
                held.is_some_and(|held| *held != Held::Gone),
                "erased, and still exported"
            );
        }
        Some(())
    }
}

/// Lets `clients` work on `server` until `end` has ended it or told them to stop.
pub fn work(server: &mut Process, clients: &mut [Client], end: impl FnOnce(&mut Process, &Load)) {
    let load = Load::default();
    let callers: Vec<Caller> = clients.iter().map(|_| server.caller()).collect();
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
