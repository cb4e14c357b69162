//! `recant import --url`: the rows of files to a running server, in requests of bounded size.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::api_client::{Answer, ApiClient, Refusal};
use super::super::json_lines::{InteractionLine, ItemLine};
use recant_import::{REJECTED_SHOWN_MAX, RowSink, SinkError, SinkTotals, TakenRow};
use recant_types::{DescriptionPatch, ItemDescription, ItemId};

/// A request holds at most so many rows and about so many bytes: far below what a server takes, so that
/// what has to be sent again is little.
const BATCH_ROWS_MAX: usize = 2_000;
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// The first pause before a request is sent again, and the longest; each is twice the one before.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// Codes of refusals after which it is certain that nothing was taken.
const NOTHING_TAKEN: [&str; 3] = ["overloaded", "starting", "stopping"];

/// Where a row stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: Rc<Path>,
    pub(super) line: u64,
}

/// A row that the server did not take, and its reason.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) place: Place,
    pub(super) reason: String,
}

/// Why no more is sent, and the first row that was not.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) place: Place,
    pub(super) reason: String,
}

/// Rows that wait for the next request.
struct Batch {
    route: &'static str,
    body: Vec<u8>,
    places: Vec<Place>,
    /// What became of the rows before.
    totals: SinkTotals,
}

/// Gives rows to a running server. After a request that cannot be delivered nothing more is sent, and
/// what comes is counted.
pub(super) struct Remote {
    client: ApiClient,
    /// How long a server that is busy or gone is asked again.
    patience: Duration,
    /// Whether rows without a time may happen now.
    takes_untimed: bool,
    place: Place,
    interactions: Batch,
    items: Batch,
    /// What the batch says about items.
    said: HashMap<ItemId, ItemDescription>,
    pub(super) refused_first: Vec<Refused>,
    pub(super) stopped: Option<Stopped>,
    /// Rows that were sent again although they may have been taken.
    pub(super) sent_again: u64,
}

/// What a server says became of the rows of a request.
#[derive(Debug, Deserialize)]
struct Taken {
    accepted: u64,
    #[serde(default)]
    held_back: u64,
    rejected: Vec<RejectedRow>,
}

#[derive(Debug, Deserialize)]
struct RejectedRow {
    index: usize,
    reason: String,
}

impl Remote {
    pub(super) fn new(client: ApiClient, patience: Duration, takes_untimed: bool) -> Self {
        Self {
            client,
            patience,
            takes_untimed,
            place: Place {
                path: Rc::from(Path::new("")),
                line: 0,
            },
            interactions: Batch::of("/interactions"),
            items: Batch::of("/items"),
            said: HashMap::new(),
            refused_first: Vec::new(),
            stopped: None,
            sent_again: 0,
        }
    }

    /// Whether the server is one of ours and lets us in, before anybody's id is sent.
    pub(super) fn greet(&mut self) -> Result<(), Refusal> {
        let asked = |client: &ApiClient| client.get("/.well-known/jwks.json");
        let answer = self.patiently(asked, 0)?;
        answer.read::<recant_receipt::JwkSet>().map(drop)
    }

    /// Sends what still waits.
    pub(super) fn finish(&mut self) {
        self.flush(|remote| &mut remote.interactions);
        self.flush_items();
    }

    /// What became of the interactions, and of what was said about items.
    pub(super) fn totals(&self) -> (SinkTotals, SinkTotals) {
        (self.interactions.totals, self.items.totals)
    }

    fn add(&mut self, batch: fn(&mut Self) -> &mut Batch, line: &impl Serialize) {
        let place = self.place.clone();
        let batch = batch(self);
        serde_json::to_writer(&mut batch.body, line).expect("plain data into memory");
        batch.body.push(b'\n');
        batch.places.push(place);
    }

    fn flush_items(&mut self) {
        self.said.clear();
        self.flush(|remote| &mut remote.items);
    }

    /// Sends a batch, if there is something in it.
    fn flush(&mut self, batch: fn(&mut Self) -> &mut Batch) {
        let route = batch(self).route;
        let body = std::mem::take(&mut batch(self).body);
        let places = std::mem::take(&mut batch(self).places);
        let Some(first) = places.first() else {
            return;
        };
        let delivered = match &self.stopped {
            Some(_) => None,
            None => match self.deliver(route, &body, places.len()) {
                Ok(taken) => Some(taken),
                Err(refusal) => {
                    self.stop(first.clone(), &refusal);
                    None
                }
            },
        };
        let totals = &mut batch(self).totals;
        let Some(taken) = delivered else {
            totals.undelivered += places.len() as u64;
            return;
        };
        totals.kept += taken.accepted;
        totals.held_back += taken.held_back;
        totals.refused += taken.rejected.len() as u64;
        for row in taken.rejected {
            if self.refused_first.len() < REJECTED_SHOWN_MAX {
                let place = places[row.index].clone();
                let reason = row.reason;
                self.refused_first.push(Refused { place, reason });
            }
        }
    }

    fn stop(&mut self, place: Place, refusal: &Refusal) {
        let reason = refusal.to_string();
        self.stopped.get_or_insert(Stopped { place, reason });
    }

