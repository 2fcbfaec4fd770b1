//! Files of signing keys: PKCS#8 in PEM, which only their owner can read.

use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::private::{self, PrivateError};
use crate::forget::{NotASigningKey, SigningKey};

/// More than any key file of ours, in bytes.
const LONGEST: u64 = 4_096;

/// Why a file gives no signing key.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct KeyFileError(String);

/// Reads a signing key.
///
/// # Errors
/// [`KeyFileError`] where it is not there, can be read by others, or is no key; it quotes nothing of it.
pub fn read(path: &Path) -> Result<SigningKey, KeyFileError> {
    let failed = |error: PrivateError| KeyFileError(error.to_string());
    let file = private::open_file(path).map_err(failed)?;
    let mut text = Zeroizing::new(String::with_capacity(LONGEST as usize));
    file.take(LONGEST).read_to_string(&mut text).map_err(|error| failed(PrivateError::io(path, error)))?;
    SigningKey::from_pem(&text)
        .map_err(|why: NotASigningKey| KeyFileError(format!("{}: {why}", path.display())))
}
