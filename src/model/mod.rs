//! Pure types that every room shares. They do no I/O, are not async and read no clock.

mod clock;
mod customer;
mod hour;
mod ids;
mod retention;
mod slot;
mod started;
mod text;

pub use clock::{CLOCKS_APART_MS, Clock, ClocksApart, Millis, earliest};
pub use customer::{CustomerError, CustomerId, QUARANTINE_CUSTOMER, Token};
pub use hour::{Hour, MILLIS_PER_HOUR};
pub use ids::{Digest, KekId, KeyId, StoreId, TopicId, VaultId, unhex};
pub use retention::{ClassId, Due, Retention};
pub use slot::{GRACE_MS, Generation, Slot};
pub use started::Started;
pub use text::printable;
