//! Choosing hyper-parameters by what a model finds of interactions held out from it.
//!
//! A part of every history is set aside. Settings are first **screened**: a few sweeps, which rank
//! them well enough. The best are **trained to the end**: to the certificate, as `recant train` would,
//! which shows how accurate they are in the end and whether the certificate closes below the ceiling
//! of d columns. The choice is made among these.

mod choice;
mod grid;
mod options;
mod search;
mod trial;

pub use choice::{Choice, TIE_SHARE};
pub use grid::{Grid, InvalidGrid};
pub use options::{
    HELD_OUT_SHARE, LIST_LENGTH, TuneError, Tuned, TuningOptions, TuningProgress, USERS_MIN,
};
pub use trial::{Certifiable, Stage, Trial};

use choice::choose;
use recant_eval::hold_out;
use recant_service::load;
use recant_store::Store;
use search::Search;

/// Searches on what `store` holds; nothing is stored. `observe` is called after every trial.
///
/// Depends on data and options alone, not on the number of threads, unless a time budget ends the
/// search. Blocks the thread; not for an async task.
pub fn tune(
    store: &Store,
    options: &TuningOptions,
    observe: &mut dyn FnMut(TuningProgress),
) -> Result<Tuned, TuneError> {
    let matrix = load(store, options.start, options.training.seed)?
        .trainer
        .matrix;
    if matrix.interactions() == 0 {
        return Err(TuneError::Empty);
    }
    let holdout = hold_out(&matrix, HELD_OUT_SHARE, options.training.seed);
    let users = holdout.users();
    if users < USERS_MIN {
        return Err(TuneError::TooSmall { users });
    }
    let mut search = Search::new(&holdout, options, observe);
    match &options.grid {
        Some(grid) => search.exhaust(&grid.settings(options.start)),
        None => search.narrow_down(),
    }
    let choice = choose(&search.trials).ok_or(TuneError::AllDiverged)?;
    let (trials, diverged) = (search.trials, search.diverged);
    Ok(Tuned {
        recommended: trials[choice.trial].recommended(),
        trials,
        choice,
        diverged,
        users,
        trained: holdout.train.interactions(),
        held_out: matrix.interactions() - holdout.train.interactions(),
    })
}
