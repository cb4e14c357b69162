//! The record of one finished run, and the file it is kept in.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::data_set::hex;
use super::recipe::{DeletionSpec, MeasureOptions, MethodSpec, ModelSpec, slug};
use super::watch::CurvePoint;
use recant_eval::{Consistency, ControlKind, HeldOutAccuracy, PerGroup};

/// Changes with everything that changes what a run's figures mean.
const FORMAT: u32 = 1;

/// What is done about a deletion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Arm {
    /// The retrained model that every other is compared with.
    Reference,
    /// Another retrain, from another seed: the noise floor.
    Retrain,
    /// Another retrain from the same initial parameters, with other negatives in another order: what
    /// a model that is not convex makes of chance alone.
    RetrainSameStart,
    /// Another retrain from other initial parameters, with the same negatives in the same order: what
    /// the start alone makes.
    RetrainSameExamples,
    /// Nothing: the ceiling.
    Nothing,
    /// A method under test.
    Method(MethodSpec),
}

impl Arm {
    /// What tables call it.
    pub fn label(&self) -> String {
        match self {
            Self::Reference => "retrained (reference)".to_owned(),
            Self::Retrain => "retrained, other seed".to_owned(),
            Self::RetrainSameStart => "retrained, same start".to_owned(),
            Self::RetrainSameExamples => "retrained, same negatives".to_owned(),
            Self::Nothing => "nothing done".to_owned(),
            Self::Method(method) => method.label(),
        }
    }
}

/// What identifies a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunKey {
    /// Name of the data set.
    pub data: String,
    /// Identifies its content and split.
    pub data_fingerprint: String,
    /// The model.
    pub model: ModelSpec,
    /// The deletion.
    pub deletion: DeletionSpec,
    /// What is done about it.
    #[serde(rename = "approach", alias = "arm")]
    pub arm: Arm,
    /// The seed.
    pub seed: u64,
    /// How models are compared.
    pub measure: MeasureOptions,
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Identifies key and format.
    pub fingerprint: String,
    /// Which combination.
    pub key: RunKey,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a combination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// It was carried out.
    Measured(Measured),
    /// It could not be: the reason.
    Failed(String),
}

/// What was measured of a combination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Comparisons with the retrained model; one, or one for each checkpoint of a sequence.
    pub checkpoints: Vec<Checkpoint>,
    /// How near the method was along the way, for deletions that are no sequences.
    pub curve: Vec<CurvePoint>,
    /// Largest resident memory of the whole process while the method ran.
    pub peak_memory_bytes: Option<u64>,
}

/// A comparison with the model retrained on what was left at that point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Deletions so far.
    pub deletions: usize,
    /// Pairs deleted so far.
    pub pairs: usize,
    /// Time of the method so far.
    pub seconds: f64,
    /// How like the retrained model it is.
    pub consistency: PerGroup<Consistency>,
    /// What it finds of the held-out items.
    pub accuracy: PerGroup<HeldOutAccuracy>,
    /// Whether the erased pairs can be told from pairs never trained on.
    pub membership: Vec<Membership>,
}

/// A membership attack on the erased pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// What they are told from.
    pub controls: ControlKind,
    /// Erased pairs, and as many controls.
    pub pairs: usize,
    /// Area under the curve; `None` for too few pairs.
    pub area_under_curve: Option<f64>,
    /// True positives at 1 % false ones; `None` for too few pairs.
    pub true_positive_rate: Option<f64>,
    /// The area for the retrained model.
    pub area_of_reference: Option<f64>,
    /// The rate for the retrained model.
    pub rate_of_reference: Option<f64>,
}

impl RunKey {
    /// Identifies the key, the format of runs, and the version of the program.
    pub fn fingerprint(&self) -> Result<String, serde_json::Error> {
        let text = serde_json::to_string(&(FORMAT, env!("CARGO_PKG_VERSION"), self))?;
        Ok(hex(&Sha256::digest(text)))
    }

    /// The file a run is kept in, below the folder of runs.
    pub fn file_name(&self) -> String {
        let parts = [
            slug(&self.data),
            slug(&self.model.label()),
            slug(&self.deletion.label()),
            format!("seed-{}", self.seed),
            slug(&self.arm.label()),
        ];
        parts.join("--") + ".json"
    }
}

impl RunRecord {
    /// The run in `folder` that belongs to `key`; `None` when there is none, or only one of other
    /// settings, or one that cannot be read.
    pub fn read(folder: &Path, key: &RunKey) -> Option<Self> {
        let text = std::fs::read_to_string(folder.join(key.file_name())).ok()?;
        let record: Self = serde_json::from_str(&text).ok()?;
        let is_same = key.fingerprint().is_ok_and(|own| own == record.fingerprint);
        is_same.then_some(record)
    }

    /// Keeps the run in `folder`: all of it, or what was there before.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        write_whole(&folder.join(self.key.file_name()), text.as_bytes())
    }
}

/// Writes a file beside its place, syncs it and puts it there.
#[expect(
    clippy::disallowed_methods,
    reason = "experiments do not know the store"
)]
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = PathBuf::from(format!("{}.new", path.display()));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> RunKey {
        let recipe = super::super::recipe::Recipe::parse(
            "name = 'x'\n[[data]]\nname = 'd'\n[[model]]\nkind = 'ials'\n[[deletion]]\nkind = 'pair'",
        )
        .expect("a recipe");
        RunKey {
            data: recipe.data[0].name.clone(),
            data_fingerprint: "00".to_owned(),
            model: recipe.model[0].clone(),
            deletion: recipe.deletion[0].clone(),
            arm: Arm::Nothing,
            seed: 1,
            measure: recipe.measure,
        }
    }

    #[test]
    fn a_cell_comes_back_as_it_was_and_only_for_its_own_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = key();
        assert_eq!(RunRecord::read(folder.path(), &key), None);
        let record = RunRecord {
            fingerprint: key.fingerprint().expect("JSON"),
            key: key.clone(),
            outcome: Outcome::Failed("it diverged".to_owned()),
        };
        record.write(folder.path()).expect("it is written");
        assert_eq!(RunRecord::read(folder.path(), &key), Some(record));
        let other = RunKey {
            data_fingerprint: "01".to_owned(),
            ..key
        };
        assert_eq!(
            other.file_name(),
            "d--ials-d-64--one-pair--seed-1--nothing-done.json"
        );
        assert_eq!(RunRecord::read(folder.path(), &other), None);
    }

    #[test]
    fn half_a_file_is_no_cell() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = key();
        std::fs::write(folder.path().join(key.file_name()), "{\"fingerprint\":").expect("written");
        assert_eq!(RunRecord::read(folder.path(), &key), None);
    }

    /// The keys that files had before records and arms were called so; the fingerprint is made of them.
    #[test]
    fn a_record_keeps_the_keys_of_files_written_before_and_reads_the_present_words_too() {
        let record = RunRecord {
            fingerprint: "00".to_owned(),
            key: RunKey {
                arm: Arm::Method(MethodSpec::Lbfgs {
                    steps: 3,
                    proximal: Some(0.5),
                }),
                ..key()
            },
            outcome: Outcome::Failed("it diverged".to_owned()),
        };
        let text = serde_json::to_string(&record).expect("JSON");
        let arm = r#""approach":{"method":{"kind":"lbfgs","steps":3,"hold":0.5}}"#;
        assert!(text.contains(arm), "{text}");
        let renamed = text.replace("approach", "arm").replace("hold", "proximal");
        for text in [text, renamed] {
            let read: RunRecord = serde_json::from_str(&text).expect("a record");
            assert_eq!(read, record);
        }
    }
}
