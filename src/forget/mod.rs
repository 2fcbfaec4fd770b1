//! Forgetting turns a command into keys that no longer exist, and a receipt that says so.
//!
//! Promise: a decision is stored before it is carried out, and every redo obeys it. No receipt says more than
//! what was read back from the store. Every process applies every receipt, or its cached keys expire. Not
//! here: how a key is overwritten (`edge::sqlite`), transactions and the group (`stream`), the caches
//! themselves (`keys`).
//!
//! The sub-rooms follow the path of a command: `command` reads it, `decide` judges it ([`decide()`]),
//! `execute` stores the decision and obeys it, `receipt` says what was done, [`log`] makes that provable, and
//! `follow` applies it in every process. `merkle` is the tree that receipts and log share. The sub-rooms
//! import each other by path and in one direction (`tests/it/rooms/forget.rs`). The list below is for other
//! rooms.

mod command;
mod decide;
mod execute;
mod follow;
pub mod log;
mod merkle;
mod metrics;
mod receipt;
#[cfg(test)]
mod tests;

pub use command::act::{Act, Command, Reason, Terms};
pub use command::call::{Call, Wants};
pub use command::dsse::{Signature, pae, to_envelope};
pub use command::error::NotACommand;
pub use command::kind::Kind;
pub use command::message::{MAX_COMMAND_BYTES, Message, Unverified};
pub use command::signing::{NotASigningKey, PublicKey, SIGNATURE_LEN, SigningKey};
pub use command::trust::{Authority, NotATrustStore, Right, Trust, TrustSource};
pub use decide::change::Change;
pub use decide::facts::{Facts, HoldIs, Window};
pub use decide::rules::decide;
pub use decide::target::{Asked, Target};
pub use decide::verdict::{Verdict, Why};
pub use execute::batch::Tally;
pub use execute::due_kek::{DueKek, KekFate, due_keks, fate};
pub use execute::error::ExecuteError;
pub use execute::overdue::{DueLooks, Pending, PendingHour, SWEEP_HOURS, pending};
pub use execute::retention::SETTLES_IN;
pub use execute::step::{Executor, ExecutorParts, Observer};
pub use execute::survey::Survey;
pub use follow::following::{Cache, FollowObserver, Followed, Following, Prove};
pub use follow::fresh::{NotFresh, ensure_fresh};
pub use follow::progress::{Action, Follower, Gap};
pub use follow::tail::{Tail, TailError, TailRecord, patiently};
#[cfg_attr(not(feature = "edges"), allow(unused_imports, reason = "the edges register it"))]
pub(crate) use metrics::ForgetMetrics;
pub use receipt::assumption::{Assumption, DISKS, STORE_COPIES, VAULT_FILES, assumption};
pub use receipt::content::{ASSUMPTIONS, NotAReceipt, Receipt};
pub use receipt::deed::{Deed, Outcome};
pub use receipt::key::ErasedKey;
pub use receipt::record::{ReceiptBytes, ReceiptRecord};
pub use receipt::swept::{NotSwept, SWEPT_HEADER, SweptBatch, SweptHour};
