//! A record as one JSON line. A file of such lines can be read without a cluster (`demo --keep`,
//! `open --file`).
//!
//! `{"topic","partition","offset","timestamp","key","value","headers":[[name,value],..]}`: the timestamp is
//! in milliseconds since the epoch, or null. Key, value, header names and header values are in base64 (RFC
//! 4648 section 4); a null stays null.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{OwnedHeader, Scanned};
use crate::model::Millis;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

impl Scanned {
    /// One line, without its end.
    pub fn to_json_line(&self) -> String {
        let line = Line {
            topic: self.topic.clone(),
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp.map(|Millis(at)| at),
            key: encode(self.key.as_deref()),
            value: encode(self.value.as_deref()),
            headers: self
                .headers
                .iter()
                .map(|(name, value)| (STANDARD.encode(name), encode(value.as_deref())))
                .collect(),
        };
        serde_json::to_string(&line).expect("strings, numbers and lists are JSON")
    }

    /// `None` if the line is not a record.
    pub fn from_json_line(line: &str) -> Option<Self> {
        let line: Line = serde_json::from_str(line).ok()?;
        let header = |(name, value): (String, Option<String>)| -> Option<OwnedHeader> {
            Some((STANDARD.decode(name).ok()?, decode(value)?))
        };
        Some(Self {
            topic: line.topic,
            partition: line.partition,
            offset: line.offset,
            timestamp: line.timestamp.map(Millis),
            key: decode(line.key)?,
            value: decode(line.value)?,
            headers: line.headers.into_iter().map(header).collect::<Option<_>>()?,
        })
    }
}

fn encode(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| STANDARD.encode(bytes))
}

/// The outer `None` is an error, the inner `None` a null.
fn decode(text: Option<String>) -> Option<Option<Vec<u8>>> {
    text.map(|text| STANDARD.decode(text).ok()).map_or(Some(None), |bytes| bytes.map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_from_its_line() {
        let record = Scanned {
            topic: "jobs.sealed".to_owned(),
            partition: 3,
            offset: 42,
            timestamp: Some(Millis(1_795_500_000_000)),
            key: None,
            value: Some(vec![0xe9, 1, 0, 255]),
            headers: vec![(b"\xff".to_vec(), None), (b"a".to_vec(), Some(Vec::new()))],
        };
        let line = record.to_json_line();
        let again = Scanned::from_json_line(&line).expect("a record");
        assert_eq!(again.to_json_line(), line);
        assert_eq!((again.key, again.value, again.headers), (record.key, record.value, record.headers));
        assert!(Scanned::from_json_line("{}").is_none());
        assert!(Scanned::from_json_line(&line.replace("null", "\"?\"")).is_none());
    }
}
