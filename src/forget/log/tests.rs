//! Tests the log against the RFC's numbers, against a model that only follows the RFC's recursion, and
//! against scripted topics.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::forget::tests::a_receipt;
use crate::forget::{Outcome, SigningKey, Tail, TailError, TailRecord};
use crate::model::{Clock, Millis, StoreId};
use crate::stream::Stop;

/// The leaves and roots in the tests of the RFC's authors and of Go's `tlog` (certificate-transparency,
/// `merkle_tree_test`).
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

fn tree(leaves: &[Hash]) -> Tree {
    let mut tree = Tree::default();
    leaves.iter().for_each(|leaf| tree.append(*leaf));
    tree
}

/// MTH of RFC 6962 §2.1, word for word.
fn mth(leaves: &[Hash]) -> Hash {
    use ring::digest::{SHA256, digest};
    let sha = |bytes: &[u8]| Hash(digest(&SHA256, bytes).as_ref().try_into().expect("32 bytes"));
    match leaves {
        [] => sha(b""),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(half(leaves.len()));
            sha(&[&[1], mth(left).0.as_slice(), &mth(right).0].concat())
        }
    }
}

/// The largest power of two below `n`.
fn half(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// PATH of RFC 6962 §2.1.1.
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(half(leaves.len()));
    let (mut path, sibling) = match index.checked_sub(left.len()) {
        None => (path(index, left), mth(right)),
        Some(index) => (path(index, right), mth(left)),
    };
    path.push(sibling);
    path
}

/// SUBPROOF of RFC 6962 §2.1.2.
fn subproof(old: usize, leaves: &[Hash], is_known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if is_known { Vec::new() } else { vec![mth(leaves)] };
    }
    let (left, right) = leaves.split_at(half(leaves.len()));
    let (mut path, sibling) = match old.checked_sub(left.len()) {
        None | Some(0) => (subproof(old, left, is_known), mth(right)),
        Some(old) => (subproof(old, right, false), mth(left)),
    };
    path.push(sibling);
    path
}

#[test]
fn the_known_leaves_have_the_known_roots() {
    let mut frontier = Frontier::default();
    let mut tree = Tree::default();
    for (size, root) in ROOTS.iter().enumerate() {
        assert_eq!(hex::encode(frontier.root().0), *root, "{size}");
        assert_eq!(tree.root_at(size as u64), Some(frontier.root()));
        if let Some(leaf) = LEAVES.get(size) {
            let leaf = leaf_hash(&hex::decode(leaf).expect("hex"));
            frontier.append(leaf);
            tree.append(leaf);
        }
    }
}

proptest! {
    #[test]
    fn every_leaf_is_shown_as_the_recursion_shows_it_and_nothing_else_is(
        size in 1_u64..300,
        pick in any::<u64>(),
        by in 1_u64..300,
    ) {
        let (leaves, index) = (leaves(300), pick % size);
        let tree = tree(&leaves);
        let first = &leaves[..size as usize];
        let root = tree.root_at(size).expect("it had that size");
        prop_assert_eq!(root, mth(first));
        let way = tree.inclusion_path(index, size).expect("within");
        prop_assert_eq!(&way, &path(index as usize, first));
        let leaf = first[index as usize];
        prop_assert_eq!(verify_inclusion(leaf, index, &way, size, root), Ok(()));
        let other = (index + by) % 300;
        if other != index {
            prop_assert!(verify_inclusion(leaf, other, &way, size, root).is_err());
            prop_assert!(verify_inclusion(leaves[other as usize], index, &way, size, root).is_err());
        }
        let longer = [way.as_slice(), &[root]].concat();
        prop_assert!(verify_inclusion(leaf, index, &longer, size, root).is_err());
        if let Some((_, shorter)) = way.split_last() {
            prop_assert!(verify_inclusion(leaf, index, shorter, size, root).is_err());
        }
    }

    #[test]
    fn a_tree_is_shown_to_continue_its_beginnings_and_no_others(
        new in 1_u64..300,
        pick in any::<u64>(),
        changed in any::<u64>(),
    ) {
        let (leaves, old) = (leaves(new), pick % (new + 1));
        let tree = tree(&leaves);
        let root = |size| tree.root_at(size).expect("it had that size");
        let way = tree.consistency_path(old, new).expect("within");
        if old > 0 {
            prop_assert_eq!(&way, &subproof(old as usize, &leaves, true));
        }
        prop_assert_eq!(verify_consistency((old, root(old)), (new, root(new)), &way), Ok(()));
        if old > 0 {
            let mut others = leaves.clone();
            others[(changed % old) as usize] = leaf_hash(b"changed");
            let other = mth(&others[..old as usize]);
            prop_assert!(verify_consistency((old, other), (new, root(new)), &way).is_err());
            let longer = [way.as_slice(), &[other]].concat();
            prop_assert!(verify_consistency((old, root(old)), (new, root(new)), &longer).is_err());
        }
        prop_assert!(verify_consistency((new + 1, root(new)), (new, root(new)), &[]).is_err());
    }

    #[test]
    fn no_bytes_of_others_panic_and_what_is_read_is_written_back(
        noise in "\\PC{0,40}",
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = proof(5, 3).to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.splice(at..at, noise.bytes());
        for text in [bytes.as_slice(), noise.as_bytes()] {
            if let Ok(read) = Proof::parse(text) {
                let written = read.to_string();
                prop_assert_eq!(written.as_bytes(), text);
            }
            let _ = VerifierKey::parse(&String::from_utf8_lossy(text));
        }
    }
}

