//! (in the making)

mod settings;

pub use settings::*;
