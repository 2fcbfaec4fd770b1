//! The file vault: one KEK per id, complete or missing, and readable only by its owner.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hourseal::edge::kek::FileVault;
use hourseal::envelope::hkdf;
use hourseal::keys::{KekVault, VaultError, check_value};
use hourseal::model::{Due, KekId};
use tempfile::TempDir;

use crate::child::Other;
use crate::world::HOUR;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("kek")
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root/hourseal-root.key")
    }

    fn kek_file(&self, id: &KekId) -> PathBuf {
        self.folder().join(format!("{}.kek", id.as_str()))
    }

    fn open(&self) -> FileVault {
        self.try_open().expect("it opens")
    }

    fn try_open(&self) -> Result<FileVault, VaultError> {
        FileVault::open_or_create(&self.folder(), &self.root())
    }

    fn refusal(&self) -> String {
        let error = self.try_open().err().expect("refused");
        assert!(matches!(error, VaultError::Unusable(_)), "{error}");
        error.to_string()
    }
}

fn day(number: u32) -> KekId {
    KekId::of_due(Due(HOUR.0 + 24 * number))
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

async fn refused(vault: &FileVault, id: &KekId) -> String {
    match vault.find(id).await {
        Err(error @ VaultError::Kek(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was given"),
    }
}

/// A child's order: creates twenty KEKs that all processes create at once, and returns their check values.
pub async fn create_keks(address: &str) -> Vec<String> {
    let place = Path::new(address);
    let vault = FileVault::open_or_create(&place.join("kek"), &place.join("root/hourseal-root.key"));
    let vault = vault.expect("it opens");
    let mut answers = vec![vault.id().to_string()];
    for number in 0..20 {
        let kek = vault.create(&day(number)).await.expect("it answers");
        answers.push(hex::encode(check_value(&kek, &day(number))));
    }
    answers
}

#[tokio::test]
async fn processes_that_create_a_vault_and_its_keks_at_once_agree() {
    let place = Place::new();
    let address = place.0.path().to_str().expect("text").to_owned();
    let mut others: Vec<_> = (0..3).map(|_| Other::ready("kek", &address)).collect();
    others.iter_mut().for_each(Other::go);
    let mine = create_keks(&address).await;
    for other in others {
        assert_eq!(other.answer(), mine);
    }
    let left: Vec<_> = walk(place.0.path()).into_iter().filter(|it| it.contains("draft")).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn walk(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            names.extend(walk(&path));
        }
        names.push(path.display().to_string());
    }
    names
}

#[tokio::test]
async fn a_kek_is_found_again_and_never_changes() {
    let place = Place::new();
    let vault = place.open();
    assert!(vault.find(&day(1)).await.expect("it answers").is_none());
    let created = check_value(&vault.create(&day(1)).await.expect("it answers"), &day(1));
    let again = check_value(&vault.create(&day(1)).await.expect("it answers"), &day(1));
    let vault = place.open();
    let found = vault.find(&day(1)).await.expect("it answers").expect("a KEK");
    assert_eq!((again, check_value(&found, &day(1))), (created, created));
    let other = vault.create(&day(2)).await.expect("it answers");
    assert_ne!(check_value(&other, &day(2)), created);
}

/// Follows `schemas/kek-file.md` by hand with another implementation.
#[tokio::test]
async fn a_kek_file_opens_by_the_written_spec() {
    let place = Place::new();
    let (vault, id) = (place.open(), day(1));
    let kek = vault.create(&id).await.expect("it answers");

    let line = fs::read_to_string(place.root()).expect("text");
    let root =
        hex::decode(line.strip_prefix("hourseal-root-1 ").expect("its prefix").trim_end()).expect("hex");
    assert_eq!((root.len(), line.len()), (32, 81));
    let vault_id = fs::read_to_string(place.folder().join("vault")).expect("text");
    assert_eq!(vault_id, format!("{}\n", vault.id()));
    let file = fs::read(place.kek_file(&id)).expect("readable");
    assert_eq!((file.len(), &file[..2]), (74, &[1, 1][..]));

    let name = [&[0, 14][..], id.as_str().as_bytes()].concat();
    let mut key = [0; 32];
    hkdf(&root, &[b"hourseal/1 root", &name], &mut key);
    let aad = [b"hourseal/1 kek".as_slice(), &vault.id().0, &name].concat();
    let nonce = XNonce::try_from(&file[2..26]).expect("24 bytes");
    let cipher = XChaCha20Poly1305::new(&Key::from(key));
    let secret = cipher.decrypt(&nonce, Payload { msg: &file[26..], aad: &aad }).expect("it opens");
    let mut check = [0; 16];
    hkdf(&secret, &[b"hourseal/1 check", &name], &mut check);
    assert_eq!(check, check_value(&kek, &id));
    assert!(!file.windows(32).any(|window| window == secret), "never in the clear");
}

#[tokio::test]
async fn what_others_may_read_is_refused() {
    let place = Place::new();
    let vault = place.open();
    vault.create(&day(1)).await.expect("it answers");
    for (path, wrong, right) in [
        (place.folder(), 0o750, 0o700),
        (place.folder().join("day"), 0o701, 0o700),
        (place.folder().join("vault"), 0o604, 0o600),
        (place.root(), 0o640, 0o600),
    ] {
        chmod(&path, wrong);
        let text = place.refusal();
        assert!(text.contains(&format!("mode {wrong:04o}")), "{text}");
        chmod(&path, right);
        place.open();
    }
    chmod(&place.kek_file(&day(1)), 0o660);
    assert!(refused(&vault, &day(1)).await.contains("mode 0660"));
    chmod(&place.root(), 0o400);
    place.open();
}

#[tokio::test]
async fn what_is_created_is_private() {
    let place = Place::new();
    place.open().create(&day(1)).await.expect("it answers");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    for folder in [place.folder(), place.folder().join("day"), place.0.path().join("root")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
    }
    for file in [place.root(), place.folder().join("vault"), place.kek_file(&day(1))] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn a_kek_of_another_vault_root_or_id_is_refused() {
    let (place, other) = (Place::new(), Place::new());
    let vault = place.open();
    vault.create(&day(1)).await.expect("it answers");
    other.open();
    for (from, to) in [
        (place.kek_file(&day(1)), place.kek_file(&day(2))),
        (place.kek_file(&day(1)), other.kek_file(&day(1))),
    ] {
        fs::copy(from, to).expect("ours");
    }
    assert!(refused(&vault, &day(2)).await.contains("does not open"));
    assert!(refused(&other.open(), &day(1)).await.contains("does not open"));
    fs::copy(place.root(), other.root()).expect("ours");
    assert!(refused(&other.open(), &day(1)).await.contains("does not open"), "the same root, another vault");
    fs::copy(place.folder().join("vault"), other.folder().join("vault")).expect("ours");
    assert!(other.open().find(&day(1)).await.expect("all of it was copied").is_some());
}

#[tokio::test]
async fn a_truncated_kek_file_is_refused_and_not_replaced() {
    let place = Place::new();
    let vault = place.open();
    vault.create(&day(1)).await.expect("it answers");
    let whole = fs::read(place.kek_file(&day(1))).expect("readable");
    for len in [0, 1, 73] {
        fs::write(place.kek_file(&day(1)), &whole[..len]).expect("ours");
        assert!(refused(&vault, &day(1)).await.contains("74 bytes"));
        assert!(vault.create(&day(1)).await.is_err());
        assert_eq!(fs::read(place.kek_file(&day(1))).expect("readable").len(), len);
    }
}

#[test]
fn a_vault_without_its_root_key_gets_no_new_one() {
    let place = Place::new();
    place.open();
    fs::remove_file(place.root()).expect("ours");
    assert!(place.refusal().contains("hourseal-root.key"));
    assert!(!place.root().exists());
}

#[test]
fn a_root_key_file_of_another_form_is_refused_without_quoting_it() {
    let place = Place::new();
    place.open();
    let good = fs::read_to_string(place.root()).expect("text");
    let secret = &good["hourseal-root-1 ".len()..good.len() - 1];
    for bad in [
        String::new(),
        secret.to_owned(),
        good.replace("-1 ", "-2 "),
        good[..79].to_owned(),
        format!("{good}\n"),
    ] {
        fs::write(place.root(), &bad).expect("ours");
        let text = place.refusal();
        assert!(text.contains("not a root key file") && !text.contains(secret), "{text}");
    }
}

#[test]
fn opening_creates_nothing_unless_asked() {
    let place = Place::new();
    assert!(FileVault::open(&place.folder(), &place.root()).is_err());
    assert!(walk(place.0.path()).is_empty());
    place.open();
    assert!(FileVault::open(&place.folder(), &place.root()).is_ok());
}

#[tokio::test]
async fn a_destroyed_kek_is_nowhere_in_the_folder_and_destroying_it_again_is_fine() {
    let place = Place::new();
    let vault = place.open();
    vault.create(&day(0)).await.expect("it answers");
    vault.create(&day(1)).await.expect("it answers");
    let file = place.folder().join(format!("{}.kek", day(0)));
    let (bytes, second_name) = (fs::read(&file).expect("a file"), place.0.path().join("copy"));
    fs::hard_link(&file, &second_name).expect("ours");
    for _ in 0..2 {
        let said = vault.destroy(&day(0)).await.expect("it answers");
        assert!(said.contains("overwritten and removed"), "{said}");
        assert!(vault.find(&day(0)).await.expect("it answers").is_none());
    }
    assert_eq!(
        fs::read(&second_name).expect("the blocks"),
        vec![0; bytes.len()],
        "the blocks are overwritten"
    );
    assert!(!file.exists() && vault.find(&day(1)).await.expect("it answers").is_some());
    assert!(place.open().find(&day(0)).await.expect("it answers").is_none(), "to other processes, too");
}
