//! Forgetting: turning a command into keys that no longer exist, and a receipt that says so.
//!
//! Promise: what was decided is stored before anything is done, and every redo obeys it; no receipt says more than what was
//! read back from the store; every process applies every receipt, or its cached keys run out.
//! Not here: how a key is overwritten (`edge::sqlite`), transactions and the group (`stream`), the caches themselves (`keys`).
//! Start at [`decide`].

mod command;
mod decide;
mod receipt;
mod verdict;

pub use command::{Command, MAX_COMMAND_BYTES, NotACommand, Reason, Unverified};
pub use decide::{ClocksDisagree, Facts, decide, earliest};
pub use receipt::{ASSUMPTIONS, ErasedKey, NotAReceipt, Outcome, Receipt, ReceiptRecord};
pub use verdict::{Ruling, Verdict, Why};
