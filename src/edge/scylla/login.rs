//! The user and the password with which this process connects.

use std::path::PathBuf;

use async_trait::async_trait;
use scylla::authentication::{AuthError, AuthenticatorProvider, AuthenticatorSession};
use zeroize::Zeroizing;

use crate::keys::StoreError;

/// User, and the file with the password. The file is read for each connection, so that a new password takes
/// no restart. Neither this program nor the driver keeps the password.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user: String,
    pub password_file: PathBuf,
}

impl Credentials {
    /// # Errors
    /// [`StoreError::Unusable`] if the file cannot be read.
    pub(super) fn password(&self) -> Result<Zeroizing<String>, StoreError> {
        let file = &self.password_file;
        let text = std::fs::read_to_string(file)
            .map_err(|error| StoreError::Unusable(format!("cannot read {}: {error}", file.display())))?;
        let text = Zeroizing::new(text);
        Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

#[async_trait]
impl AuthenticatorProvider for Credentials {
    /// SASL PLAIN without an authorization id: NUL, user, NUL, password.
    async fn start_authentication_session(
        &self,
        _: &str,
    ) -> Result<(Option<Vec<u8>>, Box<dyn AuthenticatorSession>), AuthError> {
        let credentials = self.clone();
        let password = tokio::task::spawn_blocking(move || credentials.password()).await;
        let password = password.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let plain = [b"\0", self.user.as_bytes(), b"\0", password.as_bytes()].concat();
        Ok((Some(plain), Box::new(NoChallenge)))
    }
}

/// The server asks nothing more.
struct NoChallenge;

#[async_trait]
impl AuthenticatorSession for NoChallenge {
    async fn evaluate_challenge(&mut self, _: Option<&[u8]>) -> Result<Option<Vec<u8>>, AuthError> {
        Err("the server asks for more than a user and a password".to_owned())
    }

    async fn success(&mut self, _: Option<&[u8]>) -> Result<(), AuthError> {
        Ok(())
    }
}
