//! The sealing engine: admit, group by slot, obtain keys, seal, quarantine what cannot be sealed.
//!
//! Promise: only [`Sealed`] leaves. A record that cannot be sealed as asked is quarantined in the same
//! transaction. Its content is forgotten with its customer. No event is sealed outside its key's activity.
//! Not here: transactions and the group (`stream`), the source of keys (`keys`).
//! Start at [`SealingLane`]. [`Admit`] decides about a record. [`Redrive`] feeds it quarantined records.

mod admit;
mod batch;
mod bounds;
mod customer;
mod emit;
mod extract;
mod framing;
mod group;
mod keys;
mod max_message_bytes;
mod members;
mod metrics;
mod observer;
mod parked;
mod partition;
mod placement;
mod quarantine;
mod redrive;
mod sealed;
mod settings;
mod sources;
mod specimen;
mod step;
mod suggest;
mod time;
mod timestamp_bounds;

pub use admit::{Admit, Decision, Limits};
pub use bounds::SlotLimits;
#[cfg_attr(not(feature = "edges"), allow(unused_imports, reason = "`app` creates it"))]
pub(crate) use group::{GroupMetrics, GroupView, Reads};
pub use keys::Keys;
pub use max_message_bytes::MaxMessageBytes;
#[cfg_attr(not(feature = "edges"), allow(unused_imports, reason = "the edges register it"))]
pub(crate) use metrics::LaneMetrics;
#[cfg_attr(not(feature = "edges"), allow(unused_imports, reason = "the edges register it"))]
pub(crate) use observer::{LaneObserver, LaneReport};
#[cfg_attr(not(feature = "edges"), allow(unused_imports, reason = "the edges register it"))]
pub(crate) use parked::ParkedView;
pub use placement::Placement;
pub use quarantine::Reason;
pub use redrive::{Left, Quarantined, Redrive, RedriveObserver, RedriveParts};
pub use sealed::Sealed;
pub use settings::*;
pub use sources::*;
pub use specimen::Specimen;
pub use step::{LaneParts, Observer, SealingLane, Tally};
pub use suggest::{Change, Suggestions};
pub use timestamp_bounds::TimestampBounds;
