//! The plaintext of an event, and where it lies.

/// How far apart two addresses look alike to a processor that compares their low bits before it lets a load pass a store.
const ALIAS: usize = 4096;

/// Lies half of that away from the record which it is copied to, for everybody: allocators place large buffers so that one
/// contestant's copy runs into it and another's does not, which is a factor of two at 16 KB and no merit of either.
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
