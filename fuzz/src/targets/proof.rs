//! Proofs of receipts, which anyone can give to a verifier. A proof has exactly one form, and none is
//! accepted without the key's signature.

use hourseal::forget::log::{
    AnyProof, Checkpoint, Head, HourProof, Origin, Proof, Tree, VerifierKey, leaf_hash,
};
use hourseal::forget::{SigningKey, SweptBatch, SweptHour};
use hourseal::model::{Hour, StoreId, Token};

use crate::memory::within;

/// RFC 8032's first key.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";

fn key() -> SigningKey {
    SigningKey::from_pem(KEY).expect("a key")
}

fn origin() -> Origin {
    Origin::new(StoreId([7; 16]), "jobs.receipts")
}

pub fn run(data: &[u8]) {
    let Ok(proof) = within(16 * data.len() + 4_096, || AnyProof::parse(data)) else { return };
    assert_eq!(proof.to_string().as_bytes(), data, "read in one form only");
    let verifier = VerifierKey::new(origin().as_str(), key().public()).expect("a name");
    if proof.verify(&verifier).is_ok() {
        // The text may have further signatures, of keys that the verifier does not know.
        let is_seed =
            |seed: &Vec<u8>| AnyProof::parse(seed).is_ok_and(|seed| proven(&seed) == proven(&proof));
        assert!(seeds().iter().any(is_seed), "the key has signed only the seeds");
    }
}

/// Everything that a proof says, without its signatures.
fn proven(proof: &AnyProof) -> impl PartialEq + use<> {
    let (hour, receipt) = match proof {
        AnyProof::Receipt(receipt) => (None, receipt),
        AnyProof::Hour(hour) => (Some((hour.leaf.clone(), hour.index, hour.path.clone())), &hour.receipt),
    };
    let Proof { value, index, path, checkpoint } = receipt;
    let origin = checkpoint.origin().to_owned();
    (hour, value.clone(), *index, path.clone(), origin, checkpoint.head())
}

pub fn seeds() -> Vec<Vec<u8>> {
    let receipt = |number: u64| format!("receipt {number}").into_bytes();
    let receipts =
        [(1, 0), (5, 3), (8, 7)].map(|(size, index)| AnyProof::Receipt(proof(size, index, receipt)));
    let hours = [(1, 0), (5, 3)].map(|(size, index)| hour_proof(size, index));
    // The second half of an hour's proof is a proof of a receipt.
    let halves = hours.clone().map(|hour| AnyProof::Receipt(hour.receipt));
    let all = receipts.into_iter().chain(hours.map(AnyProof::Hour)).chain(halves);
    all.map(|proof| proof.to_string().into_bytes()).collect()
}

/// Returns the proof of an hour of the schema's sweep, as if that sweep had `size` hours.
fn hour_proof(size: u8, index: usize) -> HourProof {
    let hour = |n| SweptHour { token: Token([n; 16]), hour: Hour(498_000), key_count: 0, keys: Vec::new() };
    let hours: Vec<SweptHour> = (0..size).map(hour).collect();
    let SweptBatch { hours: count, root } = SweptBatch::of(&hours);
    let schema = include_str!("../../../schemas/receipt.schema.json");
    let schema: serde_json::Value = serde_json::from_str(schema).expect("the schema is JSON");
    let mut receipt = schema["examples"][1].clone();
    let root: String = root.0.iter().map(|byte| format!("{byte:02x}")).collect();
    receipt["swept"] = serde_json::json!({ "hours": count, "root": root });
    let path = SweptBatch::path(&hours, index).expect("one of them");
    // The other leaves differ: among equal leaves, the receipt would be included at each of their positions.
    let value = |number| if number == 1 { receipt.to_string() } else { format!("receipt {number}") };
    let receipt = proof(3, 1, |number| value(number).into_bytes());
    HourProof { leaf: hours[index].leaf(), index: index as u64, path, receipt }
}

fn proof(size: u64, index: u64, value: impl Fn(u64) -> Vec<u8>) -> Proof {
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
