//! The plaintext of an event, and its place in memory.

/// The distance at which two addresses look alike to a processor that compares their low bits before it lets
/// a load pass a store.
const ALIAS: usize = 4096;

/// A payload at half of that distance from the record that it is copied to, for every contestant. Allocators
/// place large buffers so that the copy of one contestant has such a conflict and that of another has not.
/// That is a factor of two at 16 KB, and not a property of either contestant.
pub struct Payload {
    room: Vec<u8>,
    start: usize,
    len: usize,
}

impl Payload {
    pub fn beside(record: &[u8], len: usize) -> Self {
        let room = vec![0x5a; len + ALIAS];
        let start = (record.as_ptr().addr() + ALIAS / 2).wrapping_sub(room.as_ptr().addr()) % ALIAS;
        Self { room, start, len }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.room[self.start..self.start + self.len]
    }
}
