//! One binary for every test that uses the crate from outside.

mod vectors;
