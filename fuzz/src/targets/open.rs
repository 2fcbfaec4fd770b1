//! Envelopes: any bytes under any key, and any bytes as an authentic frame.

use hourseal::envelope::{
    Context, Dek, Frame, HEADER_LEN, Header, OpenError, Opened, SealKey, Sealer, StreamName, TAG_LEN, derive,
    frame, open, seal_in_place,
};
use hourseal::model::{CustomerId, Generation, Hour, QUARANTINE_CUSTOMER};

use super::frame::plain_of;
use crate::fields::{Fields, sized};
use crate::memory::within;
use crate::vectors::{self, Vector, vectors};

const HOUR: Hour = Hour(494_000);
const GENERATION: Generation = Generation(3);
const NONCE: [u8; 24] = [9; 24];

/// A byte that selects one of the two cases ‖ the rest.
pub fn run(data: &[u8]) {
    let mut fields = Fields::of(data);
    if fields.byte().is_multiple_of(2) { any_envelope(fields) } else { any_frame(fields.rest()) }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let envelope = |vector: &Vector| {
        let [customer, stream] = ["customer", "stream"].map(|field| sized(vector.text(field).as_bytes()));
        [vec![0], vector.bytes("dek"), customer, stream, vector.bytes("envelope")].concat()
    };
    let frame = |frame: Vec<u8>| [vec![1], frame].concat();
    vectors(false).iter().map(envelope).chain(vectors::frames().into_iter().map(frame)).collect()
}

/// dek 32 ‖ customer ‖ stream ‖ envelope, read as `schemas/envelope.md` requires of a reader. An envelope
/// that opens is sealed again to the same bytes. No envelope costs more memory than a copy of it.
fn any_envelope(mut fields: Fields<'_>) {
    let mut dek = fields.array();
    let (Some(customer), Some(stream)) = (customer(fields.text()), stream(fields.text())) else { return };
    let envelope = fields.rest();
    let header = Header::parse(envelope);
    let (hour, generation) = header.map_or((HOUR, GENERATION), |header| (header.hour, header.generation));
    let key = derive(&Dek::take(&mut dek), &customer, hour, generation);
    let context = Context::new(&customer, &stream);
    match (header, within(envelope.len(), || open(envelope, &key, &context))) {
        (Ok(header), Ok(opened)) => {
            assert_eq!(opened.header(), &header);
            assert_eq!(sealed_again(&opened, &key, &context), envelope);
        }
        (Ok(header), Err(OpenError::WrongKey)) => assert!(!key.is_named(header.key_id)),
        (Ok(header), Err(error)) => {
            assert!(key.is_named(header.key_id));
            assert_eq!(error, OpenError::Tampered);
        }
        (Err(error), opened) => assert_eq!(opened.err(), Some(error)),
    }
}

/// Seals the bytes as a frame. They open if and only if they are a frame, and they do not
/// open after a change.
fn any_frame(bytes: &[u8]) {
    if bytes.len() < frame::MIN_FRAME_LEN {
        return;
    }
    let customer = customer("acme").expect("a valid id");
    let key = derive(&Dek::take(&mut [7; 32]), &customer, HOUR, GENERATION);
    let context = Context::new(&customer, &stream("jobs").expect("a valid name"));
    let mut envelope = [&[0; HEADER_LEN], bytes, &[0; TAG_LEN]].concat();
    seal_in_place(&key, &context, HOUR, GENERATION, &NONCE, &mut envelope);
    match (Frame::parse(bytes), open(&envelope, &key, &context)) {
        (Ok(frame), Ok(opened)) => {
            assert_eq!(opened.event_time(), frame.event_time(HOUR));
            assert_eq!(sealed_again(&opened, &key, &context), envelope);
        }
        (Err(_), Err(error)) => assert_eq!(error, OpenError::Tampered),
        (parsed, _) => panic!("a frame that parses: {}, and its envelope does not agree", parsed.is_ok()),
    }
    let (at, flip) = chosen(bytes, envelope.len());
    envelope[at] ^= flip;
    assert_eq!(open(&envelope, &key, &context).err(), Some(refusal(at, envelope[1])));
}

/// Returns a reader's error for an authentic envelope whose byte at `at` was changed.
fn refusal(at: usize, suite: u8) -> OpenError {
    match at {
        0 => OpenError::NotAnEnvelope,
        1 => OpenError::UnknownSuite(suite),
        8..24 => OpenError::WrongKey,
        _ => OpenError::Tampered,
    }
}

/// Derives from the input a position below `len` and the bits to flip there.
fn chosen(bytes: &[u8], len: usize) -> (usize, u8) {
    let mixed =
        bytes.iter().fold(17_usize, |mixed, byte| mixed.wrapping_mul(31).wrapping_add((*byte).into()));
    (mixed % len, (mixed >> 24) as u8 | 1)
}

fn sealed_again(opened: &Opened, key: &SealKey, context: &Context) -> Vec<u8> {
    let (header, frame) = (opened.header(), opened.frame());
    let sealer = Sealer { key, context, hour: header.hour, generation: header.generation };
    let mut envelope = Vec::new();
    sealer.append(&mut envelope, &header.nonce, &plain_of(&frame), frame.headers()).expect("it was sealed");
    envelope
}

pub(super) fn customer(id: &str) -> Option<CustomerId> {
    match id {
        QUARANTINE_CUSTOMER => Some(CustomerId::quarantine()),
        id => CustomerId::parse(id).ok(),
    }
}

fn stream(name: &str) -> Option<StreamName> {
    match name.strip_suffix(".quarantine") {
        Some(stream) => StreamName::parse(stream).ok().map(|stream| stream.quarantine()),
        None => StreamName::parse(name).ok(),
    }
}
