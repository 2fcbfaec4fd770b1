//! The vectors of `tests/vectors/envelope`, which are seeds of the corpora.

use std::path::Path;

use hourseal::envelope::Plain;
use hourseal::envelope::frame::{self, EventHeader};
use serde_json::Value;

pub(crate) struct Vector(Value);

impl Vector {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// Returns the bytes of a hex field; none if the field is missing.
    pub(crate) fn bytes(&self, field: &str) -> Vec<u8> {
        hex::decode(self.text(field)).expect("vectors are hex")
    }

    pub(crate) fn number(&self, field: &str) -> u32 {
        self.0[field].as_u64().and_then(|number| number.try_into().ok()).unwrap_or_default()
    }

    /// Returns the frame of a vector that opens.
    fn frame(&self) -> Option<Vec<u8>> {
        let optional = |value: &Value| value.as_str().map(|text| hex::decode(text).expect("vectors are hex"));
        let [key, payload] = ["key", "payload"].map(|field| optional(&self.0[field]));
        let headers: Vec<_> = (self.0["headers"].as_array()?.iter())
            .map(|pair| (optional(&pair[0]).expect("a name"), optional(&pair[1])))
            .collect();
        let milliseconds = self.number("milliseconds");
        Some(written(&Plain { milliseconds, key: key.as_deref(), payload: payload.as_deref() }, &headers))
    }
}

fn written(plain: &Plain<'_>, headers: &[(Vec<u8>, Option<Vec<u8>>)]) -> Vec<u8> {
    let headers = headers.iter().map(|(name, value)| -> EventHeader<'_> { (name, value.as_deref()) });
    let mut frame = Vec::new();
    frame::write(&mut frame, plain, headers).expect("a vector's event fits");
    frame
}

/// Returns the vectors that are envelopes, or those that are wrapped DEKs.
pub(crate) fn vectors(are_wrapped: bool) -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/envelope");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of the vectors")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    let read = |path| std::fs::read(path).expect("a readable vector");
    (paths.iter().map(|path| Vector(serde_json::from_slice(&read(path)).expect("JSON"))))
        .filter(|vector| vector.text("name").starts_with("wrapped_") == are_wrapped)
        .collect()
}

/// Returns the frames of the vectors that open.
pub(crate) fn frames() -> Vec<Vec<u8>> {
    vectors(false).iter().filter_map(Vector::frame).collect()
}