/// RFC 8032's first key, as openssl writes it.
fn key() -> SigningKey {
    let pem = "-----BEGIN PRIVATE KEY-----\n\
               MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
               -----END PRIVATE KEY-----\n";
    SigningKey::from_pem(pem).expect("PKCS#8")
}

fn other_key() -> SigningKey {
    SigningKey::from_pem(&SigningKey::generate()).expect("as it was generated")
}

fn origin() -> Origin {
    Origin::new(StoreId([0xAB; 16]), "jobs.receipts")
}

fn verifier() -> VerifierKey {
    VerifierKey::new(origin().as_str(), key().public()).expect("a name")
}

fn value(number: u64) -> Vec<u8> {
    format!("receipt {number}").into_bytes()
}

fn head_of(size: u64) -> Head {
    let leaves: Vec<_> = (0..size).map(|number| leaf_hash(&value(number))).collect();
    Head { size, root: mth(&leaves) }
}

fn proof(size: u64, index: u64) -> Proof {
    let leaves: Vec<_> = (0..size).map(|number| leaf_hash(&value(number))).collect();
    let path = tree(&leaves).inclusion_path(index, size).expect("within");
    Proof { value: value(index), index, path, checkpoint: Checkpoint::sign(&origin(), head_of(size), &key()) }
}

/// The receipt names one key, and the topic has the default name.
#[test]
fn in_a_log_of_260_000_receipts_a_proof_is_below_2_kb() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../schemas/receipt.schema.json")).expect("JSON");
    let size = 1 << 18;
    let head = Head { size, root: leaf_hash(b"any") };
    let proof = Proof {
        value: schema["examples"][0].to_string().into_bytes(),
        index: size - 1,
        path: vec![leaf_hash(b"any"); 18],
        checkpoint: Checkpoint::sign(&Origin::new(StoreId([9; 16]), "jobs.receipts"), head, &key()),
    };
    let bytes = proof.to_string().len();
    assert!(bytes < 2_048, "{bytes}");
}

#[test]
fn the_specifications_note_is_verified_by_the_specifications_key() {
    let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let note = "This is an example message.\n\n\u{2014} example.com/foo \
                Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXm\
                RKuwHjG1Yu72IneyaQM=\n";
    let key = VerifierKey::parse(key).expect("a key");
    let read = Note::parse(note).expect("a note");
    assert_eq!(read.verify(&key), Ok(()));
    assert_eq!(read.to_string(), note);
    assert_eq!(
        Note::parse(&note.replace("example m", "Example m")).expect("a note").verify(&key),
        Err(NotANote::Signature)
    );
    assert_eq!(read.verify(&verifier()), Err(NotANote::UnknownKey));
}