    /// Sends `rows` rows until they are taken or refused, and reads what became of them.
    fn deliver(&mut self, route: &str, body: &[u8], rows: usize) -> Result<Taken, Refusal> {
        let headers = [("content-type", "application/x-ndjson")];
        // To say the same about an item twice changes nothing.
        let counted = if route == "/items" { 0 } else { rows as u64 };
        let answer = self.patiently(|client| client.post(route, &headers, body), counted)?;
        let taken: Taken = answer.read()?;
        let told = taken.accepted + taken.held_back + taken.rejected.len() as u64;
        if told != rows as u64 || taken.rejected.iter().any(|row| row.index >= rows) {
            let said = format!("of {rows} rows the server accounts for {told}");
            return Err(Refusal::Final(said));
        }
        Ok(taken)
    }

    /// Asks until there is an answer to go on with, as long as the patience lasts; `rows` are counted
    /// when they are sent again and may have been taken.
    fn patiently(
        &mut self,
        ask: impl Fn(&ApiClient) -> Result<Answer, Refusal>,
        rows: u64,
    ) -> Result<Answer, Refusal> {
        let (started, mut pause) = (Instant::now(), PAUSE_FIRST);
        let mut is_uncertain = false;
        loop {
            let (refusal, wanted) = match ask(&self.client) {
                Ok(answer) if answer.status < 300 => {
                    self.sent_again += if is_uncertain { rows } else { 0 };
                    return Ok(answer);
                }
                Ok(answer) => {
                    is_uncertain |= !is_certain(&answer);
                    (answer.refusal(), answer.retry_after)
                }
                Err(refusal) => {
                    is_uncertain = true;
                    (refusal, None)
                }
            };
            let wait = wanted.unwrap_or_default().max(pause);
            let in_time = started.elapsed() + wait <= self.patience;
            if !in_time || matches!(refusal, Refusal::Final(_)) {
                return Err(refusal);
            }
            std::thread::sleep(wait);
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// What is said about an item so far: by this batch, or by the server.
    fn said_of(&mut self, item: &ItemId) -> Result<ItemDescription, Refusal> {
        if let Some(said) = self.said.get(item) {
            return Ok(said.clone());
        }
        let path = format!("/items/{}", percent_encoded(item.expose()));
        let asked = self.patiently(
            |client| match client.get(&path)? {
                // An item that nobody knows: nothing is said of it.
                Answer { status: 404, .. } => Ok(Answer {
                    status: 200,
                    retry_after: None,
                    text: String::new(),
                }),
                answer => Ok(answer),
            },
            0,
        )?;
        if asked.text.is_empty() {
            return Ok(ItemDescription::of(item.clone()));
        }
        asked.read()
    }
}

impl Batch {
    fn of(route: &'static str) -> Self {
        Self {
            route,
            body: Vec::new(),
            places: Vec::new(),
            totals: SinkTotals::default(),
        }
    }

    fn is_full(&self) -> bool {
        self.places.len() >= BATCH_ROWS_MAX || self.body.len() >= BATCH_BYTES_MAX
    }
}

impl RowSink for Remote {
    fn at(&mut self, path: &Path, line: u64) {
        if *self.place.path != *path {
            self.place.path = Rc::from(path);
        }
        self.place.line = line;
    }

    fn push(&mut self, row: TakenRow<'_>, weight: f32) -> Result<(), SinkError> {
        if row.timestamp.is_none() && !self.takes_untimed {
            let Place { path, line } = &self.place;
            let path = path.display();
            return Err(format!(
                "{path}:{line}: a row without a time would happen now, whatever was erased before: give \
                 --after-erasures if that is meant"
            )
            .into());
        }
        let line = InteractionLine::of_request(row, weight);
        self.add(|remote| &mut remote.interactions, &line);
        if self.interactions.is_full() {
            self.flush(|remote| &mut remote.interactions);
        }
        Ok(())
    }

    /// Nothing is taken back over HTTP: the flag that would need it is refused beforehand.
    fn withdraw(&mut self, _: TakenRow<'_>) -> Result<(), SinkError> {
        Err("a row cannot be taken back from a running server".into())
    }

    /// What is not said stays as it was, but a request says all of an item: so what was said is asked
    /// for first, where not all of it is said again.
    fn describe(&mut self, item: &str, said: &DescriptionPatch) -> Result<(), SinkError> {
        let id = ItemId::new(item)?;
        let mut description = ItemDescription::of(id.clone());
        if self.stopped.is_none() && !says_all(said) {
            match self.said_of(&id) {
                Ok(before) => description = before,
                Err(refusal) => self.stop(self.place.clone(), &refusal),
            }
        }
        said.apply(&mut description);
        let line = ItemLine::from(&description);
        self.add(|remote| &mut remote.items, &line);
        self.said.insert(id, description);
        if self.items.is_full() {
            self.flush_items();
        }
        Ok(())
    }
}

/// Whether nothing of what was said before would stay.
fn says_all(said: &DescriptionPatch) -> bool {
    let DescriptionPatch {
        title,
        tags,
        properties: _,
        clears_properties,
        timestamp,
        hidden,
    } = said;
    title.is_some()
        && tags.is_some()
        && *clears_properties
        && timestamp.is_some()
        && hidden.is_some()
}

/// Whether it is certain that nothing of a refused request was taken.
fn is_certain(answer: &Answer) -> bool {
    let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let code = problem["code"].as_str().unwrap_or_default();
    answer.status < 500 || NOTHING_TAKEN.contains(&code)
}

/// A text as one segment of a path.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
