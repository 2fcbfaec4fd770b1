//! Forgetting: turning a command into keys that no longer exist, and a receipt that says so.
//!
//! Promise: what was decided is stored before anything is done, and every redo obeys it; no receipt says more than what was
//! read back from the store; every process applies every receipt, or its cached keys run out.
//! Not here: how a key is overwritten (`edge::sqlite`), transactions and the group (`stream`), the caches themselves (`keys`).
//! Start at [`decide()`]; [`Executor`] carries out what it says, a [`Call`] asks for what the clock has made due,
//! [`Following`] tells every process.

mod assumption;
mod batch;
mod call;
mod command;
mod current;
mod decide;
mod desk;
mod destroy;
mod dsse;
mod ended;
mod execute;
mod follow;
mod follower;
mod kind;
pub mod log;
mod marks;
mod metrics;
mod receipt;
mod request;
mod restore;
mod retain;
mod ruling;
mod signing;
mod step;
mod sweep;
#[cfg(test)]
mod tests;
mod trust;
mod verdict;

pub use assumption::{Assumption, DISKS, STORE_COPIES, VAULT_FILES, assumption};
pub use batch::Tally;
pub use call::{Call, Wants};
pub use command::{Act, Command, MAX_COMMAND_BYTES, Message, NotACommand, Reason, Terms, Unverified};
pub use current::{NotCurrent, ensure_current};
pub use decide::{Asks, Facts, HoldIs, Window, decide};
pub use desk::Trouble;
pub use destroy::Survey;
pub use dsse::{Signature, pae, to_envelope};
pub use ended::{EndedKek, KekFate, ended_keks, fate};
pub use follow::{Cache, FollowObserver, Followed, Following, Prove, Tail, TailError, TailRecord, patiently};
pub use follower::{Action, Follower, Gap};
pub use kind::Kind;
pub(crate) use metrics::ForgetMetrics;
pub use receipt::{ASSUMPTIONS, Deed, ErasedKey, NotAReceipt, Outcome, Receipt, ReceiptBytes, ReceiptRecord};
pub use retain::SETTLES_IN;
pub use signing::{NotASigningKey, PublicKey, SIGNATURE_LEN, SigningKey};
pub use step::{Executor, ExecutorParts, Observer};
pub use sweep::{NotSwept, Pending, PendingHour, SWEEP_HOURS, SWEPT_HEADER, SweptBatch, SweptHour, pending};
pub use trust::{Authority, NotATrustStore, Right, Trust, TrustSource};
pub use verdict::{Ruling, Verdict, Why};
