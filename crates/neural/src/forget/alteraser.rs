//! AltEraser: second-order steps made affordable by splitting the problem into small ones.
//!
//! After the abstract of "Forgetting Fast in Recommender Systems" (arXiv 2208.06875); whatever the
//! abstract leaves open is ours. From the current model, alternate over three blocks: the rows of
//! users, the rows of items, the shared layers, each moved by a second-order solver while the other
//! two are frozen. The first round takes the rows that the erasure touched, the second their neighbours
//! too, and from the third on all rows and the layers.
//!
//! Rounds over everything are accelerated: Anderson's method combines the last ones, and what it says
//! is taken when the objective is no higher there than where the round ended before.
//!
//! Where rows do not depend on one another (no propagation, a pointwise loss) the Newton solver
//! goes row by row, with a dense matrix each; otherwise a block is solved as a whole, by Newton-CG
//! or L-BFGS.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::objective::Objective;
use crate::optimise::divergence::Divergence;
use crate::optimise::lbfgs::{LbfgsOptions, lbfgs};
use crate::optimise::newton_cg::{NewtonOptions, newton_cg};
use crate::optimise::rows::{RowOptions, is_separable, solve_rows};
use crate::optimise::selection::Selection;
use crate::parameters::{Block, Parameters};
use recant_core::model::{RowSets, Side};
use recant_core::optim::Anderson;
use recant_core::{Control, ShouldStop, continue_while};

/// Rows solved between two looks at the clock.
const ROWS_PER_TURN: usize = 32;

/// What solves a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockSolver {
    /// Newton's method: row by row where rows are separate, by conjugate gradients where not.
    NewtonCg,
    /// L-BFGS on the whole block.
    Lbfgs,
}

/// Which rows the first rounds take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// RowSets rows, then neighbours, then everything.
    Growing,
    /// RowSets rows only, in every round; the layers are frozen.
    Touched,
    /// Everything from the first round on.
    Everything,
}

/// How AltEraser works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AltEraserOptions {
    /// What solves a block.
    pub solver: BlockSolver,
    /// Which rows are taken.
    pub reach: Reach,
    /// Most rounds over the blocks.
    pub rounds_max: usize,
    /// Steps in one block and round.
    pub steps: usize,
    /// Curvature products in one step of Newton-CG.
    pub products: usize,
    /// Damping μ, per example.
    pub damping: f64,
    /// Rounds over everything that Anderson's acceleration looks back on; 0 for none.
    pub memory: usize,
    /// Ends when this has passed, once the first round is done; looked at between turns of a block.
    pub budget: Option<Duration>,
}

impl Default for AltEraserOptions {
    fn default() -> Self {
        Self {
            solver: BlockSolver::NewtonCg,
            reach: Reach::Growing,
            rounds_max: 5,
            steps: 1,
            products: 10,
            damping: 1e-3,
            memory: 5,
            budget: None,
        }
    }
}

/// How far AltEraser came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AltEraserReport {
    /// Rounds done, the last perhaps in part.
    pub rounds: usize,
    /// Blocks solved: rows where these are separate, sides and layers otherwise.
    pub blocks: usize,
    /// Rows that may have moved.
    pub moved: RowSets,
    /// Whether it ended before its last round: out of time, or cancelled.
    pub interrupted: bool,
}

/// How AltEraser is stopped, and shown the parameters after every round.
pub type AltEraserControl<'a> =
    Control<'a, dyn FnMut(&AltEraserReport, &Parameters) -> ControlFlow<()> + 'a>;

/// One run.
struct Run<'a> {
    objective: &'a Objective<'a>,
    options: &'a AltEraserOptions,
    cancelled: ShouldStop<'a>,
    began: Instant,
    report: AltEraserReport,
    acceleration: Option<Acceleration>,
}

/// The rounds that are combined, and the objective where the last of them ended.
struct Acceleration {
    rounds: Anderson,
    value: f64,
    /// Roots of the numbers of examples: what lengths are measured with.
    roots: Vec<f64>,
}

/// Moves `at`, the model before the change, towards the minimum of `objective`, that of the retained
/// data. `touched` are the rows whose examples changed; rows without examples must be zero already
/// ([`reconcile_rows`](crate::reconcile_rows)).
///
/// Asks between turns of a block whether it is cancelled; when it is, or the budget is used up, what
/// has been done stays. The observer sees the parameters after every round. Cost of a round over everything, for a separable model: for each example four
/// scores and w² multiply-adds in each side; for others: the steps' curvature products.
pub fn alt_eraser(
    objective: &Objective<'_>,
    at: &mut Parameters,
    touched: &RowSets,
    options: &AltEraserOptions,
    control: AltEraserControl<'_>,
) -> Result<AltEraserReport, Divergence> {
    let mut run = Run {
        objective,
        options,
        cancelled: control.cancelled,
        began: Instant::now(),
        report: AltEraserReport::default(),
        acceleration: None,
    };
    let everything = objective.graph.all_rows();
    for round in 0..options.rounds_max {
        let rows = match (options.reach, round) {
            (Reach::Touched, _) | (Reach::Growing, 0) => touched.clone(),
            (Reach::Growing, 1) => objective.graph.with_neighbours(touched),
            _ => everything.clone(),
        };
        let with_layers = rows == everything && options.reach != Reach::Touched;
        run.report.rounds = round + 1;
        let start = with_layers.then(|| at.clone());
        run.round(at, &rows, with_layers)?;
        if let Some(start) = start.filter(|_| !run.report.interrupted) {
            run.accelerate(&start, at);
        }
        if run.report.interrupted || (control.observe)(&run.report, at).is_break() {
            break;
        }
    }
    if !at.is_finite() {
        return Err(Divergence::NotFinite {
            optimiser: "AltEraser",
            what: "a parameter",
        });
    }
    run.report.moved.sort_and_dedup();
    Ok(run.report)
}

