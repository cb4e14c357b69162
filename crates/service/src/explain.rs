//! What is proven about one list of recommendations.
//!
//! The certificate bounds `‖X − X*‖_F ≤ B`, X the model's scores and X* those of the one minimiser
//! for the same data, which a retrain converges to. For one user, with `e = x_u − x*_u` and so
//! `‖e‖ ≤ B`:
//!
//! - each score is within B of its retrained value;
//! - the difference of two scores is within √2·B of its own, for `e_i − e_j ≤ √2·‖e‖`. So where
//!   every item of a set is more than √2·B above every other candidate, the retrained model has
//!   the same set on top.
//!
//! X is a matter of f64 factors; what is served are f32 factors made from them. Each value was
//! rounded once, which moves a score by at most `2.2·2⁻²⁴ Σ|p_k q_k|`. The scores are added up
//! anew here, in f64, for every candidate, so nothing depends on how the list was found.
//!
//! What a question adds to scores it adds to those of both models, which leaves their differences as they
//! are; what it pins comes first in both, and the proof is about what comes after. Diversity chooses from
//! a pool by how alike items are, and nothing bounds how far that is from its retrained value: only the pool
//! is proven, as a set.

use std::f64::consts::SQRT_2;

use crate::arrange::{Arranged, List};
use crate::snapshot::{Quality, Snapshot};
use crate::source::Source;
use recant_types::Certificate;

/// Share of `Σ|p_k q_k|` by which a score moves when both factors are rounded to f32: twice the
/// unit roundoff 2⁻²⁴ and its square; the rest is room for sums of up to 1024 terms in f64.
const NARROWING: f64 = 2.2 / (1u64 << 24) as f64;

/// What a value too small for f32's normal range may lose, 2⁻¹⁵⁰, doubled and doubled again.
const UNDERFLOW: f64 = f64::from_bits((1023 - 148) << 52);

/// Unit roundoff of f32, and room for its higher orders: sums in f32, in any order, of d products
/// are off by at most d of it, as a share of the sum of absolute values.
const F32_ROUNDOFF: f64 = 1.001 / (1u64 << 24) as f64;

/// Room for rounding in the few operations that lead from the certificate to the margin needed.
const MARGIN_ALLOWANCE: f64 = 1e-12;

/// What is proven about a list, and why no more.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The certificate of exactly the version that answered.
    pub certificate: Option<Certificate>,
    /// The version of the last certificate there is.
    pub certificate_version: Option<u64>,
    /// No score of this user, as served, is farther from its retrained value than this.
    pub score_bound: Option<f64>,
    /// The least score of the list, or of the pool where that is longer, less the largest of any candidate
    /// outside it; what is pinned is neither. `None` when there is none outside, or none inside.
    pub margin: Option<f64>,
    /// The margin from which on the set is proven.
    pub margin_needed: Option<f64>,
    /// Whether the retrained model gives the same set of items.
    pub top_k_proven: bool,
    /// The largest m such that the retrained model's first m items are the first m of this list,
    /// in some order.
    pub leading_set_proven: usize,
    /// The largest m such that the retrained model's first m items are the first m of this list, in
    /// this order.
    pub leading_positions_proven: usize,
    /// What is proven of the pool that diversity chose from.
    pub pool: Option<Pool>,
    /// What decided it.
    pub reason: Reason,
}

/// The best by their scores, of which diversity made a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// How many.
    pub size: usize,
    /// Whether the retrained model chooses from the same set of items.
    pub proven: bool,
}

/// What a proof, or its absence, comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The margin is large enough.
    Margin,
    /// The margin is too small for the bound.
    MarginTooSmall,
    /// Every candidate is in the list.
    EveryCandidateListed,
    /// Every item of the list is pinned.
    Pinned,
    /// The pool is proven, and the list is a part of it, chosen for diversity.
    ChosenFromPool,
    /// The list is one of interaction counts, which follow from the data without a model.
    Counts,
    /// The list is one of interaction counts, and those at its end are equal.
    CountsTied,
    /// A session's history is no row of the model, and the certificate speaks of its rows.
    Session,
    /// The live version is newer than its last certificate.
    NotCertifiedYet,
    /// The certificate was stored before the last start and is being computed anew.
    NotConfirmedYet,
    /// The certificate at hand is a measured residual.
    NoProof,
    /// The version has no certificate.
    NoCertificate,
}

impl Reason {
    /// One sentence for a person.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Margin => "the margin is more than the certified bound can move two scores apart",
            Self::MarginTooSmall => {
                "the margin is within what the certified bound allows: a lower certificate.target \
                 proves more lists"
            }
            Self::EveryCandidateListed => "there is no candidate outside the list",
            Self::Pinned => "every item of the list is pinned, which no model changes",
            Self::ChosenFromPool => {
                "the list is chosen for diversity from a pool: the pool is proven as a set, what is \
                 taken from it is not"
            }
            Self::Counts => "the list is one of interaction counts, which need no model",
            Self::CountsTied => {
                "the list is one of interaction counts, and the item after its end has as many as \
                 the last"
            }
            Self::Session => {
                "a session's history is no row of the model, and the certificate speaks of its rows"
            }
            Self::NotCertifiedYet => {
                "the live version is newer than the last certificate: the next one is on its way"
            }
            Self::NotConfirmedYet => {
                "the certificate was stored before the last start: it is being computed anew"
            }
            Self::NoProof => "the certificate is a measured residual, which proves no distance",
            Self::NoCertificate => "the model has no certificate yet",
        }
    }
}

