//! The edges: each room here names its own outside library and nobody else's, and implements traits owned inside.

pub mod clock;
pub mod finding;
pub mod http;
pub mod kafka;
pub mod kek;
pub mod keyfile;
mod private;
pub mod process;
pub mod scylla;
pub mod sqlite;
