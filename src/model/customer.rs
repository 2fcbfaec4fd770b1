//! Customers and their pseudonyms.

use std::fmt;
use std::sync::Arc;

/// The reserved customer whose slots hold quarantined records without a known customer.
pub const QUARANTINE_CUSTOMER: &str = "~quarantine";

/// A customer's id: 1 to 256 bytes of UTF-8, used byte for byte, not starting with `~` (reserved).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomerId(Arc<str>);

impl CustomerId {
    /// Longest id, in bytes.
    pub const MAX_LEN: usize = 256;

    /// Parses an id from an event.
    ///
    /// # Errors
    /// Says which rule is broken, never the id itself.
    pub fn parse(id: &str) -> Result<Self, CustomerError> {
        Self::check(id)?;
        Ok(Self(id.into()))
    }

    /// Checks the rules of [`CustomerId::parse`] without creating an id.
    pub fn check(id: &str) -> Result<(), CustomerError> {
        match id.len() {
            0 => Err(CustomerError::Empty),
            n if n > Self::MAX_LEN => Err(CustomerError::TooLong),
            _ if id.starts_with('~') => Err(CustomerError::Reserved),
            _ => Ok(()),
        }
    }

    /// The reserved customer of the quarantine.
    pub fn quarantine() -> Self {
        Self(QUARANTINE_CUSTOMER.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('~')
    }
}

impl fmt::Debug for CustomerId {
    /// A customer's id is personal data and must not be printed by accident.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerId(..)")
    }
}

/// The reason why a string is not a customer id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CustomerError {
    #[error("a customer id must not be empty")]
    Empty,
    #[error("a customer id must not start with '~', which is reserved")]
    Reserved,
    #[error("a customer id must not be longer than 256 bytes")]
    TooLong,
}

/// A customer's pseudonym outside the events: 16 bytes of HMAC-SHA256 under the store's token key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub [u8; 16]);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_1_to_256_bytes_and_never_reserved() {
        assert_eq!(CustomerId::parse("").unwrap_err(), CustomerError::Empty);
        assert_eq!(CustomerId::parse("~quarantine").unwrap_err(), CustomerError::Reserved);
        assert!(CustomerId::parse(&"x".repeat(256)).is_ok());
        assert_eq!(CustomerId::parse(&"x".repeat(257)).unwrap_err(), CustomerError::TooLong);
        assert_eq!(CustomerId::parse(&"é".repeat(129)).unwrap_err(), CustomerError::TooLong);
    }

    #[test]
    fn debug_never_shows_the_id() {
        let id = CustomerId::parse("acme").expect("a valid id");
        assert_eq!(format!("{id:?}"), "CustomerId(..)");
    }
}
