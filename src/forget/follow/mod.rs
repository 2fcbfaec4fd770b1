//! Every process hears every receipt: caches forget, a store that is behind is brought up, leases are proven.
//!
//! Promise: a lease is proven only by what was read to its end; a store that is behind serves no key.
//! Start at [`following::Following`]; [`fresh::ensure_fresh`] is for those who only read.

pub(super) mod following;
pub(super) mod fresh;
pub(super) mod progress;
pub(super) mod restore;
pub(super) mod tail;
