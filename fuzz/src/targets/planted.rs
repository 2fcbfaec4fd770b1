//! Must fail: a panic after a frame that chance does not produce. The fuzzer can find it only if the
//! comparisons in the parser of the crate under test guide it.

use hourseal::envelope::frame::Frame;

pub fn run(data: &[u8]) {
    let Ok(frame) = Frame::parse(data) else { return };
    let has_null = frame.headers().any(|(_, value)| value.is_none());
    if frame.key().is_some() && has_null && frame.payload().is_none() {
        panic!("planted: a key, a null header, a null payload");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    Vec::new()
}