#[test]
fn signatures_of_others_are_left_alone_and_a_wrong_one_of_ours_is_not() {
    let ours = Checkpoint::sign(&origin(), head_of(3), &key()).to_string();
    let (text, signature) = ours.split_once("\n\n").expect("signed");
    let foreign = "\u{2014} witness.example/w AAAAAAAA\n";
    let wrong = Note::sign("x\n".to_owned(), origin().as_str(), &key()).to_string();
    let wrong = wrong.split_once("\n\n").expect("signed").1;
    let read = |signatures: &str| {
        Checkpoint::parse(&format!("{text}\n\n{signatures}")).map(|read| read.verify(&verifier()))
    };
    assert_eq!(read(&format!("{foreign}{signature}")), Ok(Ok(())));
    assert_eq!(read(foreign), Ok(Err(NotANote::UnknownKey.into())));
    assert_eq!(read(&format!("{signature}{wrong}")), Err(NotANote::Form.into()), "two of one key");
    assert_eq!(read(&format!("{foreign}{wrong}")), Ok(Err(NotANote::Signature.into())));
    assert_eq!(read(""), Err(NotANote::Form.into()));
    let same_name = Checkpoint::sign(&origin(), head_of(3), &other_key());
    assert_eq!(same_name.verify(&verifier()), Err(NotANote::UnknownKey.into()));
}

#[test]
fn a_key_is_read_in_one_form_only() {
    let text = verifier().to_string();
    assert_eq!(VerifierKey::parse(&text), Ok(verifier()));
    let id = text.split('+').nth(1).expect("three parts");
    for bad in [
        text.replace(id, "00000000"),
        text.replace(id, &id.to_uppercase()),
        format!("{text}="),
        "a+b".to_owned(),
    ] {
        assert!(bad == text || VerifierKey::parse(&bad).is_err(), "{bad}");
    }
    for name in ["", "two words", "a+b", "a\u{a0}b", "a\nb"] {
        assert!(VerifierKey::new(name, key().public()).is_err(), "{name:?}");
    }
}

#[test]
fn a_checkpoint_is_read_in_one_form_only() {
    let good = Checkpoint::sign(&origin(), head_of(3), &key());
    assert_eq!(Checkpoint::parse(&good.to_string()), Ok(good.clone()));
    let resigned = |text: String| Checkpoint::parse(&Note::sign(text, origin().as_str(), &key()).to_string());
    let text = good.to_string().split_once("\n\n").expect("signed").0.to_owned() + "\n";
    assert!(resigned(format!("{text}extension\n")).is_ok());
    for bad in [
        text.replace("\n3\n", "\n03\n"),
        text.replace("\n3\n", "\n+3\n"),
        text.replace("\n3\n", "\n\n"),
        text.replace("\n3\n", "\n9223372036854775808\n"),
        text.replace("=\n", "\n"),
        text.lines().take(2).map(|line| format!("{line}\n")).collect(),
        format!("{text}\nafter an empty line\n"),
    ] {
        assert_eq!(resigned(bad.clone()), Err(NotACheckpoint::Form), "{bad}");
    }
}

#[test]
fn a_proof_is_verified_offline_and_each_of_its_bits_counts() {
    for (size, index) in [(1, 0), (2, 1), (5, 4), (8, 3)] {
        let good = proof(size, index).to_string();
        let verdict = |bytes: &[u8]| Proof::parse(bytes).and_then(|proof| proof.verify(&verifier()));
        assert_eq!(verdict(good.as_bytes()), Ok(()));
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(verdict(&bytes).is_err(), "bit {bit} of proof {index} of {size}");
        }
        for more in ["\n", " ", "x"] {
            assert!(verdict(format!("{good}{more}").as_bytes()).is_err());
        }
    }
}

#[test]
fn a_proof_fails_at_the_first_step_that_it_does_not_pass() {
    let code = |proof: &Proof, key: &VerifierKey| proof.verify(key).expect_err("a refusal").code();
    let good = proof(5, 3);
    let other = VerifierKey::new(origin().as_str(), other_key().public()).expect("a name");
    assert_eq!(code(&good, &other), "key");
    assert_eq!(code(&Proof { index: 2, ..good.clone() }, &verifier()), "inclusion");
    assert_eq!(code(&Proof { value: b"another".to_vec(), ..good.clone() }, &verifier()), "inclusion");
    let elsewhere = Origin::new(StoreId([0xCD; 16]), "jobs.receipts");
    let text = Checkpoint::sign(&elsewhere, head_of(5), &key()).to_string();
    let text = text.split_once("\n\n").expect("signed").0.to_owned() + "\n";
    let moved = Checkpoint::parse(&Note::sign(text, origin().as_str(), &key()).to_string()).expect("a form");
    assert_eq!(code(&Proof { checkpoint: moved, ..good.clone() }, &verifier()), "origin");
    assert_eq!(Proof::parse(b"").expect_err("nothing").code(), "form");
    let no_receipt = good
        .to_string()
        .lines()
        .filter(|line| !line.starts_with("extra"))
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    assert_eq!(Proof::parse(no_receipt.as_bytes()).expect_err("no receipt").code(), "form");
}

