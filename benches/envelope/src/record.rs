//! A record, sealed like in a lane.

use hourseal::envelope::{
    Context, Dek, Kek, NONCE_LEN, Nonces, Opened, Plain, SealKey, Sealer, StreamName, UnwrapError,
    WRAPPED_LEN, derive, open, unwrap, wrap,
};
use hourseal::model::{CustomerId, Generation, Hour, KekId};

use crate::payload::Payload;

pub const SIZES: [usize; 4] = [128, 1 << 10, 4 << 10, 16 << 10];
const HOUR: Hour = Hour(498_816);
const ON_TIME: Generation = Generation(0);

pub fn customer() -> CustomerId {
    CustomerId::parse("customer-4711").expect("a valid id")
}

pub fn stream() -> StreamName {
    StreamName::parse("jobs").expect("a valid name")
}

fn key() -> SealKey {
    derive(&Dek::take(&mut [7; 32]), &customer(), HOUR, ON_TIME)
}

/// Seals one event of `size` bytes repeatedly, without key and headers.
pub struct Job {
    key: SealKey,
    context: Context,
    nonces: Nonces,
    payload: Payload,
    arena: Vec<u8>,
}

impl Job {
    pub fn new(size: usize) -> Self {
        let arena = Vec::with_capacity(size + 128);
        Self {
            key: key(),
            context: Context::new(&customer(), &stream()),
            nonces: Nonces::new(),
            payload: Payload::beside(&arena, size),
            arena,
        }
    }

    pub fn seal(&mut self) -> usize {
        self.arena.clear();
        let sealer = Sealer { key: &self.key, context: &self.context, hour: HOUR, generation: ON_TIME };
        let plain = Plain { milliseconds: 1_234, key: None, payload: Some(self.payload.bytes()) };
        let nonce = self.nonces.take();
        sealer.append(&mut self.arena, &nonce, &plain, []).expect("it fits").len()
    }

    pub fn sealed(mut self) -> Self {
        self.seal();
        self
    }

    pub fn open(&self) -> Opened {
        open(&self.arena, &self.key, &self.context).expect("its own key")
    }
}

/// The work that is done once for a slot, and once more in each process that needs its key.
pub struct Keys {
    dek: Dek,
    kek: Kek,
    kek_id: KekId,
    customer: CustomerId,
    key: SealKey,
    wrapped: [u8; WRAPPED_LEN],
}

impl Keys {
    pub fn new() -> Self {
        let mut keys = Self {
            dek: Dek::take(&mut [7; 32]),
            kek: Kek::take(&mut [8; 32]),
            kek_id: KekId::parse("day/2026-11-24").expect("a KEK id"),
            customer: customer(),
            key: key(),
            wrapped: [0; WRAPPED_LEN],
        };
        keys.wrapped = keys.wrap();
        keys
    }

    pub fn derive(&self) -> SealKey {
        derive(&self.dek, &self.customer, HOUR, ON_TIME)
    }

    pub fn check(&self) -> bool {
        self.key.commits_to(std::hint::black_box(self.key.commitment()))
            && self.key.is_named(self.key.key_id())
    }

    pub fn wrap(&self) -> [u8; WRAPPED_LEN] {
        let Self { dek, kek, kek_id, customer, key, .. } = self;
        wrap(dek, kek, kek_id, customer, HOUR, ON_TIME, key.commitment(), [9; NONCE_LEN])
    }

    pub fn unwrap(&self) -> Result<Dek, UnwrapError> {
        let Self { kek, kek_id, customer, key, wrapped, .. } = self;
        unwrap(wrapped, kek, kek_id, customer, HOUR, ON_TIME, key.commitment())
    }
}
