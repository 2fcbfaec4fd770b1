//! The targets. Each has `run`, which panics where a claim does not hold for an input, and `seeds`, the inputs to begin with.

pub mod admit;
pub mod config;
pub mod control;
pub mod differential;
pub mod frame;
pub mod open;
pub mod planted;
pub mod planted_memory;
pub mod proof;
pub mod receipt;
pub mod swept;
pub mod wrapped;