impl Acceleration {
    fn new(memory: usize, objective: &Objective<'_>, at: &Parameters) -> Self {
        let scales = Selection::from(Block::All).scales(objective, at);
        Self {
            rounds: Anderson::new(memory),
            value: f64::INFINITY,
            roots: scales
                .iter()
                .map(|scale| f64::from(*scale).sqrt())
                .collect(),
        }
    }

    fn next(&mut self, start: &Parameters, end: &Parameters) -> Parameters {
        let weighted = |at: &Parameters| -> Vec<f64> {
            let values = at.values().iter().zip(&self.roots);
            values
                .map(|(value, root)| f64::from(*value) * root)
                .collect()
        };
        let next = self.rounds.next(&weighted(start), &weighted(end));
        let mut moved = end.clone();
        let values = moved.values_mut().iter_mut();
        let places = values.zip(next.iter().zip(&self.roots));
        places.for_each(|(value, (next, root))| *value = (next / root) as f32);
        moved
    }
}

impl Run<'_> {
    fn round(
        &mut self,
        at: &mut Parameters,
        rows: &RowSets,
        with_layers: bool,
    ) -> Result<(), Divergence> {
        for side in Side::BOTH {
            self.side(at, side, &rows[side])?;
        }
        if with_layers && at.layout().shared > 0 && !self.is_over() {
            self.block(at, &Selection::from(Block::Shared))?;
        }
        Ok(())
    }

    /// Goes from the end of a round over everything to where the last such rounds together point, if
    /// the objective is no higher there than at the end of the round before.
    fn accelerate(&mut self, start: &Parameters, at: &mut Parameters) {
        if self.options.memory == 0 {
            return;
        }
        let objective = self.objective;
        let acceleration = self
            .acceleration
            .get_or_insert_with(|| Acceleration::new(self.options.memory, objective, at));
        let is_first = !acceleration.rounds.has_history();
        let moved = acceleration.next(start, at);
        let value = objective.prepare(&moved).value();
        if value <= acceleration.value || is_first {
            acceleration.value = value;
            *at = moved;
        } else {
            acceleration.rounds.reset();
            acceleration.value = objective.prepare(at).value();
        }
    }

    fn is_over(&mut self) -> bool {
        let late = |budget: Duration| self.report.rounds > 1 && self.began.elapsed() >= budget;
        self.report.interrupted |= self.options.budget.is_some_and(late) || (self.cancelled)();
        self.report.interrupted
    }

    fn side(&mut self, at: &mut Parameters, side: Side, rows: &[u32]) -> Result<(), Divergence> {
        let is_newton = self.options.solver == BlockSolver::NewtonCg;
        if is_newton && is_separable(self.objective) {
            self.rows(at, side, rows);
            return Ok(());
        }
        let selection = Selection::rows(Block::from(side), rows.to_vec());
        if selection.is_empty() || self.is_over() {
            return Ok(());
        }
        self.moved(side, rows);
        self.block(at, &selection)
    }

    fn rows(&mut self, at: &mut Parameters, side: Side, rows: &[u32]) {
        let options = RowOptions {
            steps_max: self.options.steps,
            damping: self.options.damping as f32,
            ..RowOptions::default()
        };
        for turn in rows.chunks(ROWS_PER_TURN) {
            if self.is_over() {
                return;
            }
            solve_rows(self.objective, at, side, turn, &options);
            self.report.blocks += turn.len();
            self.moved(side, turn);
        }
    }

    fn moved(&mut self, side: Side, rows: &[u32]) {
        self.report.moved[side].extend_from_slice(rows);
    }

    fn block(&mut self, at: &mut Parameters, selection: &Selection) -> Result<(), Divergence> {
        self.report.blocks += 1;
        let (began, budget) = (self.began, self.options.budget);
        let cancelled = self.cancelled;
        let first = self.report.rounds <= 1;
        let mut goes_on = move |_: &_, _: &_| {
            let in_time = first || budget.is_none_or(|budget| began.elapsed() < budget);
            continue_while(in_time && !cancelled())
        };
        match self.options.solver {
            BlockSolver::NewtonCg => newton_cg(
                self.objective,
                at,
                selection,
                &NewtonOptions {
                    steps_max: self.options.steps,
                    products_max: self.options.products,
                    damping: self.options.damping,
                    ..NewtonOptions::default()
                },
                &mut goes_on,
            ),
            BlockSolver::Lbfgs => lbfgs(
                self.objective,
                at,
                selection,
                &LbfgsOptions {
                    steps_max: self.options.steps * self.options.products,
                    ..LbfgsOptions::default()
                },
                &mut goes_on,
            ),
        }?;
        Ok(())
    }
}