#[test]
fn a_proof_in_a_tree_of_a_million_adds_1300_bytes_to_its_receipt_at_most() {
    let path = leaves(20);
    let head = Head { size: 1 << 20, root: path[0] };
    let checkpoint = Checkpoint::sign(&origin(), head, &key());
    let value = a_receipt(Outcome::Erased).to_json();
    let in_base64 = value.len().div_ceil(3) * 4;
    let proof = Proof { value, index: (1 << 20) - 1, path, checkpoint }.to_string();
    assert!(proof.len() - in_base64 < 1_300, "{} bytes", proof.len() - in_base64);
    assert!(proof.len() < 2_048, "{} bytes", proof.len());
}

fn keeper(size: u64) -> Keeper {
    let mut keeper = Keeper::default();
    for number in 0..size {
        keeper.append(&value(number)).expect("nothing is published");
    }
    keeper
}

#[test]
fn what_is_signed_continues_every_head_that_was_published() {
    let mut keeper = keeper(3);
    assert_eq!(keeper.published(head_of(2)), Ok(()), "late, from another process");
    assert_eq!(keeper.published(head_of(3)), Ok(()));
    assert_eq!(keeper.published(head_of(5)), Ok(()), "another process is ahead");
    assert_eq!(keeper.at_end(), Err(Refusal::Shrunk { published: 5, found: 3 }));
    keeper.append(&value(3)).expect("as published");
    keeper.append(&value(4)).expect("as published");
    assert_eq!(keeper.at_end(), Ok(head_of(5)));
}

#[test]
fn a_tree_that_is_not_the_published_one_is_not_signed() {
    let other = |size| Head { size, root: leaf_hash(b"other") };
    assert_eq!(keeper(3).published(other(3)), Err(Refusal::OtherRoot(3)));
    assert_eq!(keeper(3).published(other(2)), Err(Refusal::OtherRoot(2)));
    let mut behind = keeper(3);
    behind.published(other(4)).expect("not known yet");
    assert_eq!(behind.published(head_of(4)), Err(Refusal::OtherRoot(4)), "two heads of one size");
    assert_eq!(behind.append(&value(3)), Err(Refusal::OtherRoot(4)));
    assert_eq!(keeper(5_000).published(head_of(1)), Err(Refusal::Late(1)));
}

/// A scripted topic: its first offset and its records.
#[derive(Clone, Default)]
struct Topic {
    start: i64,
    /// Its records are gone after they were read.
    is_emptied: bool,
    values: Arc<Mutex<Vec<Option<Vec<u8>>>>>,
}

impl Topic {
    fn of(values: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            start: 0,
            is_emptied: false,
            values: Arc::new(Mutex::new(values.into_iter().map(Some).collect())),
        }
    }

    fn put(&self, value: Option<Vec<u8>>) {
        self.values.lock().expect("not poisoned").push(value);
    }

    fn texts(&self) -> Vec<String> {
        let values = self.values.lock().expect("not poisoned");
        values.iter().flatten().map(|value| String::from_utf8(value.clone()).expect("text")).collect()
    }
}

struct Reader(Topic, i64);

impl Tail for Reader {
    fn log(&mut self) -> Result<(i64, i64), TailError> {
        if self.0.is_emptied && self.1 > 0 {
            return Ok((0, 0));
        }
        Ok((self.0.start, self.0.values.lock().expect("not poisoned").len() as i64))
    }

    fn begin(&mut self, offset: i64) -> Result<(), TailError> {
        self.1 = offset;
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Option<TailRecord>, TailError> {
        if self.1 as usize >= self.0.values.lock().expect("not poisoned").len() {
            std::thread::sleep(wait);
        }
        let values = self.0.values.lock().expect("not poisoned");
        let record = values.get(self.1 as usize).map(|value| TailRecord {
            offset: self.1,
            at: None,
            value: value.clone(),
            swept: None,
        });
        self.1 += i64::from(record.is_some());
        Ok(record)
    }

    fn position(&self) -> Result<i64, TailError> {
        Ok(self.1)
    }
}

impl Post for Topic {
    fn post(&mut self, checkpoint: &Checkpoint) -> Result<(), NotPosted> {
        self.put(Some(checkpoint.to_string().into_bytes()));
        Ok(())
    }
}

struct FakeClock;

impl Clock for FakeClock {
    fn now(&self) -> Millis {
        Millis(7)
    }

