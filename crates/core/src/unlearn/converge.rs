//! Sweeps until the certificate meets its target, or says why it cannot.

use std::ops::ControlFlow;

use crate::control::ShouldStop;
use crate::model::ials::Ials;
use crate::model::interactions::InteractionMatrix;
use crate::optim::als::{self, CholeskyCache, SweepReport, TrainingError, TrainingReport};
use crate::unlearn::duality_gap::{
    Direction, DualityGap, GapEvaluation, GapOptions, TrackedRitzVectors, count_descent_directions,
    duality_gap_unless, evaluate_gap_unless,
};
use crate::unlearn::rank::{RankReport, rebalance};

/// The residual wanted before the first evaluation of the certificate when there was none at a model like this: it tells
/// early which columns the model lacks.
const FIRST_RESIDUAL: f64 = 1e-5;

/// The next residual is chosen so that the target is met with this much to spare, and lies between
/// these shares of the present one.
const TARGET_SHARE: f64 = 0.7;
const NEXT_SHARES: (f64, f64) = (0.02, 0.5);

/// Sweeps that did not reach their tolerance are interrupted after so many, for the weak columns,
/// and then after twice as many each time: an interruption costs the acceleration its memory.
const SWEEPS_TO_REBALANCE: usize = 25;

/// The residual below which f64 sums over a large model say nothing any more.
const RESIDUAL_LEAST: f64 = 1e-12;

/// Times the ceiling of d columns may push a direction out again before it is believed to bind.
const CEILING_PATIENCE: usize = 3;

/// Directions over the limit, outside what all d columns carry, from which on the ceiling binds:
/// where it does there are dozens; where it does not, spare columns take them up within some sweeps.
pub(super) const CEILING_DIRECTIONS: usize = 8;

/// Share of a certificate's target that the live model is refined to: the bound says nothing of a
/// single score, and half a dozen sweeps more are worth what they do for the largest difference.
pub const REFINED_SHARE: f64 = 0.7;

/// What to reach.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Bound on the root mean square of `X − X*` over all pairs.
    pub root_mean_square: f64,
    /// The relative residual to reach besides.
    pub residual: f64,
    /// Sweeps after which it ends in any case.
    pub max_sweeps: usize,
    /// Seed of the certificate's random starts.
    pub seed: u64,
}

/// How it ended.
#[derive(Debug, Clone)]
pub struct Convergence {
    /// The last measurement; its sweeps are those of all rounds.
    pub report: TrainingReport,
    /// The certificate of the model as it is now.
    pub gap: DualityGap,
    /// Whether the factors changed at all.
    pub changed: bool,
    /// Times that a column the model wanted found no room within d.
    pub rank_overflows: usize,
}

/// One evaluation of the certificate.
#[derive(Debug, Clone, Copy)]
pub struct CertificateEvaluation {
    /// Sweeps so far.
    pub sweeps: usize,
    /// The objective L(P,Q) at these factors.
    pub objective: f64,
    /// The relative residual.
    pub residual: f64,
    /// The bound on the root mean square; where `outside` was not worth computing, what it could be
    /// at best.
    pub root_mean_square: f64,
    /// What the complement was divided by; 1 is perfect.
    pub scale: f64,
    /// The largest singular value outside the directions treated exactly, over its limit.
    pub outside: Option<f64>,
    /// What became of the columns, when the goal was not reached.
    pub rank: Option<RankReport>,
}

