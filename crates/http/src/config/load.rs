//! Puts the layers on top of each other and says which one is to blame.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use config::builder::DefaultState;
use config::{Config, ConfigBuilder, Environment, File, FileFormat, Source};
use serde_json::Value;

use super::invalid::InvalidSetting;
use super::settings::Settings;
use recant_types::FeedbackRule;

/// The file that is read when no other is named, if it is there.
const DEFAULT_FILE: &str = "config/default.toml";

/// Variables `RECANT__SECTION__KEY` override the file.
const ENVIRONMENT_PREFIX: &str = "RECANT";
const ENVIRONMENT_SEPARATOR: &str = "__";

/// Keys that had another name once, dotted: section, old name, new name. Either is read.
const RENAMED: [(&str, &str, &str); 1] =
    [("learning", "kept_bytes_max", "cholesky_cache_bytes_max")];

/// Largest configuration file read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why the settings could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file {}: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why, in the system's words.
        reason: String,
    },
    /// The layer is not well-formed.
    #[error("{source_name} is not well-formed: {reason}")]
    Malformed {
        /// Which layer.
        source_name: String,
        /// Where and why.
        reason: String,
    },
    /// A key is unknown, or its value is of the wrong type.
    #[error("{source_name}: {key}: {reason}")]
    Key {
        /// Which layer.
        source_name: String,
        /// Which key, dotted.
        key: String,
        /// What was expected.
        reason: String,
    },
    /// A value is out of range.
    #[error("{source_name}: {setting}")]
    Value {
        /// Which layer.
        source_name: String,
        /// Which key, and how to mend it.
        setting: InvalidSetting,
    },
}

/// One setting given on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagOverride {
    /// The flag as the caller wrote it, `--listen`; for error messages.
    pub flag: &'static str,
    /// The dotted key it sets, `server.listen`.
    pub key: &'static str,
    /// The value.
    pub value: String,
}

/// Where settings come from, beside the built-in defaults.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file named by `--config`. Without it `config/default.toml` in the working directory is
    /// read when present.
    pub file: Option<PathBuf>,
    /// Overrides by flags, in order.
    pub flags: Vec<FlagOverride>,
    /// Where `config/default.toml` is looked for; empty for the working directory.
    pub directory: PathBuf,
    /// The environment; `None` takes that of the process. Tests give their own.
    pub environment: Option<HashMap<String, String>>,
}

impl Sources {
    /// Builds the settings layer by layer, checking after each.
    pub fn load(&self) -> Result<Settings, ConfigError> {
        let mut builder = Config::builder();
        if let Some(path) = self.file_to_read() {
            let name = format!("configuration file {}", path.display());
            let text = read_limited(&path)?;
            let layer = renamed(File::from_str(&text, FileFormat::Toml), &name)?;
            builder = builder.add_source(layer);
            let settings = checked(&builder, &name)?;
            if self.file.is_none() && !settings.keys.master_command.is_empty() {
                return Err(runs_a_command(name));
            }
        }
        let name = "environment (RECANT__SECTION__KEY)";
        builder = builder.add_source(renamed(self.environment_source(), name)?);
        checked(&builder, name)?;
        for flag in &self.flags {
            let malformed = |error| malformed(flag.flag, &error);
            builder = builder
                .set_override(flag.key, flag.value.clone())
                .map_err(malformed)?;
            checked(&builder, flag.flag)?;
        }
        let settings = checked(&builder, "settings")?;
        settings.check().map_err(|setting| ConfigError::Value {
            source_name: String::from("settings"),
            setting,
        })?;
        Ok(settings)
    }

    /// The file that is read: the one that was named, or else the default one when it is there.
    pub fn file_to_read(&self) -> Option<PathBuf> {
        let found = || self.directory.join(DEFAULT_FILE);
        let found = || Some(found()).filter(|path| path.is_file());
        self.file.clone().or_else(found)
    }

