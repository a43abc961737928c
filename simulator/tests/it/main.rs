//! The simulator against formulas, against itself, and against what must always hold.

mod formulas;
mod laws;
mod tables;
