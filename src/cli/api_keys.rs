//! `recant keys api`: keys for callers, made and revoked beside a running server.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::error::CliError;
use super::output::{print, print_json, print_note};
use super::settings::StoreArgs;
use recant_http::{AccessSettings, KeyFile, KeyRecord, KeyStatus, NewKey, Role};
use recant_types::span_of;

/// Flags of `recant keys api`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant keys api create --name shop --role read --role write --data-dir recant-data
  recant keys api list --data-dir recant-data
  recant keys api revoke shop --data-dir recant-data

They work beside a running server, which takes over what changed within a second. The keys stand in the
data directory, by their digests alone; those of the configuration are listed, and changed there.")]
pub(crate) struct ApiKeysArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: ApiKeysCommand,
}

/// What can be done with keys for callers.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ApiKeysCommand {
    /// Make a key and print it, once
    Create(CreateArgs),
    /// List every key there is or was
    List(ListArgs),
    /// Take a key back
    Revoke(RevokeArgs),
}

/// Flags of `recant keys api create`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Example:
  recant keys api create --name shop --role read --role write --expires 90d --data-dir recant-data

The key goes to standard output and is kept nowhere. A name is given once: what a key requested is
known by its name, so another of the same name would see it.")]
pub(crate) struct CreateArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Name for people and for the record of erasures: letters, digits, dots, hyphens, underscores
    #[arg(long)]
    pub name: String,
    /// What the holder may do; may be repeated
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role_parser())]
    pub roles: Vec<Role>,
    /// How long it lasts, as in 90d or 12h [default: until it is revoked]
    #[arg(long, value_name = "TIME")]
    pub expires: Option<String>,
    /// Requests a second; 0 for as many as come [default: as server.requests_per_second_max says]
    #[arg(long, value_name = "N")]
    pub requests_per_second: Option<u64>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `recant keys api list`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ListArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Print them as JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `recant keys api revoke`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RevokeArgs {
    /// Where the store is
    #[command(flatten)]
    pub store: StoreArgs,
    /// Its name
    pub name: String,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

fn role_parser() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).map(|name| {
        let role = Role::ALL.into_iter().find(|role| role.as_str() == name);
        role.expect("one of the possible values")
    })
}

/// One key, as it is printed: everything but the key.
#[derive(Debug, Serialize)]
struct ListedKey {
    name: String,
    roles: Vec<Role>,
    status: KeyStatus,
    /// `data_directory`, or `configuration`, which knows no times.
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_second_max: Option<u64>,
}

impl From<&KeyRecord> for ListedKey {
    fn from(record: &KeyRecord) -> Self {
        Self {
            name: record.name.clone(),
            roles: record.roles.clone(),
            status: record.status(),
            source: "data_directory",
            created_at: Some(record.created_at.to_string()),
            expires_at: record.expires_at.map(|time| time.to_string()),
            revoked_at: record.revoked_at.map(|time| time.to_string()),
            requests_per_second_max: record.requests_per_second_max,
        }
    }
}

/// A key that was just made, with the key.
#[derive(Serialize)]
struct CreatedKey<'a> {
    key: &'a str,
    #[serde(flatten)]
    listed: ListedKey,
}

/// All keys.
#[derive(Serialize)]
struct KeyList {
    keys: Vec<ListedKey>,
}

/// Carries out one of the commands.
pub(super) fn run(args: &ApiKeysArgs) -> Result<(), CliError> {
    match &args.command {
        ApiKeysCommand::Create(args) => create(args),
        ApiKeysCommand::List(args) => list(args),
        ApiKeysCommand::Revoke(args) => revoke(args),
    }
}

fn create(args: &CreateArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let lifetime = args.expires.as_deref().map(span_of).transpose();
    let new = NewKey {
        name: args.name.clone(),
        roles: args.roles.clone(),
        lifetime: lifetime.map_err(|error| CliError::usage(format!("--expires {error}")))?,
        requests_per_second_max: args.requests_per_second,
    };
    let file = KeyFile::of_store(&settings.store.data_dir);
    let (record, secret) = file
        .create(&new, &settings.access)
        .map_err(CliError::failed)?;
    if args.json {
        return print_json(&CreatedKey {
            key: secret.expose(),
            listed: ListedKey::from(&record),
        });
    }
    print_note(&format!(
        "this is the key {}, which is shown this once; a running server takes it within a second",
        record.name
    ));
    print(&format!("{}\n", secret.expose()))
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let file = KeyFile::of_store(&settings.store.data_dir);
    let records = file.records().map_err(CliError::failed)?;
    let mut keys = configured(&settings.access);
    keys.extend(records.iter().map(ListedKey::from));
    if args.json {
        return print_json(&KeyList { keys });
    }
    let lines = keys.iter().map(line).collect::<String>();
    print(if lines.is_empty() {
        "there is no key\n"
    } else {
        &lines
    })
}

fn configured(access: &AccessSettings) -> Vec<ListedKey> {
    let keys = access.keys.iter().map(|key| ListedKey {
        name: key.name.clone(),
        roles: key.roles.clone(),
        status: KeyStatus::Active,
        source: "configuration",
        created_at: None,
        expires_at: None,
        revoked_at: None,
        requests_per_second_max: key.requests_per_second_max,
    });
    keys.collect()
}

fn line(key: &ListedKey) -> String {
    let roles: Vec<&str> = key.roles.iter().map(|role| role.as_str()).collect();
    let mut line = format!("{}: {}, {}", key.name, key.status.as_str(), roles.join("+"));
    for (word, time) in [
        ("made", &key.created_at),
        ("expires", &key.expires_at),
        ("revoked", &key.revoked_at),
    ] {
        if let Some(time) = time {
            line.push_str(&format!(", {word} {time}"));
        }
    }
    match key.requests_per_second_max {
        Some(0) => line.push_str(", as many requests as come"),
        Some(most) => line.push_str(&format!(", {most} requests a second")),
        None => {}
    }
    if key.source == "configuration" {
        line.push_str(", in the configuration");
    }
    line.push('\n');
    line
}

fn revoke(args: &RevokeArgs) -> Result<(), CliError> {
    let settings = args.store.settings(Vec::new())?;
    let mut configured = settings.access.keys.iter();
    if configured.any(|key| key.name == args.name) {
        return Err(CliError::Failed(format!(
            "the key {} stands in the configuration: take it out there and start the server again",
            args.name
        )));
    }
    let file = KeyFile::of_store(&settings.store.data_dir);
    let record = file.revoke(&args.name).map_err(CliError::failed)?;
    if args.json {
        return print_json(&ListedKey::from(&record));
    }
    print(&format!(
        "{} is revoked; a running server refuses it within a second\n",
        record.name
    ))
}
