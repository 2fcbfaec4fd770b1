//! A record of the output topic, as it was consumed.

use crate::envelope::frame::EventHeader;
use crate::model::{CustomerId, QUARANTINE_CUSTOMER};

/// Carries the customer's id if the record's key does not (`seal.key = none | input`).
pub const CUSTOMER_HEADER: &[u8] = b"hourseal-customer";

/// The parts of a record that a reader gets.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [EventHeader<'a>],
}

impl Record<'_> {
    /// Returns the customer in the header `hourseal-customer`, or in the key if there is no such header.
    ///
    /// `None` if there are two such headers, or if the text is not an id. Sealing makes no such record.
    pub fn customer(&self) -> Option<CustomerId> {
        let mut named = self.headers.iter().filter(|(name, _)| *name == CUSTOMER_HEADER);
        match (named.next(), named.next()) {
            (None, _) => parse(self.key?),
            (Some((_, value)), None) => parse((*value)?),
            (Some(_), Some(_)) => None,
        }
    }
}

/// An id as a sealed record carries it: a customer's, or the quarantine's reserved one.
fn parse(id: &[u8]) -> Option<CustomerId> {
    match str::from_utf8(id).ok()? {
        QUARANTINE_CUSTOMER => Some(CustomerId::quarantine()),
        id => CustomerId::parse(id).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_by(key: Option<&[u8]>, headers: &[EventHeader<'_>]) -> Option<String> {
        Record { key, value: None, headers }.customer().map(|customer| customer.as_str().to_owned())
    }

    #[test]
    fn the_key_names_the_customer_unless_a_header_does() {
        let by_header = (CUSTOMER_HEADER, Some(&b"acme"[..]));
        let other = (&b"trace"[..], None);
        assert_eq!(named_by(Some(b"acme"), &[other]).as_deref(), Some("acme"));
        assert_eq!(named_by(Some(b"job-1"), &[other, by_header]).as_deref(), Some("acme"));
        assert_eq!(named_by(None, &[by_header]).as_deref(), Some("acme"));
        assert_eq!(named_by(Some(b"~quarantine"), &[]).as_deref(), Some("~quarantine"));
    }

    #[test]
    fn what_is_no_id_or_not_one_id_names_nobody() {
        let header = |value| (CUSTOMER_HEADER, value);
        assert_eq!(named_by(None, &[]), None);
        assert_eq!(named_by(Some(b""), &[]), None);
        assert_eq!(named_by(Some(b"\xff"), &[]), None);
        assert_eq!(named_by(Some(b"~other"), &[]), None);
        assert_eq!(named_by(Some(&[b'c'; 257]), &[]), None);
        assert_eq!(named_by(Some(b"acme"), &[header(None)]), None);
        assert_eq!(named_by(Some(b"acme"), &[header(Some(b""))]), None);
        assert_eq!(named_by(Some(b"acme"), &[header(Some(b"acme")), header(Some(b"acme"))]), None);
    }
}
