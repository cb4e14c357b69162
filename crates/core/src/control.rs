//! How a computation is stopped and watched, the same for all of them.

use std::ops::ControlFlow;

/// Asked now and then whether to stop: whoever asks ends at the next place where it can.
pub type ShouldStop<'a> = &'a (dyn Fn() -> bool + Sync);

/// What a caller gives to a computation that takes long: a wish to stop, asked between its smallest
/// steps and on any thread, and an observer of what each whole step led to, `F`, which may end it too
/// by [`ControlFlow::Break`].
///
/// A computation that was `cancelled` ends within a step; one whose observer breaks off ends after the
/// whole step that it observed.
pub struct Control<'a, F: ?Sized + 'a> {
    /// Asked between small steps.
    pub cancelled: ShouldStop<'a>,
    /// Called after every whole step.
    pub observe: &'a mut F,
}

impl<F: ?Sized> std::fmt::Debug for Control<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}

/// A wish to stop that never comes.
pub fn never() -> bool {
    false
}

/// [`ControlFlow::Continue`] while `goes_on`.
pub fn continue_while(goes_on: bool) -> ControlFlow<()> {
    if goes_on {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}
