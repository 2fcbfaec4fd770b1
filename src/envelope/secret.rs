//! Secret bytes: no `Clone`, no `Debug`, wiped when dropped. `expose` is the only door, easy to grep.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::model::KeyId;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes the bytes and wipes where they came from.
            pub fn take(bytes: &mut [u8; 32]) -> Self {
                let secret = Self(*bytes);
                bytes.zeroize();
                secret
            }

            /// Draws 32 bytes from the system's generator.
            pub fn random() -> Self {
                let mut secret = Self([0; 32]);
                super::random(&mut secret.0);
                secret
            }

            pub(crate) fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }
    };
}

secret!(/** The hour key as it was drawn: 32 random bytes. */ Dek);
secret!(/** A key that wraps DEKs: 32 random bytes. */ Kek);

/// What sealing and opening need of a DEK: the derived seal key and the commitment to it.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SealKey {
    pub(super) seal: [u8; 32],
    #[zeroize(skip)]
    pub(super) commitment: [u8; 32],
}

impl SealKey {
    /// Public: 32 bytes that bind the key, the customer, the hour and the generation.
    pub fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// Public: the commitment's first 16 bytes.
    pub fn key_id(&self) -> KeyId {
        KeyId::from_slice(&self.commitment[..16]).expect("a commitment is 32 bytes")
    }
}
