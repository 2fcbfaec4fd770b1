//! The plaintext of an envelope: everything of the event, and one way only to write it.
//!
//! ```text
//! frame = flags u8 ‖ u24 milliseconds within the hour
//!         ‖ [key: u32 len ‖ bytes]                                       if flags bit 0
//!         ‖ [headers: u16 count ‖ (u16 len ‖ name ‖ u32 len ‖ value)*]   if flags bit 1
//!         ‖ payload                                                      the rest, none if flags bit 2
//! ```
//!
//! Promise: [`Frame::parse`] accepts exactly what [`write`] can write.

use zeroize::Zeroize;

use crate::model::{Hour, MILLIS_PER_HOUR, Millis};

const KEY: u8 = 1 << 0;
const HEADERS: u8 = 1 << 1;
const NULL_PAYLOAD: u8 = 1 << 2;
const KNOWN: u8 = KEY | HEADERS | NULL_PAYLOAD;

/// The length that stands for a null header value.
const NULL: u32 = u32::MAX;

/// Bytes of the shortest frame: flags and milliseconds, no key, no headers, no payload.
pub const MIN_FRAME_LEN: usize = 4;

/// An event but for its headers, as it is to be sealed.
#[derive(Clone, Copy)]
pub struct Plain<'a> {
    /// Event time within its hour, 0 to 3,599,999 ([`Hour::offset_of`]).
    pub milliseconds: u32,
    /// The input key; present and empty is not absent.
    pub key: Option<&'a [u8]>,
    /// `None` is a null payload, which is not an empty one.
    pub payload: Option<&'a [u8]>,
}

/// A header: its name's bytes and its value, which may be null.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// Why an event does not fit a frame. Kafka's own limits are narrower but for the first two.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    #[error("more than 65,535 headers")]
    TooManyHeaders,
    #[error("a header name is longer than 65,535 bytes")]
    NameTooLong,
    #[error("a key or a header value is longer than 4,294,967,294 bytes")]
    TooLong,
}

/// Appends the frame of an event to `buf`, which is as before on an error, and holds nothing of the event.
///
/// # Errors
/// See [`FrameError`].
///
/// # Panics
/// When `milliseconds` is not within an hour: [`Hour::offset_of`] gives no such number for a time of its hour.
pub fn write<'h>(
    buf: &mut Vec<u8>,
    plain: &Plain<'_>,
    headers: impl IntoIterator<Item = Header<'h>>,
) -> Result<(), FrameError> {
    let start = buf.len();
    let written = try_write(buf, plain, headers);
    if written.is_err() {
        buf[start..].zeroize();
        buf.truncate(start);
    }
    written
}

fn try_write<'h>(
    buf: &mut Vec<u8>,
    plain: &Plain<'_>,
    headers: impl IntoIterator<Item = Header<'h>>,
) -> Result<(), FrameError> {
    let start = buf.len();
    buf.extend_from_slice(&prefix(plain));
    if let Some(key) = plain.key {
        buf.extend_from_slice(&length(key)?);
        buf.extend_from_slice(key);
    }
    if push_headers(buf, headers)? {
        buf[start] |= HEADERS;
    }
    buf.extend_from_slice(plain.payload.unwrap_or_default());
    Ok(())
}

/// flags ‖ u24 milliseconds, the flag of the headers still missing.
fn prefix(plain: &Plain<'_>) -> [u8; 4] {
    assert!(within_hour(plain.milliseconds), "the milliseconds of an event are those within its hour");
    let mut prefix = plain.milliseconds.to_be_bytes();
    if plain.key.is_some() {
        prefix[0] |= KEY;
    }
    if plain.payload.is_none() {
        prefix[0] |= NULL_PAYLOAD;
    }
    prefix
}

/// u16 count ‖ headers, or nothing where there is none; answers whether there was one.
/// The count is written last: librdkafka's headers are walked, not counted.
fn push_headers<'h>(
    buf: &mut Vec<u8>,
    headers: impl IntoIterator<Item = Header<'h>>,
) -> Result<bool, FrameError> {
    let start = buf.len();
    let mut count = 0u16;
    for header in headers {
        if count == 0 {
            buf.extend_from_slice(&[0; 2]);
        }
        count = count.checked_add(1).ok_or(FrameError::TooManyHeaders)?;
        push_header(buf, header)?;
    }
    if count > 0 {
        buf[start..start + 2].copy_from_slice(&count.to_be_bytes());
    }
    Ok(count > 0)
}

