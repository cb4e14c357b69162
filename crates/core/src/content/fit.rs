//! The map from descriptions to factors, and how strongly it is held to zero.

use std::fmt;
use std::sync::Arc;

use crate::content::features::FeatureSpace;
use crate::content::ridge::{Problem, solve};
use crate::content::sparse::SparseRows;
use crate::control::ShouldStop;
use recant_types::ItemDescription;

/// With fewer described items nothing is fitted: what a feature means cannot be told apart from which item
/// has it.
pub const ITEMS_MIN: usize = 10;

/// Strengths of the penalty that are tried, from the strongest.
const STRENGTHS: [f64; 7] = [300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3];

/// One in so many items is set aside to choose among them.
const HELD_OUT_SHARE: usize = 5;

/// How closely the equations are solved, as a share of the right-hand side: to choose, and in the end.
const CHOICE_TOLERANCE: f64 = 1e-3;
const TOLERANCE: f64 = 1e-8;

/// Gives an item factors by what is said about it. `Debug` shows nothing of what is said.
#[derive(Clone)]
pub struct ContentModel {
    space: FeatureSpace,
    /// Features × d.
    weights: Vec<f64>,
    dim: usize,
    rho: f64,
}

impl fmt::Debug for ContentModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentModel")
            .field("space", &self.space)
            .field("dim", &self.dim)
            .field("rho", &self.rho)
            .finish_non_exhaustive()
    }
}

impl ContentModel {
    /// The map that fits `factors`, d of each of the described items one behind the other; `None` when these
    /// are fewer than [`ITEMS_MIN`] or have no feature, or when `stopped` says so.
    ///
    /// ρ is the one of seven from 0.3 to 300 whose map, fitted to four fifths of the items, is closest to the factors of
    /// the others. The same items in the same order give the same map. Cost: of each ρ, and once more, some
    /// dozen steps of twice d multiply-adds for each feature that an item has; single-threaded.
    ///
    /// # Panics
    /// When there are not d factors for each item.
    pub fn fit(
        described: &[Arc<ItemDescription>],
        factors: &[f64],
        dim: usize,
        stopped: ShouldStop<'_>,
    ) -> Option<Self> {
        assert_eq!(factors.len(), described.len() * dim, "a row for each item");
        let space = FeatureSpace::of(described.iter().map(Arc::as_ref));
        if described.len() < ITEMS_MIN || space.is_empty() {
            return None;
        }
        let rows: Vec<Vec<(u32, f64)>> =
            described.iter().map(|said| space.features(said)).collect();
        let targets = factors.chunks_exact(dim);
        let all: Vec<Item<'_>> = rows.iter().map(Vec::as_slice).zip(targets).collect();
        let (rho, start) = choose(&all, space.len(), dim, stopped)?;
        let (features, targets) = gathered(all.into_iter(), space.len());
        let problem = Problem {
            features: &features,
            targets: &targets,
            dim,
            rho,
        };
        let weights = solve(&problem, start, TOLERANCE, stopped)?;
        let is_finite = weights.iter().all(|weight| weight.is_finite());
        is_finite.then_some(Self {
            space,
            weights,
            dim,
            rho,
        })
    }

    /// The factors of an item of which this is said; `None` when nothing of it is a feature. Cost: d
    /// multiply-adds for each feature.
    pub fn predict(&self, said: &ItemDescription) -> Option<Vec<f32>> {
        let features = self.space.features(said);
        if features.len() < 2 {
            return None;
        }
        let row = predicted(&self.weights, &features, self.dim);
        let row: Vec<f32> = row.into_iter().map(|value| value as f32).collect();
        row.iter().all(|value| value.is_finite()).then_some(row)
    }

    /// The strength of the penalty, ρ.
    pub fn rho(&self) -> f64 {
        self.rho
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.space.len()
    }
}

/// Features of an item and its factors.
type Item<'a> = (&'a [(u32, f64)], &'a [f64]);

