//! Writes frames, on the hot path, into an existing buffer.

use zeroize::Zeroize;

use super::{EventHeader, HEADERS, KEY, NULL, NULL_PAYLOAD, Plain, within_hour};

/// The reason why an event does not fit a frame. Except for the first two, Kafka's own limits are narrower.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    #[error("more than 65,535 headers")]
    TooManyHeaders,
    #[error("a header name is longer than 65,535 bytes")]
    NameTooLong,
    #[error("a key or a header value is longer than 4,294,967,294 bytes")]
    TooLong,
}

/// Appends the frame of an event to `buf`. After an error `buf` is as before and holds nothing of the event.
///
/// # Errors
/// See [`FrameError`].
///
/// # Panics
/// If `milliseconds` is not within an hour. [`crate::model::Hour::offset_of`] never returns such a number for
/// a time of its hour.
pub fn write<'h>(
    buf: &mut Vec<u8>,
    plain: &Plain<'_>,
    headers: impl IntoIterator<Item = EventHeader<'h>>,
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
    headers: impl IntoIterator<Item = EventHeader<'h>>,
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

/// flags ‖ u24 milliseconds. The flag of the headers is not set yet.
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

/// Appends u16 count ‖ headers, or nothing if there are no headers. Returns whether there was one. The count
/// is written last, because librdkafka's headers can only be iterated.
fn push_headers<'h>(
    buf: &mut Vec<u8>,
    headers: impl IntoIterator<Item = EventHeader<'h>>,
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

fn push_header(buf: &mut Vec<u8>, (name, value): EventHeader<'_>) -> Result<(), FrameError> {
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

/// Encodes a length as u32. The largest number encodes a null header value and is never a length.
fn length(bytes: &[u8]) -> Result<[u8; 4], FrameError> {
    match u32::try_from(bytes.len()) {
        Ok(len) if len != NULL => Ok(len.to_be_bytes()),
        _ => Err(FrameError::TooLong),
    }
}
