//! Files of signing keys. Their mode must be 0600; any other is refused.

use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::private::{self, PrivateError};
use crate::forget::SigningKey;

/// Longer than any key file.
const MOST: u64 = 4_096;

/// Why a key file is not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("{0} already exists: a key is never overwritten")]
    Exists(String),
    /// The file cannot be read or written, or others may access it.
    #[error("{0}")]
    File(String),
    /// The file holds something else.
    #[error("{0}")]
    NoKey(String),
}

impl From<PrivateError> for KeyFileError {
    fn from(error: PrivateError) -> Self {
        Self::File(error.to_string())
    }
}

/// Generates a key and writes it to a new file.
///
/// # Errors
/// [`KeyFileError`]; an existing file stays as it is.
pub fn create(path: &Path) -> Result<SigningKey, KeyFileError> {
    let exists = || KeyFileError::Exists(path.display().to_string());
    if path.exists() {
        return Err(exists());
    }
    let pem = SigningKey::generate();
    let _ = private::publish(path, pem.as_bytes())?;
    let text = read_text(path)?;
    // A process that created the file in the meantime has its own key in it.
    if *text == *pem { parse(path, &text) } else { Err(exists()) }
}

/// Reads a key.
///
/// # Errors
/// [`KeyFileError::File`] or [`KeyFileError::NoKey`]. Their texts quote no part of the key.
pub fn read(path: &Path) -> Result<SigningKey, KeyFileError> {
    parse(path, &read_text(path)?)
}

fn parse(path: &Path, text: &str) -> Result<SigningKey, KeyFileError> {
    SigningKey::from_pem(text).map_err(|error| KeyFileError::NoKey(format!("{}: {error}", path.display())))
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let mut text = Zeroizing::new(String::with_capacity(MOST as usize));
    let file = private::open_file(path)?;
    file.take(MOST).read_to_string(&mut text).map_err(|error| PrivateError::io(path, error))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_never_overwritten_and_refused_where_others_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("dpo.pem");
        let key = create(&path).expect("a new file");
        assert_eq!(read(&path).expect("its own file").public(), key.public());
        assert!(matches!(create(&path), Err(KeyFileError::Exists(_))));
        assert_eq!(read(&path).expect("as it was").public(), key.public());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("our file");
        assert!(read(&path).is_err());
    }
}
