//! The life of a DEK: minted once per slot, cached under a lease, erased permanently.
//!
//! Promise: a slot has exactly one DEK, even if several processes race for it. A fenced hour mints nothing
//! in any generation. No cached key is used without a recent proof that every receipt has been seen.
//! Not here: the stores of keys (`edge::sqlite`, `edge::scylla`), the vault of KEKs (`edge::kek`), sealing
//! (`lane`).
//! Start at [`Ring::obtain`]; everything else serves it.

mod cache;
mod error;
mod failsafe;
mod flight;
mod keks;
mod lease;
mod lookup;
mod markers;
mod metrics;
mod mint;
mod outcomes;
mod premint;
mod rewrap;
mod ring;
mod rows;
mod schema;
mod standing;
mod store;
mod token;
mod vault;

pub use crate::envelope::WRAPPED_LEN;
pub use error::KeysError;
pub use failsafe::{FAILSAFE_MS, expire_overdue};
pub use flight::{Cause, Waiting};
pub use keks::{Keks, check_value};
pub use lease::Lease;
pub use lookup::{Finder, Lookup};
pub use markers::{MARKER_MS, expire_markers};
#[cfg_attr(not(feature = "edges"), allow(unused_imports, reason = "the edges register it"))]
pub(crate) use metrics::KeyMetrics;
pub use mint::{HourKey, Mint, MintStats, Obtained};
pub use outcomes::*;
pub use premint::{Premint, Tick};
pub use rewrap::{Terms, While, rewrap};
pub use ring::{Ring, RingStats};
pub use rows::*;
pub use schema::{SchemaMismatch, parse_schema_version};
pub use standing::refusal;
pub use store::*;
pub use token::TokenKey;
pub use vault::*;
