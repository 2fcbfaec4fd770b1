//! Signed heads of C2SP `tlog-checkpoint`: a note of the lines origin, size and root.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::{NotANote, Note, VerifierKey};
use crate::forget::command::signing::SigningKey;
use crate::forget::merkle::Hash;
use crate::model::StoreId;

/// Whose log it is: `hourseal/<store id>/<receipts topic>`. It names the signing key, too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin(String);

impl Origin {
    /// The log of the receipts that this store's processes publish to this topic (Kafka's legal names hold no
    /// space or plus).
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
    /// Leaves.
    pub size: u64,
    pub root: Hash,
}

/// A head as a log has published it. Whether a key has signed it, [`Checkpoint::verify`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkpoint {
    origin: String,
    head: Head,
    note: Note,
}

/// Why a text is no checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotACheckpoint {
    #[error("the checkpoint is not to be believed: {0}")]
    Note(#[from] NotANote),
    #[error("the note is no checkpoint")]
    Form,
    #[error("the checkpoint is of another log")]
    Origin,
}

impl Checkpoint {
    pub fn sign(origin: &Origin, head: Head, key: &SigningKey) -> Self {
        let text = format!("{}\n{}\n{}\n", origin.0, head.size, STANDARD.encode(head.root.0));
        Self { origin: origin.0.clone(), head, note: Note::sign(text, &origin.0, key) }
    }

    /// # Errors
    /// [`NotACheckpoint`] of its form; signatures are not looked at.
    pub fn parse(text: &str) -> Result<Self, NotACheckpoint> {
        let note = Note::parse(text)?;
        let mut lines = note.text.strip_suffix('\n').ok_or(NotACheckpoint::Form)?.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(NotACheckpoint::Form);
        let (origin, size, root) = (line()?.to_owned(), decimal(line()?), base64_hash(line()?));
        let (Some(size), Some(root)) = (size, root) else { return Err(NotACheckpoint::Form) };
        // Extension lines may mean anything, and are signed.
        if lines.any(str::is_empty) {
            return Err(NotACheckpoint::Form);
        }
        Ok(Self { origin, head: Head { size, root }, note })
    }

    /// Whether the log whose key this is has signed it: the key's name is the origin.
    ///
    /// # Errors
    /// [`NotACheckpoint::Note`] first, then [`NotACheckpoint::Origin`].
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

/// The signed note.
impl std::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.note.fmt(f)
    }
}

/// A number below 2^63 as it is written: no sign, no leading zero.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text && i64::try_from(number).is_ok()).then_some(number)
}

pub(super) fn base64_hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok().map(Hash)
}
