//! Fuzz targets for the code that reads bytes from others. `fuzz/run` builds and runs them;
//! CONTRIBUTING.md describes how.
//!
//! Promise: each target states claims for every input, not only that nothing panics. The memory of the
//! code under test is bounded by its input ([`memory::within`]). The targets `planted*` must fail.
//! Start at [`targets`].

pub mod fields;
pub mod memory;
mod start;
pub mod targets;
mod vectors;

pub use start::start;

/// Defines libFuzzer's entry point for one of [`targets`].
#[macro_export]
macro_rules! target {
    ($name:ident) => {
        libfuzzer_sys::fuzz_target!(
            init: $crate::start($crate::targets::$name::seeds, $crate::targets::$name::run),
            |data: &[u8]| $crate::targets::$name::run(data)
        );
    };
}
