//! Proofs of receipts, which anybody may hand to a verifier: one form only, and none is believed without the key's signature.

use hourseal::forget::SigningKey;
use hourseal::forget::log::{Checkpoint, Head, Origin, Proof, Tree, VerifierKey, leaf_hash};
use hourseal::model::StoreId;

use crate::memory::within;

/// RFC 8032's first key.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

fn key() -> SigningKey {
    SigningKey::from_pem(KEY).expect("a key")
}

fn origin() -> Origin {
    Origin::new(StoreId([7; 16]), "jobs.receipts")
}

pub fn run(data: &[u8]) {
    let Ok(proof) = within(16 * data.len() + 4_096, || Proof::parse(data)) else { return };
    assert_eq!(proof.to_string().as_bytes(), data, "read in one form only");
    let verifier = VerifierKey::new(origin().as_str(), key().public()).expect("a name");
    if proof.verify(&verifier).is_ok() {
        assert!(
            seeds().iter().any(|seed| Proof::parse(seed).as_ref() == Ok(&proof)),
            "the key has signed only the seeds"
        );
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    [(1, 0), (5, 3), (8, 7)].map(|(size, index)| proof(size, index).to_string().into_bytes()).into()
}

fn proof(size: u64, index: u64) -> Proof {
    let value = |number: u64| format!("receipt {number}").into_bytes();
    let mut tree = Tree::default();
    (0..size).for_each(|number| tree.append(leaf_hash(&value(number))));
    let root = tree.root_at(size).expect("it has that size");
    let path = tree.inclusion_path(index, size).expect("within");
    Proof {
        value: value(index),
        index,
        path,
        checkpoint: Checkpoint::sign(&origin(), Head { size, root }, &key()),
    }
}
