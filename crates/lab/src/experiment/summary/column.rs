//! The figures of a comparison: what they are called and where they come from.

use super::view::View;
use crate::experiment::run_record::{Checkpoint, Membership};
use recant_eval::{Consistency, ControlKind, Group, HeldOutAccuracy, recovery};

/// What a figure is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// How like the retrained model.
    Consistency,
    /// What is found of the held-out items.
    Accuracy,
    /// Time and memory.
    Efficiency,
    /// Whether erased pairs can still be told.
    Membership,
}

impl Section {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [
        Self::Consistency,
        Self::Accuracy,
        Self::Efficiency,
        Self::Membership,
    ];

    /// Its heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Consistency => "Consistency with the retrained model",
            Self::Accuracy => "Accuracy on held-out interactions",
            Self::Efficiency => "Efficiency",
            Self::Membership => "Membership inference",
        }
    }

    /// Whether its figures depend on the group of users.
    pub fn is_by_group(self) -> bool {
        matches!(self, Self::Consistency | Self::Accuracy)
    }
}

/// A figure.
pub struct Column {
    /// What tables call it.
    pub name: &'static str,
    /// What it is about.
    pub section: Section,
    /// What it is, in a few words.
    pub meaning: &'static str,
    value: fn(&View<'_>) -> Option<f64>,
}

impl Column {
    /// The figure of one run.
    pub fn value(&self, view: &View<'_>) -> Option<f64> {
        (self.value)(view).filter(|value| value.is_finite())
    }

    /// The column of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn named(name: &str) -> &'static Self {
        let found = COLUMNS.iter().find(|column| column.name == name);
        found.expect("the name of a column")
    }
}

const fn column(
    name: &'static str,
    section: Section,
    meaning: &'static str,
    value: fn(&View<'_>) -> Option<f64>,
) -> Column {
    Column {
        name,
        section,
        meaning,
        value,
    }
}

/// Every figure of the tables, in order.
pub static COLUMNS: [Column; 26] = [
    column(
        "distance",
        Section::Consistency,
        "‖X − Y‖_F / ‖Y‖_F",
        |view| own(view).relative_frobenius,
    ),
    column(
        "recovery",
        Section::Consistency,
        "1 − distance / distance when nothing is done",
        |view| {
            let nothing = consistency(view.nothing?, view.group).relative_frobenius?;
            recovery(own(view).relative_frobenius?, nothing)
        },
    ),
    column(
        "largest",
        Section::Consistency,
        "largest difference of two scores",
        |view| Some(own(view).largest),
    ),
    column(
        "Jaccard@10",
        Section::Consistency,
        "of the ten best unseen items",
        |view| own(view).jaccard_at_10,
    ),
    column(
        "KL",
        Section::Consistency,
        "of softmaxed scores, nats",
        |view| own(view).kullback_leibler,
    ),
    column(
        "JS",
        Section::Consistency,
        "of softmaxed scores, nats",
        |view| own(view).jensen_shannon,
    ),
    column(
        "Spearman",
        Section::Consistency,
        "of all items' scores",
        |view| own(view).spearman,
    ),
    column(
        "Kendall",
        Section::Consistency,
        "τ-b of all items' scores",
        |view| own(view).kendall,
    ),
    column(
        "HR@10",
        Section::Accuracy,
        "users with a hit among ten",
        |view| accuracy(view).hit_rate_at_10,
    ),
    column("NDCG@10", Section::Accuracy, "of ten", |view| {
        accuracy(view).ndcg_at_10
    }),
    column("NDCG@20", Section::Accuracy, "of twenty", |view| {
        accuracy(view).ndcg_at_20
    }),
    column(
        "Recall@20",
        Section::Accuracy,
        "hits / min(20, held out)",
        |view| accuracy(view).recall_at_20,
    ),
    column(
        "NDCG@20 change",
        Section::Accuracy,
        "NDCG@20 / that of the retrained model − 1",
        |view| {
            let wanted = view.reference?.accuracy.get(view.group).ndcg_at_20?;
            (wanted > 0.0).then_some(accuracy(view).ndcg_at_20? / wanted - 1.0)
        },
    ),
    column(
        "seconds",
        Section::Efficiency,
        "from the deletion to the model",
        |view| Some(view.own.seconds),
    ),
    column(
        "× faster",
        Section::Efficiency,
        "time of a usual retrain / time",
        |view| {
            let retrain = view.retrain?.seconds;
            (view.own.seconds > 0.0).then(|| retrain / view.own.seconds)
        },
    ),
    column(
        "s to the floor",
        Section::Efficiency,
        "until the distance is that of two retrains",
        |view| view.seconds_to(distance(view.retrain?)?),
    ),
    column(
        "s to 1/2",
        Section::Efficiency,
        "until the distance is half of that when nothing is done",
        |view| view.seconds_to(0.5 * distance(view.nothing?)?),
    ),
    column("s to 1/4", Section::Efficiency, "a quarter", |view| {
        view.seconds_to(0.25 * distance(view.nothing?)?)
    }),
    column("s to 1/10", Section::Efficiency, "a tenth", |view| {
        view.seconds_to(0.1 * distance(view.nothing?)?)
    }),
    column(
        "peak MiB",
        Section::Efficiency,
        "resident memory of the whole process",
        |view| Some(view.measured.peak_memory_bytes? as f64 / f64::from(1 << 20)),
    ),
    column(
        "AUC, held out",
        Section::Membership,
        "erased against held-out pairs",
        |view| attack(view, ControlKind::HeldOut)?.area_under_curve,
    ),
    column(
        "… − retrained",
        Section::Membership,
        "the same, less that of the retrained model",
        |view| {
            let attack = attack(view, ControlKind::HeldOut)?;
            Some(attack.area_under_curve? - attack.area_of_reference?)
        },
    ),
    column(
        "TPR at 1 %",
        Section::Membership,
        "at 1 % false positives, held-out pairs",
        |view| attack(view, ControlKind::HeldOut)?.true_positive_rate,
    ),
    column(
        "AUC, non-interactions",
        Section::Membership,
        "erased against pairs that never were",
        |view| attack(view, ControlKind::NonInteractions)?.area_under_curve,
    ),
    column(
        "… − retrained ",
        Section::Membership,
        "the same, less that of the retrained model",
        |view| {
            let attack = attack(view, ControlKind::NonInteractions)?;
            Some(attack.area_under_curve? - attack.area_of_reference?)
        },
    ),
    column(
        "pairs",
        Section::Membership,
        "erased pairs with a held-out control",
        |view| Some(attack(view, ControlKind::HeldOut)?.pairs as f64),
    ),
];

fn consistency(checkpoint: &Checkpoint, group: Group) -> &Consistency {
    checkpoint.consistency.get(group)
}

/// The relative distance over all users, which curves are of.
fn distance(checkpoint: &Checkpoint) -> Option<f64> {
    checkpoint.consistency.all.relative_frobenius
}

fn own<'a>(view: &View<'a>) -> &'a Consistency {
    consistency(view.own, view.group)
}

fn accuracy<'a>(view: &View<'a>) -> &'a HeldOutAccuracy {
    view.own.accuracy.get(view.group)
}

fn attack<'a>(view: &View<'a>, kind: ControlKind) -> Option<&'a Membership> {
    let attacks = &view.own.membership;
    attacks.iter().find(|attack| attack.controls == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different() {
        for (at, column) in COLUMNS.iter().enumerate() {
            assert!(COLUMNS[..at].iter().all(|other| other.name != column.name));
            assert_eq!(Column::named(column.name).meaning, column.meaning);
        }
    }
}
