//! The receipts as a transparency log: a Merkle tree over the committed values, its signed heads, and proofs
//! against them.
//!
//! Promise: a head is signed only for what was read as committed, and never beside one that it contradicts;
//! what verifies here is of one form only, so that no bit of a proof is free; no input of others costs more
//! than its length. Not here: Kafka (`edge::kafka`), files (`cli::receipts`). The forms stand in
//! `schemas/receipt-log.md`. Start at [`Frontier`]; [`Keeper`] decides what may be signed, [`Logging`] acts,
//! [`Proof`] is what leaves the house.

mod checkpoint;
mod hour_proof;
mod keeper;
mod logging;
mod metrics;
mod note;
mod observer;
mod proof;
#[cfg(test)]
mod tests;

pub use crate::forget::merkle::{
    Frontier, Hash, NotConsistent, NotIncluded, Tree, leaf_hash, verify_consistency, verify_inclusion,
};
pub use checkpoint::{Checkpoint, Head, NotACheckpoint, Origin};
pub use hour_proof::{AnyProof, HourProof};
pub use keeper::{Keeper, Refusal};
pub use logging::{Clients, LogObserver, Logged, Logging, NotPosted, Post};
#[cfg_attr(not(feature = "edges"), allow(unused_imports, reason = "the edges register it"))]
pub(crate) use metrics::LogMetrics;
pub use metrics::NewestCheckpoint;
pub use note::{NotAKey, NotANote, Note, VerifierKey};
#[cfg_attr(not(feature = "edges"), allow(unused_imports, reason = "the edges register it"))]
pub(crate) use observer::LoggingObserver;
pub use proof::{MAX_PROOF_BYTES, NoProof, Proof};
