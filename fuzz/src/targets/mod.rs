//! The targets. Each has `run`, which panics if a claim does not hold for an input, and `seeds`, which
//! returns the first inputs.

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
