//! Records on their way in and out: borrowed, never printed.

use std::ffi::CStr;

use crate::model::Millis;

/// The headers of a record, in their order, repeats kept.
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
        unreachable!("there is no header to ask for")
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
    /// The record's own timestamp, where it has one.
    pub timestamp: Option<Millis>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a dyn Headers,
}

/// What a step answers to a record that it has taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Take {
    More,
    /// The batch is full; the record was taken all the same.
    Enough,
}

/// A topic that a sink writes to, by its place in the connector's list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TopicIndex(pub usize);

/// A record on its way out.
pub struct Outgoing<'a> {
    pub topic: TopicIndex,
    /// `None` = the client's partitioner decides by key.
    pub partition: Option<i32>,
    pub timestamp: Millis,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a CStr, &'a [u8])],
}

/// What may be handed to a producer. Implemented by `lane::Sealed` and by `forget`'s receipt, and by nothing else
/// (`tests/it/rooms.rs`): plaintext has no way out.
pub trait Publish {
    fn outgoing(&self) -> Outgoing<'_>;
}