/// The best strength by items that are set aside, with the weights found for it.
fn choose(
    items: &[Item<'_>],
    columns: usize,
    dim: usize,
    stopped: ShouldStop<'_>,
) -> Option<(f64, Vec<f64>)> {
    let numbered = || items.iter().copied().enumerate();
    let kept = numbered().filter(|(at, _)| at % HELD_OUT_SHARE != 0);
    let (features, targets) = gathered(kept.map(|(_, item)| item), columns);
    let mut weights = vec![0.0; columns * dim];
    let mut best: Option<(f64, f64, Vec<f64>)> = None;
    for rho in STRENGTHS {
        let problem = Problem {
            features: &features,
            targets: &targets,
            dim,
            rho,
        };
        // From the weights of a stronger penalty it is not far to those of the next.
        weights = solve(&problem, weights, CHOICE_TOLERANCE, stopped)?;
        let held_out = numbered().filter(|(at, _)| at % HELD_OUT_SHARE == 0);
        let error: f64 = held_out
            .map(|(_, (features, factors))| {
                let row = predicted(&weights, features, dim);
                let differences = row.iter().zip(factors).map(|(a, b)| a - b);
                differences
                    .map(|difference| difference * difference)
                    .sum::<f64>()
            })
            .sum();
        if best.as_ref().is_none_or(|(least, ..)| error < *least) {
            best = Some((error, rho, weights.clone()));
        }
    }
    best.map(|(_, rho, weights)| (rho, weights))
}

fn gathered<'a>(items: impl Iterator<Item = Item<'a>>, columns: usize) -> (SparseRows, Vec<f64>) {
    let (mut rows, mut targets) = (SparseRows::new(columns), Vec::new());
    for (features, factors) in items {
        rows.push(features.iter().copied());
        targets.extend_from_slice(factors);
    }
    (rows, targets)
}

fn predicted(weights: &[f64], features: &[(u32, f64)], dim: usize) -> Vec<f64> {
    let mut row = vec![0.0; dim];
    for (column, value) in features {
        let at = *column as usize * dim;
        for (sum, weight) in row.iter_mut().zip(&weights[at..at + dim]) {
            *sum += value * weight;
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use recant_types::ItemId;

    use super::*;
    use crate::never;

    fn tagged(id: usize, tags: &[&str]) -> Arc<ItemDescription> {
        let mut said = ItemDescription::of(ItemId::new(&format!("i{id}")).expect("an id"));
        said.set_tags(tags.iter().map(|tag| Arc::from(*tag)));
        Arc::new(said)
    }

    /// Items with one of two tags, or both, whose factors are what their tags add up to.
    fn catalogue(items: usize) -> (Vec<Arc<ItemDescription>>, Vec<f64>) {
        let kinds: [(&[&str], [f64; 2]); 3] = [
            (&["a"], [1.0, 0.0]),
            (&["b"], [0.0, 2.0]),
            (&["a", "b"], [1.0, 2.0]),
        ];
        let of = |item: usize| kinds[item % 3];
        let said = (0..items).map(|item| tagged(item, of(item).0)).collect();
        (said, (0..items).flat_map(|item| of(item).1).collect())
    }

    #[test]
    fn a_new_item_gets_what_items_like_it_have() {
        let (said, factors) = catalogue(300);
        let model = ContentModel::fit(&said, &factors, 2, &never).expect("enough items");
        assert_eq!((model.features(), model.rho()), (3, 0.3));
        let row = model.predict(&tagged(999, &["a"])).expect("a known tag");
        assert!(
            (row[0] - 1.0).abs() < 0.02 && row[1].abs() < 0.02,
            "{row:?}"
        );
        assert_eq!(model.predict(&tagged(999, &["c"])), None);
        let again = ContentModel::fit(&said, &factors, 2, &never).expect("enough items");
        assert_eq!(model.weights, again.weights);
    }

    #[test]
    fn too_little_is_not_fitted() {
        let (said, factors) = catalogue(ITEMS_MIN - 1);
        assert!(ContentModel::fit(&said, &factors, 2, &never).is_none());
        let untagged: Vec<_> = (0..20).map(|item| tagged(item, &[])).collect();
        assert!(ContentModel::fit(&untagged, &[0.5; 40], 2, &never).is_none());
        let (said, factors) = catalogue(30);
        assert!(ContentModel::fit(&said, &factors, 2, &|| true).is_none());
    }

    #[test]
    fn factors_that_features_do_not_explain_are_held_to_their_mean() {
        let tag = |item: usize| format!("t{}", item / 2);
        let said: Vec<_> = (0..100).map(|item| tagged(item, &[&tag(item)])).collect();
        // The two items of a tag are opposites.
        let factors: Vec<f64> = (0..100).map(|item| [2.0, 0.0][item % 2]).collect();
        let model = ContentModel::fit(&said, &factors, 1, &never).expect("enough items");
        assert_eq!(model.rho(), STRENGTHS[0]);
        let row = model.predict(&said[0]).expect("a known tag");
        assert!((row[0] - 1.0).abs() < 0.02, "{row:?}");
    }
}
