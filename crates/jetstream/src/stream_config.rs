//! How the stream has to be set, and in what a stream that is there differs from that.
//!
//! One table says both. It is JSON, as the servers speak it, and not a struct: a server may know settings
//! that were not thought of here, and a stream that has one of them switched on is refused as well.

use std::fmt;

use recant_cluster::Incarnation;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::identity::Identity;
use super::settings::LogSettings;

/// Longest message, in bytes, headers included.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// The form of what lies in the stream.
const FORMAT: &str = "1";

const FORMAT_KEY: &str = "recant.format";
const INCARNATION_KEY: &str = "recant.incarnation";
const CONTINUES_KEY: &str = "recant.continues";

/// How long the engine would look for messages sent twice, were they numbered: its own default.
const DUPLICATE_WINDOW_NANOS: u64 = 120_000_000_000;

/// Settings that whoever runs the servers may choose: where the stream lies and what is said about it.
const FREE: [&str; 4] = ["name", "description", "placement", "metadata"];

/// One setting.
struct Setting {
    key: &'static str,
    value: Value,
    why: &'static str,
}

fn setting(key: &'static str, value: impl Into<Value>, why: &'static str) -> Setting {
    let value = value.into();
    Setting { key, value, why }
}

/// Everything that is asked of a stream, but for its name.
fn table(settings: &LogSettings) -> Vec<Setting> {
    let age = u64::try_from(settings.age_max.as_nanos()).unwrap_or(u64::MAX);
    let vanishes = "what a node still needs would vanish";
    let foreign = "others would write into the log";
    let changed = "entries would not be read as they were written";
    vec![
        setting("subjects", json!([settings.name.subject()]), foreign),
        setting("storage", "file", "nothing would outlive the servers"),
        setting("num_replicas", settings.replicas, "it is what was agreed"),
        setting("retention", "limits", vanishes),
        setting("discard", "new", vanishes),
        setting("discard_new_per_subject", false, "it is the only subject"),
        setting("max_bytes", settings.bytes_max, "it is what was agreed"),
        setting("max_age", age, "it is what was agreed"),
        setting("max_msgs", -1, "bytes are what counts"),
        setting("max_msgs_per_subject", -1, vanishes),
        setting("max_msg_size", MESSAGE_BYTES_MAX, "entries are cut to it"),
        setting("max_consumers", -1, "every node reads"),
        setting("deny_delete", true, "the log would get holes"),
        setting("deny_purge", false, "the log could not be trimmed"),
        setting("allow_rollup_hdrs", false, vanishes),
        setting("allow_msg_ttl", false, vanishes),
        setting(
            "allow_direct",
            false,
            "servers that are behind would be asked",
        ),
        setting(
            "mirror_direct",
            false,
            "servers that are behind would be asked",
        ),
        setting(
            "persist_mode",
            "default",
            "what no disk has would be acknowledged",
        ),
        setting("no_ack", false, "nothing would be acknowledged"),
        setting(
            "duplicate_window",
            DUPLICATE_WINDOW_NANOS,
            "nothing uses it",
        ),
        setting("compression", "none", "sealed entries cannot be compressed"),
        setting("sealed", false, "nothing could be appended"),
        setting("mirror", Value::Null, foreign),
        setting("sources", Value::Null, foreign),
        setting("subject_transform", Value::Null, changed),
        setting("republish", Value::Null, "entries would be sent elsewhere"),
        setting("consumer_limits", json!({}), "readers would be held up"),
    ]
}

/// What a server that says nothing of a setting means.
fn when_absent(key: &str) -> Value {
    match key {
        "persist_mode" => json!("default"),
        "compression" => json!("none"),
        "consumer_limits" => json!({}),
        "mirror" | "sources" | "subject_transform" | "republish" => Value::Null,
        "max_msgs" | "max_msgs_per_subject" | "max_consumers" => json!(-1),
        _ => json!(false),
    }
}

/// Whether a setting that is not in the table is off.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}

/// What a server is asked to make.
pub(crate) fn wanted(settings: &LogSettings, identity: &Identity) -> Value {
    let mut config = Map::new();
    config.insert("name".to_owned(), json!(settings.name.stream()));
    for setting in table(settings) {
        if !setting.value.is_null() {
            config.insert(setting.key.to_owned(), setting.value);
        }
    }
    let mut metadata = json!({
        FORMAT_KEY: FORMAT,
        INCARNATION_KEY: identity.incarnation.0.to_string(),
    });
    if let Some(before) = &identity.continues {
        metadata[CONTINUES_KEY] = json!(before.to_string());
    }
    config.insert("metadata".to_owned(), metadata);
    Value::Object(config)
}

