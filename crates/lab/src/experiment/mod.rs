//! Unlearning methods side by side: recipes, the runs they ask for, and the report.
//!
//! A [`Recipe`] names data sets, models, methods, deletions and seeds. A **trial** is a model trained
//! on everything and a deletion; each of its **arms** is something done about the deletion, and a
//! [`RunRecord`] keeps how the result compares with a model retrained without the deleted data.
//! [`run`] trains every model once, keeps each record in a file of its own, and leaves the records that
//! are there already alone; [`html`] draws what was found. The measures are those of [`recant_eval`];
//! docs/experiments.md defines all of it.

mod accuracy;
mod data_set;
mod deletion;
mod measure;
mod memory;
mod recipe;
mod report;
mod results;
mod run_record;
mod runner;
mod summary;
mod unlearner;
mod watch;

pub use accuracy::{AccuracyError, AccuracyPoint, AccuracyProgress, ModelAccuracy, accuracy};
pub use data_set::{DataError, Source};
pub use recipe::{
    DealingSpec, DeletionSpec, IalsSpec, MeasureOptions, MethodSpec, ModelSpec, NeuralSpec,
    ReachSpec, Recipe, RecipeError, SolverSpec, SourceSpec, SplitSpec, SyntheticSpec, TrainingSpec,
    UserChoice,
};
pub use report::{REPORT_FILE_NAME, html};
pub use results::{DataSummary, RESULTS_FILE_NAME, Results};
pub use run_record::{Arm, Checkpoint, Measured, Membership, Outcome, RunKey, RunRecord};
pub use runner::{RunError, RunProgress, run};
pub use summary::{
    COLUMNS, Column, Comparison, Line, Run, Section, Spread, View, comparisons, figure,
};
pub use watch::CurvePoint;
