//! The recipe as a whole: reading it, and checking it before anything runs.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::deletion::DeletionSpec;
use super::error::RecipeError;
use super::method::MethodSpec;
use super::model::ModelSpec;
use super::source::SourceSpec;

/// Largest recipe read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Most seeds, data sets, models, methods and deletions of one recipe.
const LIST_MAX: usize = 100;

/// How models are compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeasureOptions {
    /// Most users that are compared; beyond, a random part of them.
    pub users_max: usize,
    /// Most users whose scores are looked at along the way.
    pub curve_users_max: usize,
    /// Accuracy alone: a neural model is measured after every so many epochs of AdamW; only at its
    /// end where this is not given. Not written where it is not given, as the fingerprints of runs
    /// are made of what is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_epochs: Option<usize>,
}

impl MeasureOptions {
    /// What the figures of unlearning depend on: runs stay valid whatever is asked of accuracy.
    pub(in crate::experiment) fn of_unlearning(self) -> Self {
        Self {
            every_epochs: None,
            ..self
        }
    }
}

impl Default for MeasureOptions {
    fn default() -> Self {
        Self {
            users_max: 10_000,
            curve_users_max: 1_000,
            every_epochs: None,
        }
    }
}

/// One experiment: every data set × model × method × deletion × seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the report is called.
    pub name: String,
    /// One sentence about it.
    #[serde(default)]
    pub description: String,
    /// Each draws a split, a training and deletions of its own.
    #[serde(default = "one_seed")]
    pub seeds: Vec<u64>,
    /// Whether neural models are retrained twice more, with the start of the reference and with its
    /// negatives, which tells what each does to the noise floor.
    #[serde(default = "yes")]
    pub partial_floors: bool,
    /// How models are compared.
    #[serde(default)]
    pub measure: MeasureOptions,
    /// The data sets.
    #[serde(default)]
    pub data: Vec<SourceSpec>,
    /// The models.
    #[serde(default)]
    pub model: Vec<ModelSpec>,
    /// The methods. Doing nothing and a second retrain are always among them.
    #[serde(default)]
    pub method: Vec<MethodSpec>,
    /// What is deleted.
    #[serde(default)]
    pub deletion: Vec<DeletionSpec>,
}

fn yes() -> bool {
    true
}

fn one_seed() -> Vec<u64> {
    vec![1]
}

impl Recipe {
    /// Reads a recipe from a file.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let unreadable = |reason: String| RecipeError::Unreadable {
            path: path.to_owned(),
            reason,
        };
        let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
        if size.len() > FILE_BYTES_MAX {
            return Err(unreadable(format!(
                "it is larger than {FILE_BYTES_MAX} bytes"
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Self::parse(&text)
    }

    /// Reads a recipe from its text.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let recipe: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            RecipeError::Malformed {
                line: 1 + text.as_bytes()[..start]
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count(),
                reason: error.message().lines().collect::<Vec<_>>().join(" "),
            }
        })?;
        recipe.check()?;
        Ok(recipe)
    }

    /// Checks what does not depend on the data.
    fn check(&self) -> Result<(), RecipeError> {
        let invalid = |place: &str, reason: &str| Err(RecipeError::invalid(place, reason));
        if self.name.trim().is_empty() {
            return invalid("name", "give the experiment a name");
        }
        if self.seeds.is_empty() {
            return invalid("seeds", "give at least one, like seeds = [1]");
        }
        if self.measure.users_max == 0 || self.measure.curve_users_max == 0 {
            return invalid("measure", "at least one user must be compared");
        }
        if self.measure.every_epochs == Some(0) {
            return invalid(
                "measure",
                "every_epochs must be at least 1: leave it out to measure at the end only",
            );
        }
        if self.data.is_empty() {
            return invalid("data", "name at least one data set in a [[data]] table");
        }
        if self.model.is_empty() {
            return invalid("model", "name at least one model in a [[model]] table");
        }
        distinct("seeds", self.seeds.iter().map(u64::to_string))?;
        distinct("data", self.data.iter().map(|data| data.name.clone()))?;
        distinct("model", self.model.iter().map(ModelSpec::label))?;
        distinct("method", self.method.iter().map(MethodSpec::label))?;
        distinct("deletion", self.deletion.iter().map(DeletionSpec::label))?;
        self.data.iter().try_for_each(SourceSpec::check)?;
        self.model.iter().try_for_each(ModelSpec::check)?;
        self.method.iter().try_for_each(MethodSpec::check)?;
        self.deletion.iter().try_for_each(DeletionSpec::check)?;
        for method in &self.method {
            if !self.model.iter().any(|model| method.fits(model)) {
                return Err(RecipeError::invalid(
                    format!("method {}", method.label()),
                    "fits none of the models of this recipe: leave it out or add a model",
                ));
            }
        }
        Ok(())
    }

    /// Checks besides that there is something to unlearn.
    pub fn check_for_unlearning(&self) -> Result<(), RecipeError> {
        if self.deletion.is_empty() {
            return Err(RecipeError::invalid(
                "deletion",
                "say what is to be deleted in a [[deletion]] table",
            ));
        }
        Ok(())
    }
}

