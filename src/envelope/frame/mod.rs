//! The plaintext of an envelope. It holds the whole event, and each event has only one encoding.
//!
//! ```text
//! frame = flags u8 ‖ u24 milliseconds within the hour
//!         ‖ [key: u32 len ‖ bytes]                                       if flags bit 0
//!         ‖ [headers: u16 count ‖ (u16 len ‖ name ‖ u32 len ‖ value)*]   if flags bit 1
//!         ‖ payload                                                      the rest, none if flags bit 2
//! ```
//!
//! Promise: [`Frame::parse`] accepts exactly what [`write()`] can write.

mod parse;
mod write;

pub use parse::{Frame, Headers, NotCanonical};
pub use write::{FrameError, write};

use crate::model::MILLIS_PER_HOUR;

const KEY: u8 = 1 << 0;
const HEADERS: u8 = 1 << 1;
const NULL_PAYLOAD: u8 = 1 << 2;
const KNOWN: u8 = KEY | HEADERS | NULL_PAYLOAD;

/// The length that encodes a null header value.
const NULL: u32 = u32::MAX;

/// Bytes of the shortest frame: flags and milliseconds, no key, no headers, no payload.
pub const MIN_FRAME_LEN: usize = 4;

/// An event to be sealed, without its headers.
#[derive(Clone, Copy)]
pub struct Plain<'a> {
    /// Event time within its hour, 0 to 3,599,999 ([`crate::model::Hour::offset_of`]).
    pub milliseconds: u32,
    /// The input key. An empty key differs from an absent key.
    pub key: Option<&'a [u8]>,
    /// `None` is a null payload. It differs from an empty payload.
    pub payload: Option<&'a [u8]>,
}

/// A header: its name's bytes and its value, which may be null.
pub type EventHeader<'a> = (&'a [u8], Option<&'a [u8]>);

fn within_hour(milliseconds: u32) -> bool {
    i64::from(milliseconds) < MILLIS_PER_HOUR
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn written(plain: &Plain<'_>, headers: &[(&[u8], Option<&[u8]>)]) -> Vec<u8> {
        let mut buf = Vec::new();
        write(&mut buf, plain, headers.iter().copied()).expect("it fits");
        buf
    }

    fn bare() -> Plain<'static> {
        Plain { milliseconds: 0x01_02_03, key: None, payload: Some(b"") }
    }

    #[test]
    fn the_layout_is_the_schemas() {
        assert_eq!(written(&bare(), &[]), [0, 1, 2, 3]);
        assert_eq!(written(&Plain { payload: None, ..bare() }, &[]), [4, 1, 2, 3]);
        assert_eq!(written(&Plain { key: Some(b""), ..bare() }, &[]), [1, 1, 2, 3, 0, 0, 0, 0]);
        assert_eq!(
            written(
                &Plain { key: Some(b"k"), payload: Some(b"pay"), ..bare() },
                &[(b"a", Some(b"xy")), (b"", None)]
            ),
            b"\x03\x01\x02\x03\0\0\0\x01k\0\x02\0\x01a\0\0\0\x02xy\0\0\xff\xff\xff\xffpay"
        );
    }

    #[test]
    fn what_does_not_fit_leaves_the_buffer_as_it_was() {
        let name = vec![b'n'; 65_536];
        let mut buf = b"before".to_vec();
        let too_long = write(&mut buf, &bare(), [(&b"a"[..], None), (name.as_slice(), None)]);
        assert_eq!(too_long, Err(FrameError::NameTooLong));
        let too_many = write(&mut buf, &bare(), (0..65_536).map(|_| (&b"a"[..], None)));
        assert_eq!(too_many, Err(FrameError::TooManyHeaders));
        assert_eq!(buf, b"before");
    }

    #[test]
    fn as_many_headers_as_the_count_can_say_come_back() {
        let headers = vec![(&b"name"[..], Some(&b"value"[..])); 65_535];
        let bytes = written(&bare(), &headers);
        let frame = Frame::parse(&bytes).expect("canonical");
        assert_eq!(frame.headers().len(), 65_535);
        assert!(frame.headers().eq(headers));
    }

    fn check_not_canonical(what: &str, bytes: &[u8]) {
        assert!(Frame::parse(bytes).is_err(), "{what}");
    }

    #[test]
    fn what_no_writer_writes_is_not_canonical() {
        check_not_canonical("nothing", b"");
        check_not_canonical("three bytes", &[0, 0, 0]);
        for flag in 3..8 {
            check_not_canonical("an unknown flag", &[1 << flag, 0, 0, 0]);
        }
        check_not_canonical("a whole hour", &[0, 0x36, 0xee, 0x80]);
        check_not_canonical("headers flagged, none there", &[2, 0, 0, 0]);
        check_not_canonical("headers flagged, count 0", &[2, 0, 0, 0, 0, 0]);
        check_not_canonical("a null payload with a byte", &[4, 0, 0, 0, 9]);
        check_not_canonical("a key beyond the end", &[1, 0, 0, 0, 0, 0, 0, 2, 9]);
        check_not_canonical("a null key", &[1, 0, 0, 0, 255, 255, 255, 255]);
        check_not_canonical("a name beyond the end", &[2, 0, 0, 0, 0, 1, 0, 9, 9]);
        check_not_canonical("a value beyond the end", &[2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert!(Frame::parse(&[0, 0x36, 0xee, 0x7f]).is_ok(), "the last millisecond");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            milliseconds in 0u32..3_600_000,
            key in option::of(vec(any::<u8>(), 0..40)),
            payload in option::of(vec(any::<u8>(), 0..100)),
            headers in vec((vec(any::<u8>(), 0..10), option::of(vec(any::<u8>(), 0..20))), 0..8),
        ) {
            let plain = Plain { milliseconds, key: key.as_deref(), payload: payload.as_deref() };
            let headers: Vec<_> = headers.iter().map(|(n, v)| (n.as_slice(), v.as_deref())).collect();
            let bytes = written(&plain, &headers);
            let frame = Frame::parse(&bytes).expect("canonical");
            prop_assert_eq!(frame.milliseconds(), milliseconds);
            prop_assert_eq!(frame.key(), key.as_deref());
            prop_assert_eq!(frame.payload(), payload.as_deref());
            prop_assert!(frame.headers().eq(headers));
        }

        /// Flags and counts are kept small so that many of the inputs parse.
        #[test]
        fn what_is_read_is_written_back_byte_for_byte(
            flags in 0u8..9,
            rest in vec(prop_oneof![3 => Just(0u8), 1 => 0u8..4, 1 => any::<u8>()], 0..40),
        ) {
            let bytes = [&[flags][..], &rest].concat();
            if let Ok(frame) = Frame::parse(&bytes) {
                let plain =
                    Plain { milliseconds: frame.milliseconds(), key: frame.key(), payload: frame.payload() };
                prop_assert_eq!(written(&plain, &frame.headers().collect::<Vec<_>>()), bytes);
            }
        }
    }
}
