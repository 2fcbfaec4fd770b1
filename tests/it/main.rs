//! One binary for every test that uses the crate from outside.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a second process takes its orders from the environment and answers on stdout"
)]

mod bounds;
mod child;
mod cli;
mod conformance;
mod demo;
mod histories;
mod kek;
mod lines;
mod lookup;
mod mint;
mod papers;
mod premint;
mod ring;
mod rooms;
mod scylla;
mod sqlite;
mod stores;
mod transcripts;
mod vectors;
mod world;
mod wycheproof;
