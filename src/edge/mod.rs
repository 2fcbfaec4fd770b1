//! The edges. Each room here uses its own outside library and no other room's. It implements traits that the
//! inner rooms own.

pub mod clock;
pub mod disk;
pub mod finding;
pub mod http;
pub mod kafka;
pub mod kek;
pub mod keyfile;
mod private;
pub mod process;
pub mod scylla;
pub mod sqlite;
pub mod supervisor;
