//! The hours of a sweep, which every process follows: they have exactly one form, and need memory only in
//! proportion to the input.

use hourseal::forget::{ErasedKey, SweptBatch, SweptHour};
use hourseal::model::{Due, Generation, Hour, KekId, KeyId, Token};

use crate::memory::within;

pub fn run(data: &[u8]) {
    // Each KEK id becomes a separate string, and the capacities of the lists double.
    let Some(hours) = within(32 * data.len() + 1024, || SweptBatch::parse(data)) else { return };
    assert_eq!(SweptBatch::header(&hours), data);
    let batch = SweptBatch::of(&hours);
    assert_eq!(batch.hours as usize, hours.len());
    assert_eq!(batch.read(Some(data)).as_ref(), Ok(&hours));
    if let Some((_, fewer)) = hours.split_last() {
        assert!(SweptBatch::of(fewer).read(Some(data)).is_err());
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let key = |generation| ErasedKey {
        hour: Hour(498_000),
        generation: Generation(generation),
        key_id: KeyId([7; 16]),
        kek: KekId::of_due(Due(498_721)),
    };
    let hour = |keys: Vec<ErasedKey>| SweptHour {
        token: Token([1; 16]),
        hour: Hour(498_000),
        key_count: u32::try_from(keys.len()).expect("few"),
        keys,
    };
    let (none, one, two) = (hour(vec![]), hour(vec![key(0)]), hour(vec![key(0), key(65_535)]));
    let unlisted = two.clone().without_keys();
    [vec![none.clone()], vec![one.clone()], vec![two.clone(), unlisted], vec![one, none, two]]
        .map(|hours| SweptBatch::header(&hours))
        .to_vec()
}
