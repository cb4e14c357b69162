//! Minimising the objective: the block system, its solution, and sweeps to a tolerance.
