//! Pseudonyms of customers.

use ring::hmac;
use zeroize::Zeroizing;

use crate::model::{CustomerId, Token};

/// The store's key for pseudonyms: 32 random bytes, generated when the store is created and never changed.
///
/// A person who has it can test guesses of customers' names against tokens. It opens no records.
pub struct TokenKey(Zeroizing<[u8; 32]>);

impl TokenKey {
    pub fn random() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        crate::envelope::random(key.as_mut());
        Self(key)
    }

    /// The key from the bytes that the store keeps; `None` if they are not 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 32] = bytes.try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    /// token = HMAC-SHA256(token key, "hourseal/1 token" ‖ customer)[0..16].
    pub fn token(&self, customer: &CustomerId) -> Token {
        Token(self.hmac(b"hourseal/1 token", customer.as_bytes()))
    }

    /// HMAC-SHA256(token key, "hourseal/1 digest" ‖ bytes)[0..16].
    pub fn digest(&self, bytes: &[u8]) -> [u8; 16] {
        self.hmac(b"hourseal/1 digest", bytes)
    }

    /// The key's bytes, for the stores, which keep them.
    #[cfg(feature = "edges")]
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    fn hmac(&self, label: &[u8], bytes: &[u8]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.0.as_ref()));
        context.update(label);
        context.update(bytes);
        *context.sign().as_ref().first_chunk().expect("HMAC-SHA256 gives 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are computed with Python's hmac. So any reader of `schemas/keystore.sql` can find a
    /// customer's rows.
    #[test]
    fn a_token_is_what_another_language_computes() {
        let key = TokenKey::from_slice(&[7; 32]).expect("32 bytes");
        let acme = CustomerId::parse("acme").expect("a valid id");
        assert_eq!(key.token(&acme).to_string(), "eaf6906ce105766ceb7218e0164a0bfd");
        assert_eq!(hex::encode(key.digest(b"acme")), "a8c73aaffe92c237984b3681ef63744c");
    }

    #[test]
    fn a_key_of_another_length_is_none() {
        assert!(TokenKey::from_slice(&[7; 31]).is_none());
    }
}
