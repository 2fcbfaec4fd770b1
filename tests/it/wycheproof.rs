//! Runs Project Wycheproof's sets on the two primitives of the envelope: `tests/vectors/wycheproof`.

use std::panic::catch_unwind;
use std::path::PathBuf;

use hourseal::envelope::{aead_open, aead_seal, hkdf, hkdf_with_salt, reference_open, reference_seal};
use serde_json::Value;

use super::vectors::{array, bytes};

#[test]
fn xchacha20_poly1305_holds_for_every_case() {
    check("xchacha20_poly1305_test.json", |case| {
        // A nonce of another length cannot be passed: its type prevents it.
        let Ok(nonce) = bytes(case, "iv").try_into() else { return false };
        let (key, aad, plain) = (array(case, "key"), bytes(case, "aad"), bytes(case, "msg"));
        let (sealed, tag) = (bytes(case, "ct"), array(case, "tag"));
        let (mut fast, mut reference) = (plain.clone(), plain.clone());
        let tags =
            [aead_seal(&key, &nonce, &aad, &mut fast), reference_seal(&key, &nonce, &aad, &mut reference)];
        let is_sealed = tags == [tag; 2] && fast == sealed && reference == sealed;
        let (mut fast, mut reference) = (sealed.clone(), sealed);
        let opened = [
            aead_open(&key, &nonce, &aad, &mut fast, &tag),
            reference_open(&key, &nonce, &aad, &mut reference, &tag),
        ];
        let is_opened = opened == [Ok(()); 2] && fast == plain && reference == plain;
        assert_eq!(is_sealed, is_opened, "{}", case["tcId"]);
        is_opened
    });
}

#[test]
fn hkdf_sha256_holds_for_every_case() {
    check("hkdf_sha256_test.json", |case| {
        let (ikm, salt, info) = (bytes(case, "ikm"), bytes(case, "salt"), bytes(case, "info"));
        let size = case["size"].as_u64().expect("a size").try_into().expect("it fits");
        let derived = |derive: &(dyn Fn(&mut [u8]) + std::panic::RefUnwindSafe)| {
            let mut okm = vec![0; size];
            catch_unwind(move || {
                derive(&mut okm);
                okm
            })
        };
        let okm = derived(&|okm| hkdf_with_salt(&salt, &ikm, &[&info], okm));
        if salt.is_empty() {
            assert_eq!(derived(&|okm| hkdf(&ikm, &[&info], okm)).ok(), okm.as_ref().ok().cloned());
        }
        okm.is_ok_and(|okm| okm == bytes(case, "okm"))
    });
}

/// Every case has its expected result, and no case is left out.
fn check(file: &str, holds: impl Fn(&Value) -> bool) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/wycheproof").join(file);
    let set: Value = serde_json::from_slice(&std::fs::read(path).expect("a readable file")).expect("JSON");
    let groups = set["testGroups"].as_array().expect("a list");
    let cases = groups.iter().flat_map(|group| group["tests"].as_array().expect("a list"));
    let mut ran = 0;
    for case in cases {
        let expected = match case["result"].as_str() {
            Some("valid") => true,
            Some("invalid") => false,
            other => panic!("{other:?} is no result"),
        };
        assert_eq!(holds(case), expected, "{file}: {} {}", case["tcId"], case["comment"]);
        ran += 1;
    }
    assert!(ran > 0 && Some(ran) == set["numberOfTests"].as_u64(), "{file}: {ran} cases");
}
