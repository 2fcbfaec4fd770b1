//! Reads frames: only canonical ones, and without copying.

use super::{EventHeader, HEADERS, KEY, KNOWN, NULL, NULL_PAYLOAD, within_hour};
use crate::model::{Hour, Millis};

/// Authentic bytes that are not a canonical frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a canonical frame")]
pub struct NotCanonical;

/// A canonical frame, borrowed from the plaintext. It has no `Debug`, because it is an event in the clear.
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
    /// [`NotCanonical`]: an unknown flag, milliseconds ≥ 3,600,000, headers flagged with count 0, a length
    /// beyond the end, or a payload byte after bit 2.
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
    type Item = EventHeader<'a>;

    fn next(&mut self) -> Option<EventHeader<'a>> {
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
fn take_header<'a>(rest: &mut &'a [u8]) -> Result<EventHeader<'a>, NotCanonical> {
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