/// Something to show while it runs.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// A sweep is done.
    Sweep(&'a SweepReport),
    /// The certificate was computed.
    Evaluation(&'a CertificateEvaluation),
}

/// What one run leaves for the next on nearly the same data: whatever is in it, the result is as
/// good, it only comes sooner.
#[derive(Debug)]
pub struct Warm {
    /// Factors of block matrices.
    pub cache: CholeskyCache,
    /// Directions near the dual limit.
    pub ritz_vectors: TrackedRitzVectors,
}

impl Warm {
    /// Nothing known yet; [`CholeskyCache`] may take `cache_bytes_max` bytes.
    pub fn new(cache_bytes_max: usize) -> Self {
        Self {
            cache: CholeskyCache::new(cache_bytes_max),
            ritz_vectors: TrackedRitzVectors::default(),
        }
    }

    /// What a refinement of a copy of the model begins with: the factors are shared, the directions
    /// go with it. Cost: a pointer a block.
    pub fn fork(&mut self) -> Self {
        Self {
            cache: self.cache.clone(),
            ritz_vectors: std::mem::take(&mut self.ritz_vectors),
        }
    }
}

/// Runs accelerated sweeps, evaluates the certificate, lets columns enter and leave, and goes on
/// until the goal is reached. `None` when `should_stop` turned true first or `observe` said so;
/// the model is consistent then.
///
/// Where `warm` knows of an evaluation before, the certificate comes first: after a small change a
/// local update has left a model that meets the target as it is, and no sweep is needed to say so.
pub fn converge(
    model: &mut Ials,
    matrix: &InteractionMatrix,
    warm: &mut Warm,
    goal: &Goal,
    should_stop: ShouldStop<'_>,
    observe: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
) -> Result<Option<Convergence>, TrainingError> {
    let mut report = TrainingReport {
        sweeps: 0,
        objective: f64::INFINITY,
        residual: f64::INFINITY,
        converged: false,
    };
    // Nothing may be left to do.
    let Some(measured) = model.measure_unless(matrix, should_stop) else {
        return Ok(None);
    };
    report.objective = measured.objective;
    report.residual = measured.residual;
    let is_known = !warm.ritz_vectors.is_empty();
    let tolerance = if !is_known {
        goal.residual.max(FIRST_RESIDUAL)
    } else if measured.residual <= goal.root_mean_square {
        measured.residual
    } else {
        // In all data seen, the bound is no less than the residual.
        goal.residual
    };
    let mut run = Run {
        model,
        matrix,
        warm,
        goal,
        should_stop,
        observe,
        report,
        tolerance: tolerance.max(RESIDUAL_LEAST),
        is_known,
        changed: false,
        turned: false,
        rank_overflows: 0,
    };
    let done = run.until_done();
    if run.turned && !matches!(done, Ok(Some(_))) {
        // Who gives a stopped run's model up must not go on with matrices of its coordinates.
        run.warm.cache.clear();
    }
    done
}

/// One run of [`converge`].
struct Run<'a> {
    model: &'a mut Ials,
    matrix: &'a InteractionMatrix,
    warm: &'a mut Warm,
    goal: &'a Goal,
    should_stop: ShouldStop<'a>,
    observe: &'a mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    report: TrainingReport,
    /// The residual to reach before the next evaluation.
    tolerance: f64,
    /// Whether a model like this one was evaluated before the run.
    is_known: bool,
    changed: bool,
    /// Whether the columns of the factors were turned.
    turned: bool,
    rank_overflows: usize,
}

