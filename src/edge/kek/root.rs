//! The root key and the KEK files that it wraps.

use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use crate::edge::private::{self, PrivateError};
use crate::envelope::{
    Kek, KeyCell, NONCE_LEN, TAG_LEN, hkdf, random, reference_open, reference_seal, tidily,
};
use crate::keys::VaultError;
use crate::model::{KekId, VaultId};
use crate::telemetry::{codes, info};

/// Bytes of a KEK file: ver 0x01 ‖ suite 0x01 ‖ nonce 24 ‖ ciphertext 32 ‖ tag 16.
pub(super) const KEK_FILE_LEN: usize = 2 + NONCE_LEN + 32 + TAG_LEN;

const VERSION_AND_SUITE: [u8; 2] = [0x01, 0x01];
const PREFIX: &[u8] = b"hourseal-root-1 ";
const LINE_LEN: usize = PREFIX.len() + 64;

/// The key above all KEKs of a `file` vault.
pub(super) struct RootKey(KeyCell);

impl RootKey {
    /// Reads the root key file. If it is missing and may be created, generates a root key first. If several
    /// processes do so at once, the first one wins.
    pub(super) fn open_or_create(path: &Path, may_create: bool) -> Result<Self, VaultError> {
        if may_create && !path.exists() {
            private::make_folder(private::parent(path)).map_err(refused_at_start)?;
            private::sweep_drafts(private::parent(path), Some(path)).map_err(refused_at_start)?;
            if private::publish(path, &Self::generate().line()).map_err(refused_at_start)? {
                let (file, hint) =
                    (path.display(), "without it, no key can be opened; do not copy it (SECURITY.md, A2)");
                info!(codes::ROOT_KEY_CREATED, %file, hint, "root key created");
            }
        }
        Self::read(path)
    }

    fn generate() -> Self {
        let mut key = KeyCell::zeroed();
        random(key.as_mut_slice());
        Self(key)
    }

    /// `hourseal-root-1 `, 64 hex digits, newline. It is on the heap: moves of an array would leave copies.
    fn line(&self) -> Zeroizing<Vec<u8>> {
        let mut line = Zeroizing::new(vec![b'\n'; LINE_LEN + 1]);
        line[..PREFIX.len()].copy_from_slice(PREFIX);
        hex::encode_to_slice(self.0.as_slice(), &mut line[PREFIX.len()..LINE_LEN])
            .expect("32 bytes are 64 hex digits");
        line
    }

    fn read(path: &Path) -> Result<Self, VaultError> {
        let file = private::open_file(path).map_err(refused)?;
        let mut text = Zeroizing::new(Vec::with_capacity(LINE_LEN + 8));
        file.take(LINE_LEN as u64 + 2)
            .read_to_end(&mut text)
            .map_err(|error| refused(PrivateError::io(path, error)))?;
        Self::parse(text.strip_suffix(b"\n").unwrap_or(&text)).ok_or_else(|| {
            VaultError::Unusable(format!(
                "{} is not a root key file: expected `hourseal-root-1 ` and 64 hex digits",
                path.display()
            ))
        })
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut key = KeyCell::zeroed();
        hex::decode_to_slice(line.strip_prefix(PREFIX)?, key.as_mut_slice()).ok()?;
        Some(Self(key))
    }

