//! The proof that a sweep forgot one hour: the hour's leaf leads to the root in a receipt, and that
//! receipt is in the log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::{base64_hash, decimal};
use super::note::VerifierKey;
use super::proof::{MAX_PATH, MAX_PROOF_BYTES, NoProof, Proof};
use crate::forget::merkle::{Hash, leaf_hash, verify_inclusion};
use crate::forget::receipt::content::Receipt;
use crate::forget::receipt::deed::Deed;

const FIRST_LINE: &str = "hourseal/swept-hour@v1";

/// An hour of a sweep, and the proof of the sweep's receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HourProof {
    /// The hour's bytes in the receipt's header ([`crate::forget::SweptHour`]).
    pub leaf: Vec<u8>,
    /// The leaf's place in the sweep, from 0.
    pub index: u64,
    /// The path from the leaf's sibling to the child of the receipt's root.
    pub path: Vec<Hash>,
    pub receipt: Proof,
}

impl HourProof {
    fn parse(text: &str) -> Result<Self, NoProof> {
        let (head, receipt) = text.split_once("\n\n").ok_or(NoProof::Form("it has no empty line"))?;
        let mut lines = head.split('\n').skip(1);
        let leaf = lines.next().and_then(|line| line.strip_prefix("leaf ")).map(|leaf| STANDARD.decode(leaf));
        let leaf = match leaf {
            Some(Ok(leaf)) if !leaf.is_empty() => leaf,
            _ => return Err(NoProof::Form("its second line does not hold the hour")),
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal);
        let index = index.ok_or(NoProof::Form("its third line is not an index"))?;
        let path: Option<Vec<Hash>> = lines.map(base64_hash).collect();
        let path = path.filter(|path| path.len() <= MAX_PATH);
        let path = path.ok_or(NoProof::Form("its path is not one hash per line"))?;
        Ok(Self { leaf, index, path, receipt: Proof::parse(receipt.as_bytes())? })
    }

    fn verify(&self, key: &VerifierKey) -> Result<(), NoProof> {
        self.receipt.verify(key)?;
        let Ok(Receipt { deed: Deed::Sweep(batch), .. }) = Receipt::parse(&self.receipt.value) else {
            return Err(NoProof::Swept);
        };
        let hours = u64::from(batch.hours);
        verify_inclusion(leaf_hash(&self.leaf), self.index, &self.path, hours, batch.root)
            .map_err(|_| NoProof::Swept)
    }
}

/// Writes the same bytes that [`AnyProof::parse`] read.
impl std::fmt::Display for HourProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FIRST_LINE}\nleaf {}\nindex {}", STANDARD.encode(&self.leaf), self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash.0)))?;
        write!(f, "\n{}", self.receipt)
    }
}

/// A proof of a receipt, or of an hour of a sweep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AnyProof {
    Receipt(Proof),
    Hour(HourProof),
}

impl AnyProof {
    /// # Errors
    /// [`NoProof`] for a wrong form. Nothing is verified.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoProof> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(NoProof::Form("it is longer than 16 MiB"));
        }
        let text = str::from_utf8(bytes).map_err(|_| NoProof::Form("it is not UTF-8"))?;
        if text.split('\n').next() == Some(FIRST_LINE) {
            return HourProof::parse(text).map(Self::Hour);
        }
        Proof::parse(bytes).map(Self::Receipt)
    }

    /// Checks that the log with this key contains the receipt, and that the receipt covers the hour.
    ///
    /// # Errors
    /// The first step that fails.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoProof> {
        match self {
            Self::Receipt(proof) => proof.verify(key),
            Self::Hour(proof) => proof.verify(key),
        }
    }

    pub fn receipt(&self) -> &Proof {
        match self {
            Self::Receipt(proof) => proof,
            Self::Hour(proof) => &proof.receipt,
        }
    }
}

impl std::fmt::Display for AnyProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Receipt(proof) => proof.fmt(f),
            Self::Hour(proof) => proof.fmt(f),
        }
    }
}