    fn boot_ms(&self) -> u64 {
        0
    }
}

/// Records the events, and stops the log after the given number of them.
struct Diary(Arc<Mutex<VecDeque<String>>>, usize, Stop);

impl LogObserver for Diary {
    fn observe(&mut self, event: Logged<'_>) {
        let mut lines = self.0.lock().expect("not poisoned");
        lines.push_back(match event {
            Logged::Read(head) => format!("read {}", head.size),
            Logged::Published { checkpoint, .. } => format!("published {}", checkpoint.head().size),
            Logged::Refused(refusal) => refusal.to_string(),
            Logged::Waiting(why) => format!("waits: {why}"),
        });
        if lines.len() >= self.1 {
            self.2.request();
        }
    }
}

/// Runs the log on these topics until it has reported this number of events, and returns the events.
fn keep(receipts: &Topic, checkpoints: &Topic, events: usize) -> Vec<String> {
    let (stop, lines) = (Stop::default(), Arc::default());
    let observer = Box::new(Diary(Arc::clone(&lines), events, stop.clone()));
    let logging = Logging { origin: origin(), key: key(), clock: Arc::new(FakeClock), observer };
    let clients = || {
        let (receipts, topic) = (Reader(receipts.clone(), 0), checkpoints.clone());
        Ok(Clients { receipts, checkpoints: Reader(topic.clone(), 0), post: topic })
    };
    logging.run(clients, &stop);
    let lines = lines.lock().expect("not poisoned");
    lines.iter().cloned().collect()
}

#[test]
fn a_process_signs_what_it_has_read_and_the_next_one_goes_on_from_there() {
    let (receipts, checkpoints) = (Topic::of((0..3).map(value)), Topic::default());
    receipts.put(None);
    assert_eq!(keep(&receipts, &checkpoints, 2), ["read 3", "published 3"], "a marker is not a leaf");
    assert_eq!(keep(&receipts, &checkpoints, 2), ["read 3", "published 3"], "signed once, heard again");
    receipts.put(Some(value(3)));
    assert_eq!(keep(&receipts, &checkpoints, 3), ["read 4", "published 3", "published 4"]);
    let heads: Vec<_> =
        checkpoints.texts().iter().map(|text| Checkpoint::parse(text).expect("ours").head()).collect();
    assert_eq!(heads, [head_of(3), head_of(4)]);
}

#[test]
fn a_topic_that_was_cut_or_replaced_is_not_signed() {
    let checkpoints = Topic::default();
    keep(&Topic::of((0..3).map(value)), &checkpoints, 2);
    let shorter = keep(&Topic::of((0..2).map(value)), &checkpoints, 1);
    assert_eq!(shorter, ["a checkpoint of 3 receipts is published, but the receipts topic has only 2"]);
    let other = keep(&Topic::of((1..9).map(value)), &checkpoints, 1);
    assert_eq!(other[0], Refusal::OtherRoot(3).to_string());
    let cut = Topic { start: 1, ..Topic::of((0..5).map(value)) };
    assert_eq!(
        keep(&cut, &checkpoints, 1),
        ["the receipts topic begins at offset 1: the log's first receipts are gone"]
    );
    let emptied = Topic { is_emptied: true, ..Topic::of((0..3).map(value)) };
    let refusals = keep(&emptied, &checkpoints, 3);
    assert_eq!(refusals.last(), Some(&Refusal::Replaced { read: 3, end: 0 }.to_string()));
    assert_eq!(checkpoints.texts().len(), 1, "nothing more is signed");
}

#[test]
fn a_checkpoint_that_our_key_has_not_signed_is_compared_and_signed_anew() {
    let (receipts, checkpoints) = (Topic::of((0..3).map(value)), Topic::default());
    let old_key = Checkpoint::sign(&origin(), head_of(2), &other_key());
    checkpoints.put(Some(old_key.to_string().into_bytes()));
    let elsewhere = Origin::new(StoreId([0xCD; 16]), "jobs.receipts");
    checkpoints.put(Some(Checkpoint::sign(&elsewhere, head_of(9), &key()).to_string().into_bytes()));
    assert_eq!(keep(&receipts, &checkpoints, 2), ["read 3", "published 3"]);
    checkpoints.put(Some(b"junk".to_vec()));
    let refused = keep(&receipts, &checkpoints, 1);
    assert!(refused[0].starts_with("record 3 of the checkpoints topic"), "{refused:?}");
}
