//! Signed heads of C2SP `tlog-checkpoint`: a note with the lines origin, size and root.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::{NotANote, Note, VerifierKey};
use crate::forget::command::signing::SigningKey;
use crate::forget::merkle::Hash;
use crate::model::StoreId;

/// The log's identity: `hourseal/<store id>/<receipts topic>`. It is also the name of the signing key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin(String);

impl Origin {
    /// The log of the receipts that this store's processes publish to this topic. Kafka's legal topic names
    /// contain no space and no plus.
    pub fn new(store: StoreId, topic: &str) -> Self {
        Self(format!("hourseal/{store}/{topic}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A tree's size and root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Number of leaves.
    pub size: u64,
    pub root: Hash,
}

/// A head as a log published it. [`Checkpoint::verify`] checks whether a key has signed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    origin: String,
    head: Head,
    note: Note,
}

/// The reason why a text is not a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotACheckpoint {
    #[error("the checkpoint cannot be trusted: {0}")]
    Note(#[from] NotANote),
    #[error("the note is not a checkpoint")]
    Form,
    #[error("the checkpoint belongs to another log")]
    Origin,
}

impl Checkpoint {
    pub fn sign(origin: &Origin, head: Head, key: &SigningKey) -> Self {
        let text = format!("{}\n{}\n{}\n", origin.0, head.size, STANDARD.encode(head.root.0));
        Self { origin: origin.0.clone(), head, note: Note::sign(text, &origin.0, key) }
    }

    /// # Errors
    /// [`NotACheckpoint`] for a wrong form. The signatures are not verified.
    pub fn parse(text: &str) -> Result<Self, NotACheckpoint> {
        let note = Note::parse(text)?;
        let mut lines = note.text.strip_suffix('\n').ok_or(NotACheckpoint::Form)?.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(NotACheckpoint::Form);
        let (origin, size, root) = (line()?.to_owned(), decimal(line()?), base64_hash(line()?));
        let (Some(size), Some(root)) = (size, root) else { return Err(NotACheckpoint::Form) };
        // Extension lines can have any meaning, and are signed.
        if lines.any(str::is_empty) {
            return Err(NotACheckpoint::Form);
        }
        Ok(Self { origin, head: Head { size, root }, note })
    }

    /// Checks that the log with this key has signed it: the key's name is the origin.
    ///
    /// # Errors
    /// [`NotACheckpoint::Note`] is checked first, then [`NotACheckpoint::Origin`].
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NotACheckpoint> {
        self.note.verify(key)?;
        if self.origin == key.name() { Ok(()) } else { Err(NotACheckpoint::Origin) }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub fn head(&self) -> Head {
        self.head
    }
}

/// Writes the signed note.
impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.note.fmt(f)
    }
}

/// Reads a decimal number below 2^63 without sign or leading zero.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text && i64::try_from(number).is_ok()).then_some(number)
}

pub(super) fn base64_hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok().map(Hash)
}
