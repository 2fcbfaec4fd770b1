//! Frames: a frame that parses is written back to the same bytes, and a written frame parses to
//! the same values.

use arbitrary::{Arbitrary, Unstructured};
use hourseal::envelope::frame::{self, EventHeader, Frame, MIN_FRAME_LEN, Plain};
use hourseal::model::Hour;

use crate::memory::within;
use crate::vectors;

pub fn run(data: &[u8]) {
    any_bytes(data);
    if let Ok(event) = Event::arbitrary_take_rest(Unstructured::new(data)) {
        any_event(&event);
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    vectors::frames()
}

/// Reading needs no memory. Writing the parsed frame gives the same bytes.
fn any_bytes(bytes: &[u8]) {
    let Ok(frame) = within(0, || Frame::parse(bytes)) else { return };
    assert!(bytes.len() >= MIN_FRAME_LEN);
    let (start, time) = (Hour(7).start().0, frame.event_time(Hour(7)).0);
    assert!((start..start + 3_600_000).contains(&time));
    assert_eq!(frame.headers().len(), frame.headers().count());
    assert_eq!(written(&plain_of(&frame), frame.headers()), bytes);
}

/// A written frame is read back with the same values.
fn any_event(event: &Event<'_>) {
    let plain =
        Plain { milliseconds: event.milliseconds % 3_600_000, key: event.key, payload: event.payload };
    let bytes = written(&plain, event.headers.iter().copied());
    let frame = within(0, || Frame::parse(&bytes)).expect("what `write` writes is canonical");
    assert_eq!(frame.milliseconds(), plain.milliseconds);
    assert_eq!((frame.key(), frame.payload()), (plain.key, plain.payload));
    assert!(frame.headers().eq(event.headers.iter().copied()));
}

#[derive(Arbitrary)]
struct Event<'a> {
    milliseconds: u32,
    key: Option<&'a [u8]>,
    payload: Option<&'a [u8]>,
    headers: Vec<EventHeader<'a>>,
}

pub(super) fn plain_of<'a>(frame: &Frame<'a>) -> Plain<'a> {
    Plain { milliseconds: frame.milliseconds(), key: frame.key(), payload: frame.payload() }
}

fn written<'a>(plain: &Plain<'_>, headers: impl IntoIterator<Item = EventHeader<'a>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, plain, headers).expect("the event of a short input fits");
    bytes
}
