//! Claims about envelopes as a whole: sealed here, opened here.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::model::{CustomerId, Generation, Hour};

const HOUR: Hour = Hour(494_000);
const GENERATION: Generation = Generation(3);

struct World {
    key: SealKey,
    context: Context,
}

impl World {
    fn of(customer: &str, stream: &str) -> Self {
        let customer = CustomerId::parse(customer).expect("a valid id");
        let stream = StreamName::parse(stream).expect("a valid name");
        Self {
            key: derive(&Dek::take(&mut [7; 32]), &customer, HOUR, GENERATION),
            context: Context::new(&customer, &stream),
        }
    }

    fn acme() -> Self {
        Self::of("acme", "jobs")
    }

    fn sealer(&self) -> Sealer<'_> {
        Sealer { key: &self.key, context: &self.context, hour: HOUR, generation: GENERATION }
    }

    fn seal(&self, payload: &[u8]) -> Vec<u8> {
        let plain = Plain { milliseconds: 17, key: Some(b"job-1"), payload: Some(payload) };
        let mut arena = Vec::new();
        let headers = [(&b"trace"[..], Some(&b"t1"[..])), (b"trace", None)];
        self.sealer().append(&mut arena, &[9; 24], &plain, headers).expect("it fits");
        arena
    }

    /// Seals any bytes in place of a frame, as an authentic envelope.
    fn seal_raw(&self, frame: &[u8]) -> Vec<u8> {
        let mut record = [&[0; HEADER_LEN], frame, &[0; TAG_LEN]].concat();
        seal_in_place(&self.key, &self.context, HOUR, GENERATION, &[9; 24], &mut record);
        record
    }

    fn open(&self, envelope: &[u8]) -> Result<Opened, OpenError> {
        open(envelope, &self.key, &self.context)
    }

    fn refuses(&self, envelope: &[u8]) -> OpenError {
        self.open(envelope).err().expect("it must not open")
    }
}

#[test]
fn an_event_comes_back_with_all_that_it_had() {
    let acme = World::acme();
    let opened = acme.open(&acme.seal(b"{}")).expect("its own key");
    assert_eq!(opened.event_time(), HOUR.start().plus(17));
    assert_eq!((opened.header().hour, opened.header().generation), (HOUR, GENERATION));
    assert_eq!(opened.header().key_id, acme.key.key_id());
    let frame = opened.frame();
    assert_eq!(frame.key(), Some(&b"job-1"[..]));
    assert_eq!(frame.payload(), Some(&b"{}"[..]));
    assert!(frame.headers().eq([(&b"trace"[..], Some(&b"t1"[..])), (b"trace", None)]));
}

#[test]
fn an_event_without_key_and_headers_grows_by_68_bytes() {
    let acme = World::acme();
    let plain = Plain { milliseconds: 0, key: None, payload: Some(b"12345") };
    let mut arena = b"before".to_vec();
    let record = acme.sealer().append(&mut arena, &[9; 24], &plain, []).expect("it fits");
    assert_eq!(record, 6..6 + 5 + OVERHEAD);
    assert_eq!(&arena[..6], b"before");
    assert_eq!(acme.open(&arena[record]).expect("its own key").frame().payload(), Some(&b"12345"[..]));
}

#[test]
fn an_arena_is_as_before_when_an_event_does_not_fit() {
    let plain = Plain { milliseconds: 0, key: None, payload: None };
    let mut arena = b"before".to_vec();
    let name = vec![0; 70_000];
    let sealed = World::acme().sealer().append(&mut arena, &[9; 24], &plain, [(name.as_slice(), None)]);
    assert_eq!(sealed, Err(FrameError::NameTooLong));
    assert_eq!(arena, b"before");
}

#[test]
fn no_plaintext_is_left_in_an_envelope() {
    let envelope = World::acme().seal(b"the marker that must not be seen");
    for secret in [&b"marker"[..], b"job-1", b"trace"] {
        assert!(!envelope.windows(secret.len()).any(|window| window == secret));
    }
}

#[test]
fn each_refusal_has_its_name() {
    let acme = World::acme();
    let sealed = acme.seal(b"{}");
    let with = |at: usize, byte: u8| {
        let mut envelope = sealed.clone();
        envelope[at] = byte;
        envelope
    };
    assert_eq!(acme.refuses(b""), OpenError::NotAnEnvelope);
    assert_eq!(acme.refuses(&[MAGIC]), OpenError::NotAnEnvelope);
    assert_eq!(acme.refuses(&[MAGIC, SUITE]), OpenError::NotAnEnvelope);
    assert_eq!(acme.refuses(&sealed[..67]), OpenError::NotAnEnvelope);
    assert_eq!(acme.refuses(&with(0, b'{')), OpenError::NotAnEnvelope);
    assert_eq!(acme.refuses(&with(1, 2)), OpenError::UnknownSuite(2));
    assert_eq!(acme.refuses(&[MAGIC, 2]), OpenError::UnknownSuite(2), "its length is not ours to judge");
    assert_eq!(acme.refuses(&with(8, !sealed[8])), OpenError::WrongKey);
    assert_eq!(World::of("ajax", "jobs").refuses(&sealed), OpenError::WrongKey);
    assert_eq!(World::of("acme", "tasks").refuses(&sealed), OpenError::Tampered);
    assert_eq!(acme.refuses(&sealed[..sealed.len() - 1]), OpenError::Tampered);
    assert_eq!(acme.refuses(&acme.seal_raw(&[4, 0, 0, 0, 1])), OpenError::Tampered);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(envelope in vec(any::<u8>(), 0..200)) {
        prop_assert!(World::acme().open(&envelope).is_err());
        let with_magic = [&[MAGIC, SUITE][..], &envelope].concat();
        prop_assert!(World::acme().open(&with_magic).is_err());
    }

    #[test]
    fn no_authentic_plaintext_makes_it_panic(frame in vec(prop_oneof![Just(0u8), any::<u8>()], 4..80)) {
        let acme = World::acme();
        match acme.open(&acme.seal_raw(&frame)) {
            Ok(opened) => prop_assert!(opened.frame().milliseconds() < 3_600_000),
            Err(error) => prop_assert_eq!(error, OpenError::Tampered),
        }
    }

    #[test]
    fn no_changed_envelope_opens(payload in vec(any::<u8>(), 0..100), at: Index, flip in 1u8..) {
        let acme = World::acme();
        let mut envelope = acme.seal(&payload);
        let at = at.index(envelope.len());
        envelope[at] ^= flip;
        let expected = match at {
            0 => OpenError::NotAnEnvelope,
            1 => OpenError::UnknownSuite(SUITE ^ flip),
            8..24 => OpenError::WrongKey,
            _ => OpenError::Tampered,
        };
        prop_assert_eq!(acme.refuses(&envelope), expected);
    }

    #[test]
    fn no_shortened_or_lengthened_envelope_opens(cut: Index, more in vec(any::<u8>(), 1..20)) {
        let acme = World::acme();
        let envelope = acme.seal(b"payload");
        prop_assert!(acme.open(&envelope[..cut.index(envelope.len())]).is_err());
        prop_assert_eq!(acme.refuses(&[envelope.as_slice(), &more].concat()), OpenError::Tampered);
    }
}
