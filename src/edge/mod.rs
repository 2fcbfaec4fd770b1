//! The only rooms that name Kafka, SQLite, files of keys and the system's clock: they implement traits owned inside.

pub mod clock;
pub mod kek;
mod private;
pub mod sqlite;
