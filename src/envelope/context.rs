//! The context of an envelope: customer and stream. An envelope is bound to them, but does not carry them.

use super::HEADER_LEN;
use crate::model::CustomerId;

/// The configured logical name of a stream (`seal.stream`). It is not a topic, so records of mirrored topics
/// still open.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StreamName(String);

/// The reason why a string is not a stream name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StreamNameError {
    #[error("a stream name must not be empty")]
    Empty,
    #[error("a stream name must not be longer than 244 bytes")]
    TooLong,
    #[error("a stream name must not end with \".quarantine\", which is reserved")]
    Reserved,
}

impl StreamName {
    /// Longest configured name, in bytes. With `.quarantine` it has at most 255.
    pub const MAX_LEN: usize = 255 - Self::QUARANTINE.len();

    const QUARANTINE: &'static str = ".quarantine";

    /// Parses a configured name of 1 to 244 bytes. It must not end like a quarantine's name: two streams
    /// would then share one name.
    ///
    /// # Errors
    /// See [`StreamNameError`].
    pub fn parse(name: &str) -> Result<Self, StreamNameError> {
        match name.len() {
            0 => Err(StreamNameError::Empty),
            n if n > Self::MAX_LEN => Err(StreamNameError::TooLong),
            _ if name.ends_with(Self::QUARANTINE) => Err(StreamNameError::Reserved),
            _ => Ok(Self(name.to_owned())),
        }
    }

    /// Returns `<stream>.quarantine`, under which the quarantined records of this stream are sealed. The
    /// quarantine of a quarantine is itself.
    pub fn quarantine(&self) -> Self {
        if self.0.ends_with(Self::QUARANTINE) {
            self.clone()
        } else {
            Self(self.0.clone() + Self::QUARANTINE)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The tail of the AAD, encoded once per customer: u16 len ‖ customer ‖ u16 len ‖ stream. No heap.
#[derive(Clone)]
pub struct Context {
    /// 48 bytes reserved for the envelope's header, then the tail.
    aad: [u8; Self::MAX_LEN],
    len: usize,
}

impl Context {
    const MAX_LEN: usize = HEADER_LEN + 2 + CustomerId::MAX_LEN + 2 + 255;

    pub fn new(customer: &CustomerId, stream: &StreamName) -> Self {
        let mut context = Self { aad: [0; Self::MAX_LEN], len: HEADER_LEN };
        context.push(customer.as_bytes());
        context.push(stream.as_str().as_bytes());
        context
    }

    /// u16 len ‖ bytes.
    fn push(&mut self, bytes: &[u8]) {
        let len = u16::try_from(bytes.len()).expect("a customer id has at most 256 bytes, a stream name 255");
        for part in [&len.to_be_bytes(), bytes] {
            self.aad[self.len..self.len + part.len()].copy_from_slice(part);
            self.len += part.len();
        }
    }

    /// Lends aad = envelope\[0..48\] ‖ tail to `act`, from a copy on the stack.
    pub(super) fn with_aad<T>(&self, header: &[u8; HEADER_LEN], act: impl FnOnce(&[u8]) -> T) -> T {
        let mut aad = self.aad;
        aad[..HEADER_LEN].copy_from_slice(header);
        act(&aad[..self.len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_tells_customer_and_stream_apart() {
        let aad = |customer: &str, stream: &str| {
            let customer = CustomerId::parse(customer).expect("a valid id");
            let context = Context::new(&customer, &StreamName::parse(stream).expect("a valid name"));
            context.with_aad(&[0xab; HEADER_LEN], <[u8]>::to_vec)
        };
        assert_eq!(aad("acme", "jobs"), [&[0xab; 48][..], b"\0\x04acme\0\x04jobs"].concat());
        assert_ne!(aad("ac", "mejobs"), aad("acme", "jobs"));
        assert_eq!(aad(&"c".repeat(256), &"s".repeat(244)).len(), 48 + 2 + 256 + 2 + 244);
    }

    #[test]
    fn the_longest_name_has_a_quarantine() {
        assert_eq!(StreamName::parse(""), Err(StreamNameError::Empty));
        assert_eq!(StreamName::parse(&"s".repeat(245)), Err(StreamNameError::TooLong));
        let longest = StreamName::parse(&"s".repeat(244)).expect("the longest name").quarantine();
        assert_eq!(longest.as_str().len(), 255);
        assert_eq!(StreamName::parse("jobs.quarantine"), Err(StreamNameError::Reserved));
        let customer = CustomerId::parse(&"c".repeat(256)).expect("the longest id");
        let _ = Context::new(&customer, &longest);
        assert_eq!(longest.quarantine(), longest);
    }
}
