//! Typed opening of sealed records: every record ends in one [`Outcome`], and none of them blocks the reader.
//!
//! Promise: what is returned is what the frame says, never the copies in the clear; a key is used for the
//! records at hand and forgotten.
//! Not here: how a key is found and whether it may still be used (`keys`), where records come from (`cli`).
//! Start at [`Opener::open_batch`].

mod line;
mod opener;
mod record;
mod waiting;

pub use line::{Place, line};
pub use opener::{FindKey, Opener, Outcome, Reading};
pub use record::{CUSTOMER_HEADER, Record};
pub use waiting::WaitingOpener;
