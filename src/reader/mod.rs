//! Opens sealed records. Every record ends in one [`Outcome`], and no record blocks the reader.
//!
//! Promise: the content comes from the frame, never from the copies in the clear; a key is used for the
//! records at hand and forgotten.
//! Not here: finding a key and deciding whether it may still be used (`keys`), reading records (`cli`).
//! Start at [`Opener::open_batch`].

mod line;
mod opener;
mod record;
mod waiting;

pub use line::{Place, line};
pub use opener::{FindKey, Opener, Outcome, Reading};
pub use record::{CUSTOMER_HEADER, Record};
pub use waiting::WaitingOpener;