/// Refuses lists that are too long or say something twice: both would overwrite each other's
/// results.
fn distinct(place: &str, labels: impl Iterator<Item = String>) -> Result<(), RecipeError> {
    let mut seen = BTreeSet::new();
    for label in labels {
        if !seen.insert(slug(&label)) {
            return Err(RecipeError::invalid(
                place,
                format!("{label} is there twice: give one of them another name or leave it out"),
            ));
        }
    }
    if seen.len() > LIST_MAX {
        return Err(RecipeError::invalid(
            place,
            format!("has more than {LIST_MAX} entries: make several recipes"),
        ));
    }
    Ok(())
}

/// A label as part of a file's name: lower-case letters, digits, dots and single hyphens.
pub(in crate::experiment) fn slug(label: &str) -> String {
    let mut slug = String::with_capacity(label.len());
    for character in label.chars() {
        match character.to_ascii_lowercase() {
            letter if letter.is_ascii_alphanumeric() || letter == '.' => slug.push(letter),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "a look"
seeds = [1, 2]

[[data]]
name = "small"
synthetic = { users = 100, items = 80, interactions = 1000, seed = 1 }

[[data]]
name = "ml-100k"

[[model]]
kind = "ials"
dim = 8

[[method]]
kind = "stages"

[[deletion]]
kind = "pair"

[[deletion]]
kind = "users"
share = 0.01
choice = "most_active"
"#;

    fn told(text: &str) -> String {
        let error = Recipe::parse(text).expect_err("it is wrong").to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    }

    #[test]
    fn a_recipe_is_read_whole() {
        let recipe = Recipe::parse(GOOD).expect("it is right");
        assert_eq!(recipe.seeds, [1, 2]);
        assert_eq!(recipe.data.len(), 2);
        assert_eq!(recipe.deletion[1].label(), "1 % of users, most active");
        assert!(recipe.check_for_unlearning().is_ok());
    }

    #[test]
    fn what_is_unknown_is_named_with_its_line() {
        for (from, to, expected) in [
            (
                "\"stages\"",
                "\"magic\"",
                "line 17 of the recipe: unknown variant `magic`",
            ),
            ("\"ials\"", "\"svd\"", "unknown variant `svd`"),
            (
                "kind = \"pair\"",
                "kind = \"planet\"",
                "unknown variant `planet`",
            ),
            ("dim = 8", "dimension = 8", "unknown field `dimension`"),
            ("seeds = [1, 2]", "sedes = [1, 2]", "unknown field `sedes`"),
            ("seeds = [1, 2]", "seeds = [1", "line"),
        ] {
            let text = GOOD.replace(from, to);
            assert!(told(&text).contains(expected), "{}", told(&text));
        }
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (from, to, expected) in [
            ("seeds = [1, 2]", "seeds = []", "seeds: give at least one"),
            ("seeds = [1, 2]", "seeds = [2, 2]", "2 is there twice"),
            ("share = 0.01", "share = 1.5", "share must be"),
            ("dim = 8", "dim = 0", "dim must be between"),
            (
                "name = \"ml-100k\"",
                "name = \"small\"",
                "small is there twice",
            ),
            ("users = 100", "users = 0", "at least 1"),
            (
                "[[method]]",
                "[measure]\nevery_epochs = 0\n\n[[method]]",
                "measure: every_epochs must be at least 1",
            ),
        ] {
            let text = GOOD.replace(from, to);
            assert!(told(&text).contains(expected), "{}", told(&text));
        }
    }

    /// Fingerprints of runs are made of this text: another one would make every kept run stale.
    #[test]
    fn what_is_asked_of_accuracy_is_not_written_for_unlearning() {
        let text = GOOD.replace("[[method]]", "[measure]\nevery_epochs = 5\n\n[[method]]");
        let asked = Recipe::parse(&text).expect("it is right").measure;
        assert_eq!(asked.every_epochs, Some(5));
        for measure in [MeasureOptions::default(), asked.of_unlearning()] {
            assert_eq!(
                serde_json::to_string(&measure).expect("JSON"),
                r#"{"users_max":10000,"curve_users_max":1000}"#
            );
        }
    }

    /// Every recipe that comes with the program can be read.
    #[test]
    fn the_recipes_at_hand_are_right() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/eval");
        let entries = std::fs::read_dir(folder).expect("the folder is there");
        let recipes = entries.map(|entry| Recipe::read(&entry.expect("an entry").path()));
        let read: Result<Vec<Recipe>, RecipeError> = recipes.collect();
        assert!(read.expect("all are right").len() >= 5);
    }

    #[test]
    fn slugs_are_names_of_files() {
        assert_eq!(slug("1 % of users, most active"), "1-of-users-most-active");
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("iALS d=64 λ=0.02"), "ials-d-64-0.02");
    }

    #[test]
    fn the_proximal_term_is_read_by_its_former_key_too() {
        let recipe = |key: &str| {
            Recipe::parse(&format!(
                "name = 'x'\n[[data]]\nname = 'd'\n[[model]]\nkind = 'neumf'\n\
                 [[method]]\nkind = 'lbfgs'\nsteps = 3\n{key} = 0.5"
            ))
            .expect("a recipe")
        };
        assert_eq!(recipe("hold"), recipe("proximal"));
        assert_eq!(recipe("hold").method[0].proximal(), Some(0.5));
    }
}
