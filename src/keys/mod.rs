//! The life of a DEK: minted once per slot, cached under a lease, erased for good.
//!
//! Promise: a slot has exactly one DEK, whoever races; a fenced hour mints nothing in any generation; no key is used
//! without a recent proof that every receipt has been seen.
//! Not here: where keys are kept (`edge::sqlite`), where KEKs are kept (`edge::kek`), what is sealed (`lane`).
//! Start at [`Ring::obtain`]; everything else serves it.

mod store;
mod vault;

pub use store::*;
pub use vault::*;
