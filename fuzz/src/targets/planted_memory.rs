//! Must fail: a reader that trusts a length and allocates memory for it.

use std::hint::black_box;

use crate::fields::Fields;
use crate::memory::within;

pub fn run(data: &[u8]) {
    let room =
        |mut fields: Fields<'_>| black_box(Vec::<u8>::with_capacity(fields.u32() as usize % (1 << 20)));
    within(4 * data.len() + 1024, || room(Fields::of(data)));
}

pub fn seeds() -> Vec<Vec<u8>> {
    Vec::new()
}
