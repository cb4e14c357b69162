//! What one caller was told, and whether it is so.

use std::collections::{BTreeMap, HashSet, VecDeque};

use serde_json::Value;

use crate::caller::Caller;

/// Items of one user of a caller.
const ITEMS: usize = 40;

/// What a caller knows of one of its pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    Present,
    Gone,
    /// The last request was not acknowledged, and may still come true: nothing more is asked of the pair.
    Open,
}

/// The pairs of one caller, which nobody else has.
pub struct Ledger {
    number: u64,
    items: Vec<String>,
    known: BTreeMap<(String, String), Known>,
    /// Those that are present, to be erased in turn.
    present: VecDeque<(String, String)>,
    erasures: Vec<String>,
    added: usize,
    acknowledged: u64,
}

impl Ledger {
    /// A caller who has asked for nothing.
    pub fn new(number: u64, items: &[String]) -> Self {
        Self {
            number,
            items: items.to_vec(),
            known: BTreeMap::new(),
            present: VecDeque::new(),
            erasures: Vec::new(),
            added: 0,
            acknowledged: 0,
        }
    }

    /// Adds a pair; whether that was acknowledged.
    pub fn add(&mut self, caller: &Caller, url: &str) -> bool {
        let user = format!("soak-{}-{}", self.number, self.added / ITEMS);
        let item = self.items[self.added * 17 % self.items.len()].clone();
        self.added += 1;
        let pair = (user, item);
        let answer = caller.add(url, std::slice::from_ref(&pair));
        let is_taken = answer.is_ok_and(|answer| answer.status == 202);
        if is_taken {
            self.present.push_back(pair.clone());
        }
        self.note(pair, is_taken, Known::Present)
    }

    /// Erases the pair that is there for longest; whether that was acknowledged.
    pub fn erase(&mut self, caller: &Caller, url: &str) -> bool {
        let Some(pair) = self.present.pop_front() else {
            return true;
        };
        let answer = caller.erase(url, &pair, &[]);
        let taken = answer.ok().filter(|answer| answer.status == 202);
        let id = taken.and_then(|answer| answer.text("id"));
        let is_taken = id.is_some();
        self.erasures.extend(id);
        self.note(pair, is_taken, Known::Gone)
    }

    fn note(&mut self, pair: (String, String), is_taken: bool, known: Known) -> bool {
        let known = if is_taken { known } else { Known::Open };
        self.known.insert(pair, known);
        self.acknowledged += u64::from(is_taken);
        is_taken
    }

    /// Requests that were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// The erasures that were acknowledged, the last ones first.
    pub fn erasures(&self) -> impl Iterator<Item = &str> {
        self.erasures.iter().rev().map(String::as_str)
    }

    /// Looks for every pair, and returns how many were as acknowledged.
    ///
    /// # Panics
    ///
    /// When one is not.
    pub fn check(&self, caller: &Caller, url: &str) -> usize {
        let mut held: Option<(&str, HashSet<String>)> = None;
        let mut checked = 0;
        for ((user, item), known) in &self.known {
            if held.as_ref().is_none_or(|(whose, _)| whose != user) {
                held = Some((user, exported(caller, url, user)));
            }
            let is_there = held.as_ref().is_some_and(|(_, items)| items.contains(item));
            if *known != Known::Open {
                assert_eq!(
                    is_there,
                    *known == Known::Present,
                    "{user}, {item}: {known:?}"
                );
                checked += 1;
            }
        }
        checked
    }
}

/// The items that a user has.
fn exported(caller: &Caller, url: &str, user: &str) -> HashSet<String> {
    let answer = caller.get(url, &format!("/export?user={user}"));
    let answer = answer.expect("an export");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let rows = answer.body.lines().map(|line| {
        let row: Value = serde_json::from_str(line).expect("JSON");
        row["item"].as_str().expect("an item").to_owned()
    });
    rows.collect()
}
