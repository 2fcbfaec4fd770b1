//! One binary for every test that uses the crate from outside.

mod cli;
mod rooms;
mod vectors;
