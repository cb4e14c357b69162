//! `recant ids`: ids that are held from before the rule for ids.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::error::CliError;
use super::line_output::LineOutput;
use super::output::{print, print_json};
use super::settings::{StoreArgs, open_store};
use recant_receipt::{Salt, commit};
use recant_service::Service;
use recant_store::{Store, WriteBatch};
use recant_types::{
    ErasureId, ErasureTarget, Event, IdFlaw, ItemId, Names, UnixMillis, UserId, id_flaw, mended_id,
};

/// Flags of `recant ids`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant ids --data-dir recant-data --list odd.jsonl --interactions mended.jsonl
  recant ids --data-dir recant-data --erase
  recant import mended.jsonl --data-dir recant-data

New ids are texts without blanks around them and no words for nothing, and numbers are whole. A store
made earlier may hold others: with blanks around them, which no request can name any more; null, NaN
and the like, unless interactions.keep_null_ids is set; and numbers such as 123.0. Without a flag they
are counted and nothing changes.

--list writes the ids themselves: the file is for its owner only. --interactions writes what they did,
under the ids that the rule would have given them, as JSON Lines for `recant import`. --erase erases
them at once and for good; the model forgets them when it is served next. The server must be stopped
meanwhile. The exit code is 0 when no id breaks the rule or all that do were erased, else 1.")]
pub(crate) struct IdsArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Write these ids to a new file, one JSON object a line; - for standard output
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Write what they did to a new file, under mended ids; - for standard output
    #[arg(long, value_name = "FILE")]
    pub interactions: Option<PathBuf>,
    /// Erase them
    #[arg(long)]
    pub erase: bool,
    /// Print the counts as JSON
    #[arg(long)]
    pub json: bool,
}

/// How many ids break the rule, by what is wrong with them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
struct Counts {
    blanks: u64,
    null_words: u64,
    like_floats: u64,
}

impl Counts {
    fn add(&mut self, flaw: Option<IdFlaw>) {
        match flaw {
            Some(IdFlaw::Blanks) => self.blanks += 1,
            Some(IdFlaw::NullWord) => self.null_words += 1,
            Some(IdFlaw::LikeFloat) => self.like_floats += 1,
            None => {}
        }
    }

    fn all(self) -> u64 {
        self.blanks + self.null_words + self.like_floats
    }

    fn said(self, of: &str) -> String {
        let Self {
            blanks,
            null_words,
            like_floats,
        } = self;
        format!(
            "{of}: {blanks} with blanks, {null_words} words for nothing, {like_floats} like 123.0\n"
        )
    }
}

/// Everybody and everything whose id breaks the rule, by row.
#[derive(Default)]
struct Found {
    users: HashMap<u32, (UserId, IdFlaw)>,
    items: HashMap<u32, (ItemId, IdFlaw)>,
}

/// Counts them, and does what else is asked for.
pub(super) fn run(args: &IdsArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let store = open_store(&settings)?;
    let found = Found::of(&store, settings.interactions.keep_null_ids)?;
    let [users, items] = found.counts();
    if let Some(path) = &args.list {
        write_lines(path, found.lines())?;
    }
    if let Some(path) = &args.interactions {
        write_lines(path, found.interactions(&store)?.into_iter())?;
    }
    let erasures = if args.erase {
        found.erase(&store)?
    } else {
        Vec::new()
    };
    if args.json {
        print_json(&json!({"users": users, "items": items, "erasures": erasures}))?;
    } else {
        print(&(users.said("users") + &items.said("items")))?;
        for Erased { id, receipt_salt } in &erasures {
            print(&format!("{id}: accepted, salt {receipt_salt}\n"))?;
        }
    }
    match users.all() + items.all() {
        0 => Ok(()),
        _ if args.erase => Ok(()),
        count => Err(CliError::Failed(format!(
            "{count} ids are not as new ones must be: see recant ids --help for the way out"
        ))),
    }
}

/// Says in one line of the log how many ids break the rule, if any do; never which.
pub(super) fn warn_of(service: &Service, keep_null_words: bool) {
    let (mut users, mut items) = (Counts::default(), Counts::default());
    service.visit_ids(
        |user| users.add(id_flaw(user.expose(), keep_null_words)),
        |item| items.add(id_flaw(item.expose(), keep_null_words)),
    );
    let (users, items) = (users.all(), items.all());
    if users + items > 0 {
        tracing::warn!(
            users,
            items,
            "ids are held that are not as new ones must be, and some cannot be asked for: `recant ids` \
             tells more"
        );
    }
}

