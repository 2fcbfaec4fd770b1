//! Input and output records: borrowed, never printed.

use std::ffi::CStr;

use crate::model::Millis;

/// The headers of a record, in order and with repeats.
pub trait Headers {
    fn count(&self) -> usize;

    /// Name and value of the header at `index` < [`Headers::count`]; a null value is `None`.
    fn at(&self, index: usize) -> (&[u8], Option<&[u8]>);
}

/// A record without headers.
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn count(&self) -> usize {
        0
    }

    fn at(&self, _index: usize) -> (&[u8], Option<&[u8]>) {
        unreachable!("it has no headers")
    }
}

impl Headers for &[(Vec<u8>, Option<Vec<u8>>)] {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, index: usize) -> (&[u8], Option<&[u8]>) {
        let (name, value) = &self[index];
        (name, value.as_deref())
    }
}

/// A record of the input, borrowed from the client for the length of one call.
pub struct Input<'a> {
    pub partition: i32,
    pub offset: i64,
    /// The record's own timestamp, if it has one.
    pub timestamp: Option<Millis>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a dyn Headers,
}

/// The answer of a step to a record that it has taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Take {
    More,
    /// The batch is full. The record was still taken.
    Enough,
}

/// A topic that a sink writes to: its index in the connector's list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TopicIndex(pub usize);

/// A record to send.
pub struct Outgoing<'a> {
    pub topic: TopicIndex,
    /// `None` = the client's partitioner chooses by key.
    pub partition: Option<i32>,
    pub timestamp: Millis,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a CStr, &'a [u8])],
}

/// A record that may be handed to a producer. Only `lane::Sealed` and `forget`'s receipt implement it
/// (`tests/it/rooms.rs`): plaintext cannot leave.
pub trait Publish {
    fn outgoing(&self) -> Outgoing<'_>;
}