impl Run<'_> {
    fn until_done(&mut self) -> Result<Option<Convergence>, TrainingError> {
        loop {
            if self.report.residual > self.tolerance && !self.sweep_to_tolerance()? {
                return Ok(None);
            }
            let mut spent = self.report.sweeps >= self.goal.max_sweeps
                || self.rank_overflows >= CEILING_PATIENCE;
            let stationary = self.report.residual <= RESIDUAL_LEAST;
            let Some(evaluation) = self.evaluate(spent || stationary) else {
                return Ok(None);
            };
            // Stationary with nothing to grow into: no sweep will change anything.
            spent |= stationary && evaluation.descent_directions().is_empty();
            let certified = match &evaluation {
                GapEvaluation::Bounded(gap) => gap.root_mean_square <= self.goal.root_mean_square,
                GapEvaluation::TargetUnreachable(_) => false,
            };
            match evaluation {
                GapEvaluation::Bounded(gap) if spent || (certified && self.is_converged()) => {
                    return Ok(self.finish(gap));
                }
                evaluation => {
                    if !self.prepare_next_round(&evaluation, certified) {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Whether a certified model needs no sweep more: the residual is what was asked for, or the
    /// certificate held as it was.
    fn is_converged(&self) -> bool {
        self.report.residual <= self.goal.residual || self.is_as_found()
    }

    /// Whether the model is still the one that came, like one that was evaluated before.
    fn is_as_found(&self) -> bool {
        self.is_known && !self.changed
    }

    /// Sweeps to the tolerance; false when it was stopped. Where that takes long, weak columns are
    /// most of what is left: their weights are found at once now and then.
    fn sweep_to_tolerance(&mut self) -> Result<bool, TrainingError> {
        let mut sweeps = SWEEPS_TO_REBALANCE;
        loop {
            if !self.sweep(sweeps)? {
                return Ok(false);
            }
            let reached = self.report.residual <= self.tolerance;
            if reached || self.report.sweeps >= self.goal.max_sweeps {
                return Ok(true);
            }
            if count_descent_directions(self.model, self.matrix, self.goal.seed)
                >= CEILING_DIRECTIONS
            {
                // The next evaluation says what is wanted; no sweep will bring it.
                self.rank_overflows = self.rank_overflows.max(CEILING_PATIENCE);
                return Ok(true);
            }
            self.rebalance(&[]);
            sweeps *= 2;
        }
    }

    /// Gives the columns their weights and new columns their place.
    fn rebalance(&mut self, descent_directions: &[Direction]) -> RankReport {
        self.warm.cache.clear();
        (self.changed, self.turned) = (true, true);
        rebalance(self.model, self.matrix, descent_directions)
    }

    /// At most `most` sweeps; false when it was stopped.
    fn sweep(&mut self, most: usize) -> Result<bool, TrainingError> {
        let done = self.report.sweeps;
        let left = self.goal.max_sweeps.saturating_sub(done).min(most);
        let mut stopped = false;
        let observe = &mut *self.observe;
        let refined = als::refine(
            self.model,
            self.matrix,
            &mut self.warm.cache,
            self.tolerance,
            left,
            self.should_stop,
            &mut |sweep| {
                let sweep = SweepReport {
                    sweep: done + sweep.sweep,
                    ..*sweep
                };
                let flow = observe(Progress::Sweep(&sweep));
                stopped = flow.is_break();
                flow
            },
        )?;
        let Some(refined) = refined.filter(|_| !stopped) else {
            return Ok(false);
        };
        self.report = TrainingReport {
            sweeps: done + refined.sweeps,
            ..refined
        };
        self.changed = true;
        Ok(true)
    }

    /// The certificate as far as it is worth computing: whole when this is the last evaluation.
    fn evaluate(&mut self, last: bool) -> Option<GapEvaluation> {
        let options = GapOptions {
            target: self.goal.root_mean_square,
            seed: self.goal.seed,
            is_expected: self.is_known,
            ..GapOptions::default()
        };
        let as_found = self.is_as_found();
        let (model, matrix, should_stop) = (&*self.model, self.matrix, self.should_stop);
        let tracked = &mut self.warm.ritz_vectors;
        if last {
            duality_gap_unless(model, matrix, &options, tracked, should_stop)
                .map(GapEvaluation::Bounded)
        } else {
            evaluate_gap_unless(model, matrix, &options, tracked, as_found, should_stop)
        }
    }

    /// Prepares the next round; false when it is to stop.
    fn prepare_next_round(&mut self, evaluation: &GapEvaluation, certified: bool) -> bool {
        if (self.should_stop)() {
            return false;
        }
        let mut evaluation_report = match evaluation {
            GapEvaluation::Bounded(gap) => self.evaluation_report(gap, Some(gap.complement)),
            GapEvaluation::TargetUnreachable(at_best) => self.evaluation_report(at_best, None),
        };
        let residual = self.report.residual;
        // What a few sweeps will do is left to them.
        let to_be_swept = self.is_as_found() && residual > self.goal.residual;
        if !certified && !to_be_swept && matches!(evaluation, GapEvaluation::Bounded(_)) {
            let rank = self.rebalance(evaluation.descent_directions());
            self.rank_overflows += usize::from(rank.dropped_share > 0.0);
            evaluation_report.rank = Some(rank);
            // What entered is not stationary yet, whatever was measured before.
            self.report.residual = f64::INFINITY;
        }
        let next = if certified || to_be_swept {
            self.goal.residual
        } else if !evaluation.descent_directions().is_empty() {
            // What lies outside says nothing of the residual that is wanted.
            NEXT_SHARES.1 * residual
        } else {
            // The gap, and so the mean square, falls with the residual as long as nothing else
            // is left of it.
            let wanted =
                TARGET_SHARE * self.goal.root_mean_square / evaluation_report.root_mean_square;
            residual * wanted.clamp(NEXT_SHARES.0, NEXT_SHARES.1)
        };
        self.tolerance = next.max(RESIDUAL_LEAST);
        (self.observe)(Progress::Evaluation(&evaluation_report)).is_continue()
    }

    fn evaluation_report(&self, gap: &DualityGap, outside: Option<f64>) -> CertificateEvaluation {
        CertificateEvaluation {
            sweeps: self.report.sweeps,
            objective: self.report.objective,
            residual: self.report.residual,
            root_mean_square: gap.root_mean_square,
            scale: gap.scale,
            outside,
            rank: None,
        }
    }

    fn finish(&mut self, gap: DualityGap) -> Option<Convergence> {
        let mut report = self.report;
        report.converged = report.residual <= self.goal.residual;
        let evaluation_report = self.evaluation_report(&gap, Some(gap.complement));
        let stopped = (self.observe)(Progress::Evaluation(&evaluation_report)).is_break();
        (!stopped).then_some(Convergence {
            report,
            gap,
            changed: self.changed,
            rank_overflows: self.rank_overflows,
        })
    }
}
