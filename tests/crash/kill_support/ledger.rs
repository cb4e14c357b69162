//! What a caller was answered, and what must be true because of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::Value;

use super::process::Caller;

/// Names of the states, in the order of life, with the times that belong to them.
const STATES: [(&str, &str); 4] = [
    ("accepted", "accepted_at"),
    ("erased", "erased_at"),
    ("forgotten", "forgotten_at"),
    ("certified", "certified_at"),
];

/// The place of the state from which on the live model has forgotten.
const FORGOTTEN: usize = 2;

/// What is known of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// An addition was acknowledged, and no erasure came after it.
    Present,
    /// An erasure was acknowledged, and no addition came after it; or nothing ever was.
    Gone,
    /// The last request that concerns it was not answered: it may have been carried out.
    Unknown,
}

/// How far an erasure was seen.
#[derive(Debug, Default)]
struct Life {
    state: usize,
    times: [Option<String>; 4],
    /// Items that it names whole, and that nobody was sent with since.
    items: BTreeSet<String>,
}

/// What one caller knows. Callers use users and items of their own.
#[derive(Debug, Default)]
pub struct Ledger {
    pub pairs: BTreeMap<(String, String), Held>,
    /// Items that were seen to be forgotten, and that nobody was sent with since.
    pub forgotten_items: BTreeSet<String>,
    erasures: BTreeMap<String, Life>,
    /// What may be said at a path, of an item its title and of a person a property; none is that nothing
    /// is said.
    said: BTreeMap<String, Vec<Option<String>>>,
    /// The last of what was asked and answered, for whoever reads about a failure.
    story: VecDeque<String>,
}

/// Lines of a story that are kept.
const STORY_MAX: usize = 20_000;

impl Ledger {
    /// Adds a line to the story.
    pub fn tell(&mut self, line: String) {
        if self.story.len() == STORY_MAX {
            self.story.pop_front();
        }
        self.story.push_back(line);
    }

    /// The last of the story that is about a user or an item of a pair.
    fn story_of(&self, user: &str, item: &str) -> String {
        let lines = self.story.iter().rev();
        let about = lines
            .filter(|line| line.contains(user) || line.contains(item) || line.contains("start"));
        let mut lines: Vec<&str> = about.take(30).map(String::as_str).collect();
        lines.reverse();
        lines.join("\n")
    }

    /// Sets what is known of a pair.
    pub fn set(&mut self, pair: &(String, String), held: Held) {
        self.tell(format!("{} {} is {held:?}", pair.0, pair.1));
        self.pairs.insert(pair.clone(), held);
    }

    /// The pairs that may be there and satisfy `condition`.
    pub fn perhaps_held(
        &self,
        condition: impl Fn(&(String, String)) -> bool,
    ) -> Vec<(String, String)> {
        let held = self.pairs.iter().filter(|(_, held)| **held != Held::Gone);
        held.map(|(pair, _)| pair.clone())
            .filter(|pair| condition(pair))
            .collect()
    }

    /// The users of all pairs that were ever named.
    pub fn users(&self) -> BTreeSet<String> {
        self.pairs.keys().map(|(user, _)| user.clone()).collect()
    }

    /// A request was sent after which this is said at a path.
    pub fn may_be_said(&mut self, path: &str, text: Option<String>) {
        let said = self.said.entry(path.to_owned());
        said.or_insert_with(|| vec![None]).push(text);
    }

    /// It was acknowledged.
    pub fn is_said(&mut self, path: &str, text: Option<String>) {
        self.said.insert(path.to_owned(), vec![text]);
    }

    /// Compares what is said about items and people with what was acknowledged.
    pub fn check_said(&mut self, caller: &Caller) {
        for (path, may_be_said) in &mut self.said {
            let answer = caller.get(path).expect("the server runs");
            let is_there = answer.status == 200;
            let said = is_there.then(|| said_by(&answer.json())).flatten();
            assert!(
                may_be_said.contains(&said),
                "{path}: {said:?} is none of {may_be_said:?}"
            );
            *may_be_said = vec![said];
        }
    }

    /// Checks one line of an export of `user`: nothing in it was erased.
    pub fn check_line(&self, user: &str, line: &Value) {
        let Some(item) = line["item"].as_str() else {
            let said = self.said.get(&person_path(user));
            let is_known = said.is_some_and(|said| said.contains(&said_by(line)));
            assert!(is_known, "erased with the person, and still exported");
            return;
        };
        let held = self.pairs.get(&(user.to_owned(), item.to_owned()));
        assert!(
            matches!(held, Some(Held::Present | Held::Unknown)),
            "erased, and still exported"
        );
    }

    /// Notes an acknowledged erasure.
    pub fn accepted(&mut self, answer: &Value) {
        let id = answer["id"].as_str().expect("an id").to_owned();
        let life = self.erasures.entry(id).or_default();
        let time = answer["accepted_at"].as_str().expect("a time").to_owned();
        life.times[0] = Some(time);
    }

