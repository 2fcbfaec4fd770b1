//! The receipts as a transparency log: a Merkle tree over the committed values, its signed heads, and proofs
//! against them.
//!
//! Promise: a head is signed only for committed records that were read, and never if it contradicts a
//! published head. A proof that verifies has exactly one form, so none of its bits can be changed. The work
//! for input of others is bounded by its length. Not here: Kafka (`edge::kafka`), files (`cli::receipts`).
//! `schemas/receipt-log.md` describes the forms. Start at [`Frontier`]; [`Keeper`] decides what may be
//! signed, [`Logging`] signs it, and a [`Proof`] is given to others.

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
