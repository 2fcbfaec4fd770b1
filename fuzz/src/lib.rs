//! Fuzz targets for what reads bytes from others. `fuzz/run` builds and runs them; CONTRIBUTING.md says how.
//!
//! Promise: each target states what holds for every input, not only that nothing panics; memory that the code under test takes is
//! bounded by its input ([`memory::within`]); the targets `planted*` must fail.
//! Start at [`targets`].

pub mod fields;
pub mod memory;
mod start;
pub mod targets;
mod vectors;

pub use start::start;

/// The entry point that libFuzzer looks for, of one of [`targets`].
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        libfuzzer_sys::fuzz_target!(
            init: $crate::start($crate::targets::$name::seeds, $crate::targets::$name::run),
            |data: &[u8]| $crate::targets::$name::run(data)
        );
    };
}
