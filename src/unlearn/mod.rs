//! Updating a converged model after a change of its data: which blocks, in which order, how far.
