//! Secret bytes: no `Clone`, no `Debug`, in their own memory, wiped when dropped. `expose` is the only
//! access, which is easy to grep.

use zeroize::Zeroize;

use super::KeyCell;
use crate::model::KeyId;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(KeyCell);

        impl $name {
            /// Takes the bytes and wipes their source.
            pub fn take(bytes: &mut [u8; 32]) -> Self {
                let mut cell = KeyCell::zeroed();
                cell.copy_from_slice(bytes);
                bytes.zeroize();
                Self(cell)
            }

            /// Generates 32 random bytes with the system's generator.
            pub fn random() -> Self {
                let mut cell = KeyCell::zeroed();
                super::random(&mut *cell);
                Self(cell)
            }

            pub(crate) fn expose(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl From<KeyCell> for $name {
            fn from(cell: KeyCell) -> Self {
                Self(cell)
            }
        }
    };
}

secret!(/** The hour key as it was generated: 32 random bytes. */ Dek);
secret!(/** A key that wraps DEKs: 32 random bytes. */ Kek);

/// The parts of a DEK for sealing and opening: the derived seal key and the commitment to it.
pub struct SealKey {
    pub(super) seal: KeyCell,
    pub(super) commitment: [u8; 32],
}

impl SealKey {
    /// 32 public bytes that bind the key, the customer, the hour and the generation.
    pub fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// The commitment's first 16 bytes, which are public.
    pub fn key_id(&self) -> KeyId {
        KeyId::from_slice(&self.commitment[..16]).expect("a commitment is 32 bytes")
    }
}