fn push_header(buf: &mut Vec<u8>, (name, value): Header<'_>) -> Result<(), FrameError> {
    let len = u16::try_from(name.len()).map_err(|_| FrameError::NameTooLong)?;
    buf.extend_from_slice(&len.to_be_bytes());
    buf.extend_from_slice(name);
    match value {
        None => buf.extend_from_slice(&NULL.to_be_bytes()),
        Some(value) => {
            buf.extend_from_slice(&length(value)?);
            buf.extend_from_slice(value);
        }
    }
    Ok(())
}

/// u32 len; the largest number is a null header value's and nobody's length.
fn length(bytes: &[u8]) -> Result<[u8; 4], FrameError> {
    match u32::try_from(bytes.len()) {
        Ok(len) if len != NULL => Ok(len.to_be_bytes()),
        _ => Err(FrameError::TooLong),
    }
}

fn within_hour(milliseconds: u32) -> bool {
    i64::from(milliseconds) < MILLIS_PER_HOUR
}

/// Authentic bytes that are no canonical frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a canonical frame")]
pub struct NotCanonical;

/// A canonical frame, borrowed from the plaintext. No `Debug`: it is an event in the clear.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    milliseconds: u32,
    key: Option<&'a [u8]>,
    headers: Headers<'a>,
    payload: Option<&'a [u8]>,
}

impl<'a> Frame<'a> {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`NotCanonical`]: an unknown flag, milliseconds ≥ 3,600,000, headers flagged with count 0, a length beyond the end,
    /// or a payload byte after bit 2.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotCanonical> {
        let mut rest = bytes;
        let prefix = u32::from_be_bytes(take_array(&mut rest)?);
        let (flags, milliseconds) = ((prefix >> 24) as u8, prefix & 0x00ff_ffff);
        if flags & !KNOWN != 0 || !within_hour(milliseconds) {
            return Err(NotCanonical);
        }
        let key = if flags & KEY == 0 { None } else { Some(take_sized(&mut rest)?) };
        let headers = if flags & HEADERS == 0 { Headers::NONE } else { take_headers(&mut rest)? };
        let payload = match (flags & NULL_PAYLOAD == 0, rest) {
            (true, payload) => Some(payload),
            (false, []) => None,
            (false, _) => return Err(NotCanonical),
        };
        Ok(Self { milliseconds, key, headers, payload })
    }

    /// Event time within its hour.
    pub fn milliseconds(&self) -> u32 {
        self.milliseconds
    }

    /// Event time = hour × 3,600,000 + milliseconds.
    pub fn event_time(&self, hour: Hour) -> Millis {
        hour.start().plus(i64::from(self.milliseconds))
    }

    pub fn key(&self) -> Option<&'a [u8]> {
        self.key
    }

    /// The headers in their order, repeats included.
    pub fn headers(&self) -> Headers<'a> {
        self.headers
    }

    /// `None` is a null payload.
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.payload
    }
}

/// Headers whose lengths have been checked.
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    left: u16,
    bytes: &'a [u8],
}

impl Headers<'_> {
    const NONE: Self = Self { left: 0, bytes: &[] };
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(take_header(&mut self.bytes).expect("`take_headers` walked over every header"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// u16 count ≥ 1 ‖ headers.
fn take_headers<'a>(rest: &mut &'a [u8]) -> Result<Headers<'a>, NotCanonical> {
    let count = u16::from_be_bytes(take_array(rest)?);
    if count == 0 {
        return Err(NotCanonical);
    }
    let headers = Headers { left: count, bytes: rest };
    for _ in 0..count {
        take_header(rest)?;
    }
    Ok(headers)
}

/// u16 len ‖ name ‖ u32 len ‖ value.
fn take_header<'a>(rest: &mut &'a [u8]) -> Result<Header<'a>, NotCanonical> {
    let len = u16::from_be_bytes(take_array(rest)?);
    let name = take(rest, usize::from(len))?;
    match u32::from_be_bytes(take_array(rest)?) {
        NULL => Ok((name, None)),
        len => Ok((name, Some(take(rest, len as usize)?))),
    }
}

/// u32 len ‖ bytes.
fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], NotCanonical> {
    match u32::from_be_bytes(take_array(rest)?) {
        NULL => Err(NotCanonical),
        len => take(rest, len as usize),
    }
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], NotCanonical> {
    let (array, after) = rest.split_first_chunk().ok_or(NotCanonical)?;
    *rest = after;
    Ok(*array)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], NotCanonical> {
    let (taken, after) = rest.split_at_checked(len).ok_or(NotCanonical)?;
    *rest = after;
    Ok(taken)
}
