//! Every process reads every receipt: caches forget keys, a store that is behind is updated,
//! leases are proven.
//!
//! Promise: a lease is proven only after the topic was read to its end. A store that is behind serves no key.
//! Start at [`following::Following`]; [`fresh::ensure_fresh`] is for processes that only read.

pub(super) mod following;
pub(super) mod fresh;
pub(super) mod progress;
pub(super) mod restore;
pub(super) mod tail;
