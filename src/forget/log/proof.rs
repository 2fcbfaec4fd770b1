//! What shows, without Kafka and without us, that a receipt is in the log: C2SP `tlog-proof@v1`, the receipt
//! in `extra`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{Checkpoint, NotACheckpoint, base64_hash, decimal};
use super::note::{NotANote, VerifierKey};
use crate::forget::merkle::{Hash, NotIncluded, leaf_hash, verify_inclusion};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Longest proof that is read, in bytes: a receipt of a megabyte fits.
pub const MAX_PROOF_BYTES: usize = 16 << 20;
/// A tree below 2^63 leaves is no deeper.
pub(super) const MAX_PATH: usize = 63;

/// A record of the receipts topic and where it stands in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// The record's value, byte for byte: the leaf.
    pub value: Vec<u8>,
    /// The leaf's place, from 0.
    pub index: u64,
    /// From the leaf's sibling up to the root's child.
    pub path: Vec<Hash>,
    pub checkpoint: Checkpoint,
}

/// Why nothing is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoProof {
    #[error("it is no proof of a receipt: {0}")]
    Form(&'static str),
    #[error(transparent)]
    Checkpoint(NotACheckpoint),
    #[error("the receipt is not in the log: {0}")]
    Inclusion(#[from] NotIncluded),
    #[error("the receipt is of no sweep, or the hour is not in it")]
    Swept,
}

impl NoProof {
    /// The step that it fails at, in the order of the steps: `form`, `key`, `signature`, `origin`,
    /// `inclusion`, and of an hour of a sweep `swept`.
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
    /// [`NoProof`] of its form; nothing is verified.
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
        let index = index.ok_or(NoProof::Form("its third line is no index"))?;
        let path: Vec<_> =
            lines.take(MAX_PATH + 1).map(base64_hash).collect::<Option<_>>().unwrap_or_default();
        if path.len() != head.split('\n').count() - 3 {
            return Err(NoProof::Form("its path is not one hash in a line"));
        }
        let checkpoint = Checkpoint::parse(checkpoint).map_err(NoProof::Checkpoint)?;
        Ok(Self { value, index, path, checkpoint })
    }

    /// Whether the log with this key has this receipt.
    ///
    /// # Errors
    /// The first step that fails: the signature, the origin, the inclusion.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoProof> {
        self.checkpoint.verify(key).map_err(NoProof::Checkpoint)?;
        let head = self.checkpoint.head();
        Ok(verify_inclusion(leaf_hash(&self.value), self.index, &self.path, head.size, head.root)?)
    }
}

/// The proof's text. What [`Proof::parse`] takes is written back to the same bytes.
impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FIRST_LINE}\nextra {}\nindex {}", STANDARD.encode(&self.value), self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash.0)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
