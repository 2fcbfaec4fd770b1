//! What tests need inside the binary. Absent from a release build.

mod clock;

pub use clock::{CLOCK_ENV, clock_offset_ms};
