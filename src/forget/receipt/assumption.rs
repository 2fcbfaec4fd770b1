//! What receipts rest on, by the numbers of SECURITY.md: there stands what is lost where one fails.

/// An assumption that a receipt names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Assumption {
    /// Its number in SECURITY.md; never given to another one.
    pub code: &'static str,
    /// The same in a sentence, for certificates.
    pub text: &'static str,
}

/// Of a KEK vault that is a folder of files.
pub const VAULT_FILES: Assumption =
    Assumption { code: "A2", text: "no copy was made of the KEK vault's files and its root key" };

/// Of whatever is overwritten.
pub const DISKS: Assumption = Assumption { code: "A3", text: "disks forget what is overwritten" };

/// Of level L1, whatever the store and the vault are.
pub const STORE_COPIES: Assumption = Assumption {
    code: "A4",
    text: "copies of the key store made before the erasure are covered by l3_by only, when what wrapped the keys is destroyed",
};

/// What a receipt's number says; `None` for a number that this program does not know.
pub fn assumption(code: &str) -> Option<Assumption> {
    [VAULT_FILES, DISKS, STORE_COPIES].into_iter().find(|known| known.code == code)
}
