//! The assumptions that receipts rest on, with their numbers in SECURITY.md. SECURITY.md states what is lost
//! if one of them fails.

/// An assumption that a receipt names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assumption {
    /// Its number in SECURITY.md. A number is never reused.
    pub code: &'static str,
    /// The assumption as a sentence, for certificates.
    pub text: &'static str,
}

/// Applies to a KEK vault that is a folder of files.
pub const VAULT_FILES: Assumption =
    Assumption { code: "A2", text: "no copy was made of the KEK vault's files and its root key" };

/// Applies to everything that is overwritten on a disk.
pub const DISKS: Assumption = Assumption { code: "A3", text: "disks forget what is overwritten" };

/// Applies to level L1 with every store and every vault.
pub const STORE_COPIES: Assumption = Assumption {
    code: "A4",
    text: "copies of the key store made before the erasure are covered by l3_by only, when what wrapped the \
         keys is destroyed",
};

/// Returns the assumption with this number; `None` if this program does not know the number.
pub fn assumption(code: &str) -> Option<Assumption> {
    [VAULT_FILES, DISKS, STORE_COPIES].into_iter().find(|known| known.code == code)
}
