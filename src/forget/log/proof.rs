//! The proof that a receipt is in the log: C2SP `tlog-proof@v1`, with the receipt in `extra`. Verifying it
//! needs neither Kafka nor us.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Checkpoint, NotACheckpoint, base64_hash, decimal};
use super::note::{NotANote, VerifierKey};
use crate::forget::merkle::{Hash, NotIncluded, leaf_hash, verify_inclusion};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Longest proof that is read, in bytes. A receipt of one megabyte fits.
pub const MAX_PROOF_BYTES: usize = 16 << 20;
/// The depth of a tree with fewer than 2^63 leaves is at most this.
pub(super) const MAX_PATH: usize = 63;

/// A record of the receipts topic and its place in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// The record's value, byte for byte: the leaf.
    pub value: Vec<u8>,
    /// The leaf's place, from 0.
    pub index: u64,
    /// The path from the leaf's sibling to the root's child.
    pub path: Vec<Hash>,
    pub checkpoint: Checkpoint,
}

/// The reason why a proof fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoProof {
    #[error("it is not a proof of a receipt: {0}")]
    Form(&'static str),
    #[error(transparent)]
    Checkpoint(NotACheckpoint),
    #[error("the receipt is not in the log: {0}")]
    Inclusion(#[from] NotIncluded),
    #[error("the receipt is not that of a sweep, or the hour is not in it")]
    Swept,
}

impl NoProof {
    /// Returns the step that failed. The steps in their order: `form`, `key`, `signature`, `origin`,
    /// `inclusion`, and for an hour of a sweep `swept`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Form(_) | Self::Checkpoint(NotACheckpoint::Form | NotACheckpoint::Note(NotANote::Form)) => {
                "form"
            }
            Self::Checkpoint(NotACheckpoint::Note(NotANote::UnknownKey)) => "key",
            Self::Checkpoint(NotACheckpoint::Note(NotANote::Signature)) => "signature",
            Self::Checkpoint(NotACheckpoint::Origin) => "origin",
            Self::Inclusion(NotIncluded) => "inclusion",
            Self::Swept => "swept",
        }
    }
}

impl Proof {
    /// # Errors
    /// [`NoProof`] for a wrong form. Nothing is verified.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoProof> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(NoProof::Form("it is longer than 16 MiB"));
        }
        let text = str::from_utf8(bytes).map_err(|_| NoProof::Form("it is not UTF-8"))?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(NoProof::Form("it has no empty line"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(NoProof::Form("its first line is not that of tlog-proof@v1"));
        }
        let value =
            lines.next().and_then(|line| line.strip_prefix("extra ")).map(|extra| STANDARD.decode(extra));
        let value = match value {
            Some(Ok(value)) if !value.is_empty() => value,
            _ => return Err(NoProof::Form("its second line does not hold the receipt")),
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or(NoProof::Form("its third line is not an index"))?;
        let path: Vec<_> =
            lines.take(MAX_PATH + 1).map(base64_hash).collect::<Option<_>>().unwrap_or_default();
        if path.len() != head.split('\n').count() - 3 {
            return Err(NoProof::Form("its path is not one hash per line"));
        }
        let checkpoint = Checkpoint::parse(checkpoint).map_err(NoProof::Checkpoint)?;
        Ok(Self { value, index, path, checkpoint })
    }

    /// Checks that the log with this key contains this receipt.
    ///
    /// # Errors
    /// The first step that fails: the signature, the origin, the inclusion.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoProof> {
        self.checkpoint.verify(key).map_err(NoProof::Checkpoint)?;
        let head = self.checkpoint.head();
        Ok(verify_inclusion(leaf_hash(&self.value), self.index, &self.path, head.size, head.root)?)
    }
}

/// Writes the proof's text: the same bytes that [`Proof::parse`] read.
impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FIRST_LINE}\nextra {}\nindex {}", STANDARD.encode(&self.value), self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash.0)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