    fn environment_source(&self) -> Environment {
        Environment::with_prefix(ENVIRONMENT_PREFIX)
            .separator(ENVIRONMENT_SEPARATOR)
            .source(self.environment.clone())
    }
}

/// The answer to a command in a file that nobody named: it lies wherever the process was started,
/// and whoever may write there is not for that reason somebody who may run commands.
fn runs_a_command(source_name: String) -> ConfigError {
    let problem = "would run a command out of a file that was found in the working directory: name \
                   the file with --config";
    ConfigError::Value {
        source_name,
        setting: InvalidSetting::new("keys.master_command", problem),
    }
}

fn malformed(source_name: &str, error: &config::ConfigError) -> ConfigError {
    ConfigError::Malformed {
        source_name: source_name.to_owned(),
        reason: error.to_string(),
    }
}

fn read_limited(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let length = std::fs::metadata(path)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if length > FILE_BYTES_MAX {
        return Err(unreadable(format!(
            "it has more than {FILE_BYTES_MAX} bytes"
        )));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
}

/// One layer, in which what an old name says is said by the new one too. Each layer by itself, so
/// that a later one goes before an earlier one whichever names they use.
fn renamed(
    layer: impl Source + Send + Sync + 'static,
    source_name: &str,
) -> Result<Config, ConfigError> {
    let malformed = |error| malformed(source_name, &error);
    let layer = Config::builder().add_source(layer);
    let mut layer = layer.build().map_err(malformed)?;
    for (section, old, new) in RENAMED {
        let Ok(value) = layer.get::<config::Value>(&format!("{section}.{old}")) else {
            continue;
        };
        let both = Config::builder().add_source(layer);
        let both = both.set_default(format!("{section}.{new}"), value);
        layer = both.and_then(|both| both.build()).map_err(malformed)?;
    }
    Ok(layer)
}

/// Takes the old names out of the layers' tree: the new ones say the same.
fn remove_old_names(tree: &mut Value) {
    for (section, old, _) in RENAMED {
        let section = tree.get_mut(section).and_then(Value::as_object_mut);
        section.and_then(|section| section.remove(old));
    }
}

/// The settings that the layers so far amount to. Whatever is wrong came with the last one, named
/// `source_name`, for the earlier ones passed.
fn checked(
    builder: &ConfigBuilder<DefaultState>,
    source_name: &str,
) -> Result<Settings, ConfigError> {
    let built = builder.build_cloned();
    let layers = built.map_err(|error| malformed(source_name, &error))?;
    // Through JSON rather than straight into the struct: the config crate would round 1.5 to 2
    // and read "yes" as 1 where a whole number is wanted.
    let mut tree: Value = layers
        .try_deserialize()
        .map_err(|error| malformed(source_name, &error))?;
    remove_old_names(&mut tree);
    let defaults = defaults_with_types(&tree);
    read_scalars(&mut tree, &defaults);
    let settings: Settings =
        serde_path_to_error::deserialize(tree).map_err(|error| ConfigError::Key {
            source_name: source_name.to_owned(),
            key: error.path().to_string(),
            reason: error.into_inner().to_string(),
        })?;
    settings
        .check_values()
        .map_err(|setting| ConfigError::Value {
            source_name: source_name.to_owned(),
            setting,
        })?;
    Ok(settings)
}

fn defaults_tree() -> Value {
    serde_json::to_value(Settings::default()).expect("settings are plain data")
}

/// The defaults, with those of a rule for every type of feedback that `tree` has.
fn defaults_with_types(tree: &Value) -> Value {
    let mut defaults = defaults_tree();
    let types = tree.pointer("/feedback/types").and_then(Value::as_object);
    let known = defaults.pointer_mut("/feedback/types");
    if let (Some(types), Some(Value::Object(known))) = (types, known) {
        let rule = serde_json::to_value(FeedbackRule::default()).expect("a rule is plain data");
        known.extend(types.keys().map(|name| (name.clone(), rule.clone())));
    }
    defaults
}

/// Environment and flags know only texts: reads those as numbers and truths where the default is one.
/// A text that is none stays, for the type check to name.
fn read_scalars(value: &mut Value, default: &Value) {
    match (value, default) {
        (Value::Object(fields), Value::Object(defaults)) => {
            for (name, field) in fields {
                if let Some(default) = defaults.get(name) {
                    read_scalars(field, default);
                }
            }
        }
        (value, Value::Number(_)) => {
            let number = value.as_str().and_then(|text| {
                let number: serde_json::Number = text.trim().parse().ok()?;
                Some(number)
            });
            if let Some(number) = number {
                *value = Value::Number(number);
            }
        }
        (value, Value::Bool(_)) => {
            let truth = value.as_str().and_then(|text| text.trim().parse().ok());
            if let Some(truth) = truth {
                *value = Value::Bool(truth);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::config::{ClusterRole, Role};
    use recant_types::{Combine, ErasureStatus, FeedbackType};

    fn from_file(text: &str) -> Result<Settings, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("room for it");
        let sources = Sources {
            file: Some(file.path().to_owned()),
            environment: Some(HashMap::new()),
            ..Sources::default()
        };
        sources.load()
    }

    fn with_environment(name: &str, value: &str) -> Result<Settings, ConfigError> {
        let sources = Sources {
            environment: Some(HashMap::from([(name.to_owned(), value.to_owned())])),
            ..Sources::default()
        };
        sources.load()
    }

    #[test]
    fn the_shipped_file_equals_the_built_in_defaults() {
        let text = include_str!("../../../../config/default.toml");
        assert_eq!(from_file(text).expect("a good file"), Settings::default());
        let written: Value = Config::builder()
            .add_source(File::from_str(text, FileFormat::Toml))
            .build()
            .and_then(Config::try_deserialize)
            .expect("a good file");
        let mut expected = defaults_tree();
        // The lists of keys, of webhooks and of agents are empty by default and shown there as comments.
        let sections = expected.as_object_mut().expect("sections");
        sections.remove("access");
        sections.remove("webhooks");
        let drp = sections.get_mut("drp").and_then(Value::as_object_mut);
        drp.expect("a section").remove("agents");
        assert_eq!(written, expected, "every key is there and has its default");
    }

    #[test]
    fn what_belongs_together_may_come_in_several_layers() {
        let flag = |flag, key, value: &str| FlagOverride {
            flag,
            key,
            value: value.to_owned(),
        };
        let sources = |log: bool| Sources {
            environment: Some(HashMap::from([
                (String::from("RECANT__CLUSTER__NODE"), String::from("n1")),
                (
                    String::from("RECANT__CLUSTER__LEASE_SECONDS"),
                    String::from("30"),
                ),
            ])),
            flags: [flag("--role", "cluster.role", "replica")]
                .into_iter()
                .chain(log.then(|| flag("--nats", "cluster.nats_url", "nats://127.0.0.1:4222")))
                .collect(),
            ..Sources::default()
        };
        let settings = sources(true).load().expect("all that a replica needs");
        assert_eq!(settings.cluster.role, ClusterRole::Replica);
        assert_eq!(settings.cluster.lease_seconds, 30);
        let error = sources(false).load().expect_err("no log").to_string();
        assert!(error.starts_with("settings: cluster.nats_url"), "{error}");
        let neural = from_file(
            "[model]\nkind = \"neumf\"\n[cluster]\nrole = \"replica\"\nnode = \"n1\"\nnats_url = \"nats://n1:4222\"\n",
        );
        let error = neural.expect_err("not with others").to_string();
        assert!(error.contains("cluster.role"), "{error}");
        assert!(with_environment("RECANT__CLUSTER__ROLE", "leader").is_err());
    }

    #[test]
    fn flags_go_before_the_environment_and_that_before_the_file() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(b"[model]\ndim = 8\nseed = 8\nlambda = 8\n")
            .expect("room for it");
        let variables = [("RECANT__MODEL__SEED", "9"), ("RECANT__MODEL__LAMBDA", "9")];
        let settings = Sources {
            file: Some(file.path().to_owned()),
            environment: Some(
                variables
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            ),
            flags: vec![FlagOverride {
                flag: "--lambda",
                key: "model.lambda",
                value: String::from("10"),
            }],
            ..Sources::default()
        }
        .load()
        .expect("good sources");
        let model = settings.model;
        assert_eq!((model.dim, model.seed, model.lambda), (8, 9, 10.0));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_source() {
        let error = from_file("[server]\nlisen = \"x\"\n").expect_err("a slip");
        let text = error.to_string();
        assert!(text.contains("configuration file"), "{text}");
        assert!(text.contains("server.lisen"), "{text}");
        assert!(text.contains("`listen`"), "says what there is: {text}");
        let error = with_environment("RECANT__MODEL__DIMS", "3").expect_err("a slip");
        let text = error.to_string();
        assert!(
            text.contains("environment") && text.contains("model.dims"),
            "{text}"
        );
    }

    #[test]
    fn numbers_are_neither_rounded_nor_guessed() {
        for (file, key) in [
            ("[model]\ndim = 64.5\n", "model.dim"),
            ("[model]\ndim = true\n", "model.dim"),
            ("[model]\nalpha0 = inf\n", "model.alpha0"),
            ("[training]\nmax_sweeps = -1\n", "training.max_sweeps"),
            ("[log]\nformat = \"xml\"\n", "log.format"),
        ] {
            let text = from_file(file).expect_err("a bad value").to_string();
            assert!(text.contains(key), "{file}: {text}");
        }
        let text = with_environment("RECANT__MODEL__DIM", "many")
            .expect_err("no number")
            .to_string();
        assert!(text.contains("model.dim"), "{text}");
    }

    #[test]
    fn types_of_feedback_come_from_every_layer() {
        let settings = from_file(
            "[feedback.types.view]\nweight = 0.5\n\n[feedback.types.dislike]\ntarget = 0.0\n\
             seen = false\ncombine = \"max\"\n",
        )
        .expect("good types");
        let rule = |name: &str| settings.feedback.types[&FeedbackType::new(name).expect("a name")];
        assert_eq!((rule("view").weight, rule("view").target), (0.5, 1.0));
        let dislike = FeedbackRule {
            target: 0.0,
            seen: false,
            combine: Combine::Max,
            ..FeedbackRule::default()
        };
        assert_eq!(rule("dislike"), dislike);
        let settings = with_environment("RECANT__FEEDBACK__TYPES__LIKE__WEIGHT", "2.5");
        let types = settings.expect("a good type").feedback.types;
        assert_eq!(
            types[&FeedbackType::new("like").expect("a name")].weight,
            2.5
        );
        let settings = with_environment("RECANT__FEEDBACK__TYPES__LIKE__SEEN", "false");
        let types = settings.expect("a good type").feedback.types;
        assert!(!types[&FeedbackType::new("like").expect("a name")].seen);
        let error = from_file("[feedback.types.view]\ntarget = 2\n").expect_err("no preference");
        assert!(error.to_string().contains("feedback.types.view.target"));
        let error = from_file("[feedback.types.\"a b\"]\n").expect_err("no name");
        assert!(error.to_string().contains("feedback.types"), "{error}");
    }

    #[test]
    fn a_flag_out_of_range_is_blamed_by_its_name() {
        let sources = Sources {
            environment: Some(HashMap::new()),
            flags: vec![FlagOverride {
                flag: "--dim",
                key: "model.dim",
                value: String::from("0"),
            }],
            ..Sources::default()
        };
        let text = sources.load().expect_err("no dimension").to_string();
        assert!(text.starts_with("--dim: model.dim"), "{text}");
    }

    #[test]
    fn an_old_configuration_is_read_under_its_old_names() {
        let old = "[learning]\nkept_bytes_max = 4096\nthreads = 2\n";
        let settings = from_file(old).expect("an old file");
        assert_eq!(settings.learning.cholesky_cache_bytes_max, 4096);
        assert_eq!(settings.learning.threads, 2);
        let error = from_file("[learning]\nkept_bytes_max = \"much\"\n").expect_err("no number");
        assert!(
            error.to_string().contains("cholesky_cache_bytes_max"),
            "{error}"
        );
    }

    #[test]
    fn a_later_layer_goes_first_whichever_name_it_uses() {
        let (old, new) = ("kept_bytes_max", "cholesky_cache_bytes_max");
        for (in_file, in_environment) in [(old, new), (new, old), (old, old)] {
            let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
            writeln!(file, "[learning]\n{in_file} = 1").expect("space for it");
            let variable = format!("RECANT__LEARNING__{}", in_environment.to_uppercase());
            let sources = Sources {
                file: Some(file.path().to_owned()),
                environment: Some(HashMap::from([(variable, String::from("2"))])),
                ..Sources::default()
            };
            let settings = sources.load().expect("good sources");
            let read = settings.learning.cholesky_cache_bytes_max;
            assert_eq!(read, 2, "{in_file}, then {in_environment}");
        }
    }

    #[test]
    fn a_file_that_nobody_named_runs_no_command() {
        let directory = tempfile::tempdir().expect("a folder");
        let path = directory.path().join(DEFAULT_FILE);
        std::fs::create_dir(path.parent().expect("a folder")).expect("space for it");
        std::fs::write(&path, "[keys]\nmaster_command = \"touch owned\"\n").expect("space for it");
        let found = Sources {
            directory: directory.path().to_owned(),
            environment: Some(HashMap::new()),
            ..Sources::default()
        };
        let text = found.load().expect_err("found").to_string();
        assert!(text.contains("keys.master_command"), "{text}");
        assert!(text.contains("--config"), "{text}");
        let named = Sources {
            file: Some(path),
            ..found
        };
        let settings = named.load().expect("somebody named it");
        assert_eq!(settings.keys.master_command, "touch owned");
    }

    #[test]
    fn keys_are_read_with_their_roles() {
        let digest = "ab".repeat(32);
        let settings = from_file(&format!(
            "[[access.keys]]\nname = \"ci\"\nsha256 = \"{digest}\"\nroles = [\"read\", \"erase\"]\n"
        ))
        .expect("a good key");
        assert_eq!(settings.access.keys[0].roles, [Role::Read, Role::Erase]);
    }

    #[test]
    fn webhooks_are_read_and_a_slip_in_one_is_named() {
        let endpoint = "[[webhooks]]\nname = \"shop\"\nurl = \"https://shop.example/secret\"\n";
        let settings = from_file(&format!(
            "{endpoint}states = [\"certified\"]\nretry_seconds = [1, 60]\n"
        ));
        let webhooks = settings.expect("a good endpoint").webhooks;
        assert_eq!(webhooks[0].states, [ErasureStatus::Certified]);
        assert_eq!(
            (webhooks[0].retry_seconds.len(), webhooks[0].every_seconds),
            (2, 60)
        );
        for (slip, key) in [
            ("allow = true\n", "webhooks[0].allow"),
            ("states = [\"done\"]\n", "webhooks[0].states[0]"),
            ("every_seconds = 0\n", "webhooks[0].every_seconds"),
        ] {
            let error = from_file(&format!("{endpoint}{slip}")).expect_err("a slip");
            let text = error.to_string();
            assert!(text.contains(key) && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_an_error_when_it_was_named() {
        let sources = Sources {
            file: Some(PathBuf::from("no-such-file.toml")),
            ..Sources::default()
        };
        let text = sources.load().expect_err("nothing there").to_string();
        assert!(text.contains("no-such-file.toml"), "{text}");
    }
}