/// An erasure that was accepted.
#[derive(Debug, Serialize)]
struct Erased {
    id: String,
    receipt_salt: String,
}

impl Found {
    fn of(store: &Store, keep_null_words: bool) -> Result<Self, CliError> {
        let mut found = Self::default();
        for (row, user) in store.users().map_err(CliError::failed)? {
            if let Some(flaw) = id_flaw(user.expose(), keep_null_words) {
                found.users.insert(row, (user, flaw));
            }
        }
        for (row, item) in store.items().map_err(CliError::failed)? {
            if let Some(flaw) = id_flaw(item.id.expose(), keep_null_words) {
                found.items.insert(row, (item.id, flaw));
            }
        }
        Ok(found)
    }

    fn counts(&self) -> [Counts; 2] {
        let [mut users, mut items] = [Counts::default(); 2];
        self.users
            .values()
            .for_each(|(_, flaw)| users.add(Some(*flaw)));
        self.items
            .values()
            .for_each(|(_, flaw)| items.add(Some(*flaw)));
        [users, items]
    }

    /// The ids, a line each.
    fn lines(&self) -> impl Iterator<Item = String> {
        let users = self
            .users
            .values()
            .map(|(id, flaw)| (id.expose(), flaw, "user"));
        let items = self
            .items
            .values()
            .map(|(id, flaw)| (id.expose(), flaw, "item"));
        users.chain(items).map(|(id, flaw, of)| {
            let flaw = match flaw {
                IdFlaw::Blanks => "blanks",
                IdFlaw::NullWord => "null_word",
                IdFlaw::LikeFloat => "like_float",
            };
            json!({of: id, "flaw": flaw, "mended": mended_id(id)}).to_string()
        })
    }

    /// What is held with such a user or item, under mended ids, a line each.
    fn interactions(&self, store: &Store) -> Result<Vec<String>, CliError> {
        let items = store.items().map_err(CliError::failed)?;
        let items: HashMap<u32, String> = items
            .into_iter()
            .map(|(row, item)| (row, mended_id(item.id.expose())))
            .collect();
        let mut lines = Vec::new();
        for (row, user) in store.users().map_err(CliError::failed)? {
            let is_odd = self.users.contains_key(&row);
            for held in store.history(row).map_err(CliError::failed)? {
                if !is_odd && !self.items.contains_key(&held.item) {
                    continue;
                }
                let mut line = json!({
                    "user_id": mended_id(user.expose()),
                    "item_id": items.get(&held.item),
                    "weight": held.weight,
                });
                if let Some(timestamp) = held.timestamp {
                    line["timestamp"] = json!(timestamp);
                }
                lines.push(line.to_string());
            }
        }
        Ok(lines)
    }

    /// Erases them: durable, and unreadable, on return.
    fn erase(&self, store: &Store) -> Result<Vec<Erased>, CliError> {
        let users = Names {
            users: self.users.values().map(|(id, _)| id.clone()).collect(),
            ..Names::default()
        };
        let items = Names {
            items: self.items.values().map(|(id, _)| id.clone()).collect(),
            ..Names::default()
        };
        let requests = [users, items].into_iter().flat_map(Names::into_requests);
        requests
            .map(|names| erase(store, ErasureTarget::from(names)))
            .collect()
    }
}

fn erase(store: &Store, target: ErasureTarget) -> Result<Erased, CliError> {
    let (id, salt) = (ErasureId::generate(), Salt::generate());
    let commitment = commit(&salt, &target);
    let event = Event::Erase {
        id,
        accepted_at: UnixMillis::now(),
        target,
    };
    let mut batch = WriteBatch::default();
    batch.append_erasure(event, commitment, None, None);
    store.commit(batch).wait().map_err(CliError::failed)?;
    Ok(Erased {
        id: id.to_string(),
        receipt_salt: salt.expose(),
    })
}

/// Writes to a new file that nobody else may read, or to standard output.
fn write_lines(path: &Path, mut lines: impl Iterator<Item = String>) -> Result<(), CliError> {
    let mut output = LineOutput::open(Some(path))?;
    lines.try_for_each(|line| output.write(&line))?;
    output.finish().map(drop)
}