/// The list that is to be explained.
pub(super) struct Served<'a> {
    /// Where it came from.
    pub(super) source: Source,
    /// The user's factors; none for a list of counts.
    pub(super) factors: Option<&'a [f32]>,
    /// The list, from its beginning.
    pub(super) list: &'a List,
    /// How it was arranged.
    pub(super) arranged: &'a Arranged,
}

impl Served<'_> {
    /// How many items of the list are pinned.
    fn pinned(&self) -> usize {
        self.list.pins.len().min(self.list.page.len())
    }

    /// Whether the first `length` of the list are a set that `scores` prove.
    fn is_proven(&self, scores: &Scores, length: usize, margin_needed: Option<f64>) -> bool {
        let Some(ranked) = length.checked_sub(self.pinned()).filter(|rest| *rest > 0) else {
            return length > 0 || scores.leading_set_is_proven(0, margin_needed);
        };
        // Within the pool the list is in another order than the scores.
        let is_by_score = self.list.pool.is_none_or(|pool| ranked >= pool);
        is_by_score && scores.leading_set_is_proven(ranked, margin_needed)
    }
}

impl Snapshot {
    /// Explains `served`; what is not pinned is the best of the rows that are a `candidate`. Cost:
    /// `2·items·d` multiply-adds.
    pub(super) fn explain(
        &self,
        served: &Served<'_>,
        candidate: impl Fn(u32) -> bool,
    ) -> Explanation {
        let scores = self.scores_of(served, candidate);
        let ranked = &served.list.ranked;
        let (bound, without) = match served.source {
            Source::Popular => (Some(0.0), Reason::CountsTied),
            Source::FoldIn => (None, Reason::Session),
            Source::Model => match self.quality.bound_at(self.version) {
                Ok(bound) => (Some(bound), Reason::MarginTooSmall),
                Err(reason) => (None, reason),
            },
        };
        let of_version = self.quality.measured_version == Some(self.version);
        let certificate = self.quality.certificate.clone();
        let certificate_version = certificate.as_ref().and(self.quality.measured_version);
        let margin_needed = bound.map(|bound| margin_needed(bound, scores.narrowing));
        let proven = |length: usize| served.is_proven(&scores, length, margin_needed);
        let length = served.list.page.len();
        let top_k_proven = proven(length);
        let pool = served.list.pool.map(|size| Pool {
            size,
            proven: scores.leading_set_is_proven(size, margin_needed),
        });
        Explanation {
            certificate: certificate.filter(|_| of_version),
            certificate_version,
            score_bound: bound.map(|bound| {
                let dim = served.factors.map_or(0, <[f32]>::len);
                let roundings = dim + usize::from(served.arranged.has_boosts());
                bound + scores.narrowing + roundings as f64 * F32_ROUNDOFF * scores.absolute
            }),
            margin: scores.margin(ranked.len()),
            margin_needed,
            top_k_proven,
            leading_set_proven: (1..=length).rev().find(|m| proven(*m)).unwrap_or(0),
            leading_positions_proven: (1..=length).take_while(|m| proven(*m)).count(),
            pool,
            reason: match (top_k_proven, scores.outside.is_none(), served.source) {
                (true, ..) if length > 0 && length == served.pinned() => Reason::Pinned,
                (true, true, _) => Reason::EveryCandidateListed,
                (true, false, Source::Popular) => Reason::Counts,
                (true, false, _) => Reason::Margin,
                (false, ..) if pool.is_some_and(|pool| pool.proven) => Reason::ChosenFromPool,
                (false, ..) => without,
            },
        }
    }

    /// The scores of what was served and of every candidate, added up anew.
    fn scores_of(&self, served: &Served<'_>, candidate: impl Fn(u32) -> bool) -> Scores {
        let candidates = (0..self.item_factors.rows() as u32).filter(|row| candidate(*row));
        let boosted = |row: u32, score: Score| match served.arranged.boost(row) {
            Some(boost) => score.plus(boost),
            None => score,
        };
        let List { ranked, pins, .. } = served.list;
        match (served.factors, self.scoring_network()) {
            (Some(factors), Some(network)) => {
                let table = network.scores(factors, &self.item_factors);
                let score = |row: u32| Score::exact(f64::from(table[row as usize]));
                Scores::of(ranked, candidates, pins, |row| boosted(row, score(row)))
            }
            (Some(factors), None) => {
                let score = |row| Score::of(factors, self.item_factors.row(row));
                Scores::of(ranked, candidates, pins, |row| boosted(row, score(row)))
            }
            (None, _) => {
                let score = |row| Score::exact(f64::from(self.popular.count(row)));
                Scores::of(ranked, candidates, pins, |row| boosted(row, score(row)))
            }
        }
    }
}