    /// Notes that an acknowledged erasure names these items whole.
    pub fn names_items(&mut self, answer: &Value, items: &[String]) {
        let id = answer["id"].as_str().expect("an id");
        let life = self.erasures.get_mut(id).expect("an accepted erasure");
        life.items.extend(items.iter().cloned());
    }

    /// Notes that an interaction with an item was sent.
    pub fn item_is_back(&mut self, item: &str) {
        self.forgotten_items.remove(item);
        for life in self.erasures.values_mut() {
            life.items.remove(item);
        }
    }

    /// The ids of all acknowledged erasures.
    pub fn erasure_ids(&self) -> Vec<String> {
        self.erasures.keys().cloned().collect()
    }

    /// Keeps the newest `most` of the erasures: hours of them would take minutes to look at.
    pub fn keep_newest(&mut self, most: usize) {
        while self.erasures.len() > most {
            self.erasures.pop_first();
        }
    }

    /// Compares an erasure as it is shown with what was shown before: nothing goes back, nothing
    /// is skipped, no time changes.
    pub fn observe(&mut self, id: &str, shown: &Value) {
        let life = self.erasures.get_mut(id).expect("an accepted erasure");
        let status = shown["status"].as_str().expect("a status");
        let state = STATES.iter().position(|(name, _)| *name == status);
        let state = state.unwrap_or_else(|| panic!("{id} is {status}"));
        assert!(
            state >= life.state,
            "{id} went back to {status}; before: {life:?}"
        );
        for (reached, (_, time)) in STATES.iter().enumerate() {
            let shown = shown[*time].as_str().map(str::to_owned);
            assert_eq!(
                shown.is_some(),
                reached <= state,
                "{id} is {status}: {time}"
            );
            if let Some(before) = &life.times[reached] {
                assert_eq!(shown.as_ref(), Some(before), "{id}: {time} changed");
            }
            if reached > 0 && reached <= state {
                assert!(
                    shown >= life.times[reached - 1],
                    "{id}: {time} is too early"
                );
            }
            life.times[reached] = shown;
        }
        life.state = state;
        if state >= FORGOTTEN {
            self.forgotten_items.append(&mut life.items);
        }
    }

    /// Looks at every acknowledged erasure.
    pub fn check_erasures(&mut self, caller: &Caller) {
        for id in self.erasure_ids() {
            let shown = caller.must_get(&format!("/erasures/{id}")).json();
            self.observe(&id, &shown);
        }
    }

    /// That nothing whose erasure was acknowledged is exported, at whatever moment.
    pub fn check_gone(&self, caller: &Caller) {
        for user in self.users() {
            for line in exported(caller, &user) {
                self.check_line(&user, &line);
            }
        }
    }

    /// When nothing waits any more: that everything acknowledged is there and everything erased is
    /// gone. What was unknown is known afterwards. Returns users with a pair, and pairs.
    pub fn check_settled(&mut self, caller: &Caller) -> (u64, u64) {
        let (mut users, mut pairs) = (0, 0);
        for user in self.users() {
            let lines = exported(caller, &user).into_iter();
            let items = lines.filter_map(|line| line["item"].as_str().map(str::to_owned));
            let found: BTreeSet<String> = items.collect();
            let known = self.pairs.iter().filter(|((owner, _), _)| *owner == user);
            let known: Vec<_> = known.map(|(pair, held)| (pair.clone(), *held)).collect();
            for (pair, held) in known {
                let is_there = found.contains(&pair.1);
                let story = || self.story_of(&pair.0, &pair.1);
                match held {
                    Held::Present => assert!(is_there, "{pair:?} is missing:\n{}", story()),
                    Held::Gone => assert!(!is_there, "{pair:?} came back:\n{}", story()),
                    Held::Unknown if is_there => self.set(&pair, Held::Present),
                    Held::Unknown => self.set(&pair, Held::Gone),
                }
                pairs += u64::from(is_there);
            }
            let strangers = found
                .iter()
                .filter(|item| !self.pairs.contains_key(&(user.clone(), (*item).clone())));
            assert_eq!(strangers.count(), 0, "something was never added");
            users += u64::from(!found.is_empty());
        }
        (users, pairs)
    }
}

/// Where something is said about a person.
pub fn person_path(user: &str) -> String {
    format!("/users/{user}")
}

/// The title of an item, or the property of a person.
fn said_by(answer: &Value) -> Option<String> {
    let text = [&answer["title"], &answer["properties"]["city"]];
    text.iter()
        .find_map(|text| text.as_str().map(str::to_owned))
}

/// The lines that are exported for a user.
fn exported(caller: &Caller, user: &str) -> Vec<Value> {
    let answer = caller.must_get(&format!("/export?user={user}"));
    let lines = answer.text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON")
}
