//! One binary for every test that uses the crate from outside.

mod child;
mod cli;
mod conformance;
mod kek;
mod lookup;
mod mint;
mod ring;
mod rooms;
mod sqlite;
mod vectors;
mod world;
