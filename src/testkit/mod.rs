//! What tests need inside the binary. Absent from a release build.