    /// The KEK file's bytes.
    pub(super) fn wrap(&self, kek: &Kek, id: &KekId, vault: VaultId) -> [u8; KEK_FILE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce);
        let mut file = [0; KEK_FILE_LEN];
        file[..2].copy_from_slice(&VERSION_AND_SUITE);
        file[2..26].copy_from_slice(&nonce);
        // The KEK is sealed in place, so that no copy of it stays in memory.
        file[26..58].copy_from_slice(kek.expose());
        let key = self.key_for(id);
        let tag = tidily(|| reference_seal(&key, &nonce, &aad(id, vault), &mut file[26..58]));
        file[58..].copy_from_slice(&tag);
        file
    }

    /// The KEK of a KEK file, or a text that says what is wrong with the file.
    pub(super) fn unwrap(&self, file: &[u8], id: &KekId, vault: VaultId) -> Result<Kek, String> {
        let file: &[u8; KEK_FILE_LEN] =
            file.try_into().map_err(|_| format!("does not have the {KEK_FILE_LEN} bytes of a KEK file"))?;
        if file[..2] != VERSION_AND_SUITE {
            return Err(format!("has an unknown version and suite: {}", hex::encode(&file[..2])));
        }
        let nonce = file[2..26].try_into().expect("a nonce is 24 bytes");
        let tag = file[58..].try_into().expect("a tag is 16 bytes");
        let key = self.key_for(id);
        let mut kek = KeyCell::zeroed();
        kek.copy_from_slice(&file[26..58]);
        tidily(|| reference_open(&key, nonce, &aad(id, vault), kek.as_mut_slice(), tag))
            .map_err(|_| "does not open under this root key for this vault and KEK id".to_owned())?;
        Ok(kek.into())
    }

    /// key = HKDF-SHA256(ikm = root key, salt = "", info = "hourseal/1 root" ‖ u16 len ‖ kek id, 32 bytes)
    fn key_for(&self, id: &KekId) -> KeyCell {
        let mut key = KeyCell::zeroed();
        hkdf(
            self.0.as_slice(),
            &[b"hourseal/1 root", &len_of(id), id.as_str().as_bytes()],
            key.as_mut_slice(),
        );
        key
    }
}

/// aad = "hourseal/1 kek" ‖ vault id 16 ‖ u16 len ‖ kek id
fn aad(id: &KekId, vault: VaultId) -> Vec<u8> {
    [b"hourseal/1 kek", vault.0.as_slice(), &len_of(id), id.as_str().as_bytes()].concat()
}

fn len_of(id: &KekId) -> [u8; 2] {
    u16::try_from(id.as_str().len()).expect("a KEK id has at most 48 bytes").to_be_bytes()
}

/// The reason why the vault cannot be opened.
pub(super) fn refused_at_start(error: PrivateError) -> VaultError {
    if error.passes_at_start() { refused(error) } else { VaultError::Unusable(error.to_string()) }
}

pub(super) fn refused(error: PrivateError) -> VaultError {
    if error.passes() {
        VaultError::Unavailable(error.to_string())
    } else {
        VaultError::Unusable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAULT: VaultId = VaultId([9; 16]);

    fn root(byte: u8) -> RootKey {
        let mut key = KeyCell::zeroed();
        key.fill(byte);
        RootKey(key)
    }

    fn day(text: &str) -> KekId {
        KekId::parse(text).expect("a KEK id")
    }

    #[test]
    fn a_kek_comes_back_for_its_own_root_vault_and_id_only() {
        let id = day("day/2026-11-24");
        let file = root(1).wrap(&Kek::take(&mut [5; 32]), &id, VAULT);
        assert_eq!(root(1).unwrap(&file, &id, VAULT).expect("its own").expose(), &[5; 32]);
        assert!(root(2).unwrap(&file, &id, VAULT).is_err());
        assert!(root(1).unwrap(&file, &day("day/2026-11-25"), VAULT).is_err());
        assert!(root(1).unwrap(&file, &id, VaultId([8; 16])).is_err());
    }

    #[test]
    fn every_altered_byte_and_length_is_refused() {
        let id = day("day/2026-11-24");
        let file = root(1).wrap(&Kek::take(&mut [5; 32]), &id, VAULT);
        for at in 0..KEK_FILE_LEN {
            let mut file = file;
            file[at] ^= 1;
            assert!(root(1).unwrap(&file, &id, VAULT).is_err(), "byte {at}");
        }
        assert!(root(1).unwrap(&file[..73], &id, VAULT).is_err());
        assert!(root(1).unwrap(&[file.as_slice(), &[0]].concat(), &id, VAULT).is_err());
    }

    #[test]
    fn a_root_keys_line_is_read_with_and_without_its_newline() {
        let line = root(0xab).line();
        assert_eq!(line.len(), 81);
        assert!(line.starts_with(b"hourseal-root-1 abab") && line.ends_with(b"ab\n"));
        assert!(RootKey::parse(&line[..80]).is_some_and(|key| *key.0 == [0xab; 32]));
        assert!(RootKey::parse(&line[..78]).is_none());
        assert!(RootKey::parse(&line[1..80]).is_none());
    }
}