/// Which log a stream holds; an error in the first setting that is not as it has to be.
pub(crate) fn compare(settings: &LogSettings, found: &Value) -> Result<Identity, Difference> {
    let stream = settings.name.stream();
    let differs = |setting: &str, found: &Value, wanted: &Value, why: &'static str| Difference {
        stream: stream.clone(),
        setting: setting.to_owned(),
        found: found.to_string(),
        wanted: wanted.to_string(),
        why,
    };
    let table = table(settings);
    for Setting { key, value, why } in &table {
        let absent = when_absent(key);
        let found = found.get(key).unwrap_or(&absent);
        if found != value {
            return Err(differs(key, found, value, why));
        }
    }
    for (key, found) in found.as_object().into_iter().flatten() {
        let is_known = FREE.contains(&key.as_str()) || table.iter().any(|it| it.key == key);
        if !is_known && !is_off(found) {
            let why = "recant does not know what that does to the log";
            return Err(differs(key, found, &Value::Null, why));
        }
    }
    let metadata = |key: &str| found.get("metadata").and_then(|all| all.get(key));
    let format = metadata(FORMAT_KEY).unwrap_or(&Value::Null);
    if format != FORMAT {
        let why = "this program cannot read another";
        return Err(differs(FORMAT_KEY, format, &json!(FORMAT), why));
    }
    let incarnation = metadata(INCARNATION_KEY).unwrap_or(&Value::Null);
    let parsed = incarnation.as_str().and_then(|it| Uuid::try_parse(it).ok());
    let why = "it says which log this is";
    let incarnation = parsed
        .map(Incarnation)
        .ok_or_else(|| differs(INCARNATION_KEY, incarnation, &json!("a UUID"), why))?;
    let continues = metadata(CONTINUES_KEY).map(|found| {
        let parsed = found.as_str().and_then(|it| it.parse().ok());
        let why = "it says which log this one continues";
        parsed.ok_or_else(|| differs(CONTINUES_KEY, found, &json!("a place in a log"), why))
    });
    Ok(Identity {
        incarnation,
        continues: continues.transpose()?,
    })
}

/// A setting of a stream that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    stream: String,
    setting: String,
    found: String,
    wanted: String,
    why: &'static str,
}

impl Difference {
    /// Which setting, as the servers call it.
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stream,
            setting,
            found,
            wanted,
            why,
        } = self;
        write!(
            f,
            "the stream {stream} has {setting} = {found} and needs {wanted}: {why}"
        )
    }
}

impl std::error::Error for Difference {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::identity::Continues;
    use super::super::settings::LogName;
    use super::*;

    fn settings() -> LogSettings {
        let name = LogName::new("recant").expect("a name");
        LogSettings::new(name, 3, 1 << 30, Duration::from_secs(604_800)).expect("settings")
    }

    fn identity() -> Identity {
        Identity {
            incarnation: Incarnation(Uuid::from_u128(7)),
            continues: None,
        }
    }

    #[test]
    fn what_is_asked_for_is_what_is_accepted() {
        let before = Continues {
            incarnation: Incarnation(Uuid::from_u128(6)),
            number: 812,
            hash: "00ff".to_owned(),
        };
        for continues in [None, Some(before)] {
            let identity = Identity {
                continues,
                ..identity()
            };
            let config = wanted(&settings(), &identity);
            assert_eq!(compare(&settings(), &config), Ok(identity));
        }
    }

    #[test]
    fn every_setting_that_differs_is_named_with_both_values() {
        let asked = wanted(&settings(), &identity());
        for Setting { key, value, .. } in table(&settings()) {
            let mut config = asked.clone();
            config[key] = json!("another");
            let difference = compare(&settings(), &config).expect_err(key);
            assert_eq!(difference.setting(), key);
            let sentence = difference.to_string();
            assert!(sentence.contains("\"another\""), "{sentence}");
            assert!(sentence.contains(&value.to_string()), "{sentence}");
        }
    }

    #[test]
    fn a_setting_that_nobody_thought_of_is_refused_unless_it_is_off() {
        let mut config = wanted(&settings(), &identity());
        config["allow_forgetting"] = json!(false);
        assert!(compare(&settings(), &config).is_ok());
        config["allow_forgetting"] = json!(true);
        let difference = compare(&settings(), &config).expect_err("it is on");
        assert_eq!(difference.setting(), "allow_forgetting");
    }

    #[test]
    fn a_stream_that_does_not_say_which_log_it_is_is_refused() {
        for key in [FORMAT_KEY, INCARNATION_KEY] {
            for value in [Value::Null, json!("2"), json!(2)] {
                let mut config = wanted(&settings(), &identity());
                config["metadata"][key] = value;
                let difference = compare(&settings(), &config).expect_err(key);
                assert_eq!(difference.setting(), key);
            }
        }
    }
}