impl Quality {
    /// The bound on ‖X − X*‖_F that is proven for the factors of `version`, or why there is none.
    fn bound_at(&self, version: u64) -> Result<f64, Reason> {
        let certificate = self.certificate.as_ref().ok_or(Reason::NoCertificate)?;
        let frobenius = certificate.frobenius().ok_or(Reason::NoProof)?;
        if self.measured_version != Some(version) {
            return Err(Reason::NotCertifiedYet);
        }
        if !self.confirmed {
            return Err(Reason::NotConfirmedYet);
        }
        Ok(frobenius)
    }
}

/// The margin of served scores, in f64, above which an order is that of the retrained model.
fn margin_needed(bound: f64, narrowing: f64) -> f64 {
    (SQRT_2 * bound + 2.0 * narrowing) * (1.0 + MARGIN_ALLOWANCE)
}

/// One score of the served factors, and how far it may be from that of the trainer's.
#[derive(Debug, Clone, Copy)]
struct Score {
    value: f64,
    /// Bound on the change by rounding the factors to f32.
    narrowing: f64,
    /// `Σ|p_k q_k|`.
    absolute: f64,
}

impl Score {
    fn of(factors: &[f32], row: &[f32]) -> Self {
        let (mut value, mut absolute, mut sizes) = (0.0, 0.0, 0.0);
        for (p, q) in factors.iter().zip(row) {
            let (p, q) = (f64::from(*p), f64::from(*q));
            value += p * q;
            absolute += (p * q).abs();
            sizes += p.abs() + q.abs();
        }
        Self {
            value,
            narrowing: NARROWING * absolute + UNDERFLOW * (sizes + 1.0),
            absolute,
        }
    }

    /// The score with `boost` added to it, which is rounded once.
    fn plus(self, boost: f64) -> Self {
        let size = self.value.abs() + boost.abs();
        Self {
            value: self.value + boost,
            narrowing: self.narrowing + f64::EPSILON * size,
            absolute: self.absolute.max(self.value.abs()) + boost.abs(),
        }
    }

    fn exact(value: f64) -> Self {
        Self {
            value,
            narrowing: 0.0,
            absolute: 0.0,
        }
    }
}

/// The scores of a list and what stands against it.
struct Scores {
    /// Least score of the first m + 1 of the list.
    least: Vec<f64>,
    /// Largest score of the list from m on.
    largest_from: Vec<f64>,
    /// Largest score of a candidate that is not listed.
    outside: Option<f64>,
    /// Largest over all of them.
    narrowing: f64,
    absolute: f64,
}

impl Scores {
    /// Of `listed`, against the other `candidates`; those `besides` are served too.
    fn of(
        listed: &[u32],
        candidates: impl Iterator<Item = u32>,
        besides: &[u32],
        score: impl Fn(u32) -> Score,
    ) -> Self {
        let mut sorted = listed.to_vec();
        sorted.sort_unstable();
        let (mut narrowing, mut absolute) = (0.0, 0.0);
        let mut largest = |score: Score| {
            // No number at all must not be overlooked: it proves nothing.
            narrowing = larger(narrowing, score.narrowing);
            absolute = larger(absolute, score.absolute);
            score.value
        };
        for row in besides {
            largest(score(*row));
        }
        let inside: Vec<f64> = listed.iter().map(|row| largest(score(*row))).collect();
        let outside = candidates
            .filter(|row| sorted.binary_search(row).is_err())
            .map(|row| largest(score(row)))
            .reduce(larger);
        let mut least = inside.clone();
        for at in 1..least.len() {
            least[at] = smaller(least[at], least[at - 1]);
        }
        let mut largest_from = inside;
        for at in (1..largest_from.len()).rev() {
            largest_from[at - 1] = larger(largest_from[at - 1], largest_from[at]);
        }
        Self {
            least,
            largest_from,
            outside,
            narrowing,
            absolute,
        }
    }

    /// How far the first `length` of the list are above every other candidate; `None` when there
    /// is none of the one or the other.
    fn margin(&self, length: usize) -> Option<f64> {
        let rest = self.largest_from.get(length).copied();
        let others = rest.into_iter().chain(self.outside).reduce(larger)?;
        let least = self.least.get(length.checked_sub(1)?)?;
        Some(least - others)
    }

    fn leading_set_is_proven(&self, length: usize, margin_needed: Option<f64>) -> bool {
        let nothing_else = length == self.least.len() && self.outside.is_none();
        let above = |needed| self.margin(length).is_some_and(|margin| margin > needed);
        nothing_else || margin_needed.is_some_and(above)
    }
}

/// The larger; no number when one of them is none.
fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// The smaller; no number when one of them is none.
fn smaller(a: f64, b: f64) -> f64 {
    if a <= b || a.is_nan() { a } else { b }
}
