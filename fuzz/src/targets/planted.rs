//! Must fail: a panic behind a frame that chance does not write. Whoever finds it was guided by what the parser of the crate under
//! test compares.

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
