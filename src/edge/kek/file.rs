//! The folder of the vault.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::root::{KEK_FILE_LEN, RootKey, refused};
use crate::edge::private::{self, PrivateError};
use crate::envelope::{Kek, random};
use crate::keys::{KekVault, VaultError};
use crate::model::{KekId, VaultId};

/// What is done to a KEK's file.
const DESTROYED: &str = "the file was overwritten and removed, and the vault has none of this name";

/// KEKs as files of a folder, wrapped by a root key in a file elsewhere.
pub struct FileVault(Arc<Folder>);

struct Folder {
    path: PathBuf,
    id: VaultId,
    root: RootKey,
}

impl FileVault {
    /// Opens the vault in the folder `path`. Where neither the vault nor the root key exists, both are created; several
    /// processes may do so at once and agree.
    ///
    /// # Errors
    /// [`VaultError::Unusable`] when anybody but the owner may read one of them, when one is malformed, or when the root key
    /// is missing although there is a vault: a new root key would open none of its KEKs.
    pub fn open_or_create(path: &Path, root_key_file: &Path) -> Result<Self, VaultError> {
        Self::open_with(path, root_key_file, true)
    }

    /// Opens a vault that exists.
    ///
    /// # Errors
    /// As [`FileVault::open_or_create`], and [`VaultError::Unusable`] when there is none.
    pub fn open(path: &Path, root_key_file: &Path) -> Result<Self, VaultError> {
        Self::open_with(path, root_key_file, false)
    }

    fn open_with(path: &Path, root_key_file: &Path, may_create: bool) -> Result<Self, VaultError> {
        for folder in [path, &path.join("day")] {
            if may_create {
                private::make_folder(folder).map_err(refused)?;
            }
            private::check_folder(folder).map_err(refused)?;
        }
        let id_file = path.join("vault");
        let is_new = may_create && !id_file.exists();
        let root = RootKey::open_or_create(root_key_file, is_new)?;
        if is_new {
            publish_id(&id_file).map_err(refused)?;
        }
        let id = read_id(&id_file)?;
        Ok(Self(Arc::new(Folder { path: path.to_owned(), id, root })))
    }

    /// Runs file work where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Folder) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let folder = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || job(&folder))
            .await
            .map_err(|_| VaultError::Unavailable("the thread that reads it ended".to_owned()))?
    }
}

#[async_trait]
impl KekVault for FileVault {
    fn id(&self) -> VaultId {
        self.0.id
    }

    async fn find(&self, id: &KekId) -> Result<Option<Kek>, VaultError> {
        let id = id.clone();
        self.blocking(move |folder| folder.find(&id)).await
    }

    async fn create(&self, id: &KekId) -> Result<Kek, VaultError> {
        let id = id.clone();
        self.blocking(move |folder| folder.create(&id)).await
    }

    async fn destroy(&self, id: &KekId) -> Result<&'static str, VaultError> {
        let id = id.clone();
        self.blocking(move |folder| folder.destroy(&id)).await
    }
}

impl Folder {
    fn find(&self, id: &KekId) -> Result<Option<Kek>, VaultError> {
        let path = self.kek_file(id);
        let file = match private::open_file(&path) {
            Ok(file) => file,
            Err(PrivateError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused(error)),
        };
        // A process that died between naming a KEK and syncing the folder left a name that a power cut could undo.
        private::sync_folder(private::parent(&path)).map_err(refused)?;
        let mut bytes = Vec::with_capacity(KEK_FILE_LEN + 1);
        file.take(KEK_FILE_LEN as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| refused(PrivateError::io(&path, error)))?;
        match self.root.unwrap(&bytes, id, self.id) {
            Ok(kek) => Ok(Some(kek)),
            Err(why) => Err(VaultError::Unusable(format!("{} {why}", path.display()))),
        }
    }

    fn create(&self, id: &KekId) -> Result<Kek, VaultError> {
        let wrapped = self.root.wrap(&Kek::random(), id, self.id);
        let path = self.kek_file(id);
        private::make_folder(private::parent(&path)).map_err(refused)?;
        private::publish(&path, &wrapped).map_err(refused)?;
        self.find(id)?.ok_or_else(|| {
            VaultError::Unavailable(format!("{} vanished after it was created", path.display()))
        })
    }

    fn destroy(&self, id: &KekId) -> Result<&'static str, VaultError> {
        let path = self.kek_file(id);
        private::destroy_file(&path).map_err(refused)?;
        match self.find(id)? {
            None => Ok(DESTROYED),
            Some(_) => Err(VaultError::Unavailable(format!("{} is there again", path.display()))),
        }
    }

    /// The folders of KEKs of holds are made with the first of each.
    fn kek_file(&self, id: &KekId) -> PathBuf {
        self.path.join(format!("{id}.kek"))
    }
}

/// Draws the vault's id. It comes after the root key, so that a vault without a root key is never a vault half made.
fn publish_id(path: &Path) -> Result<(), PrivateError> {
    let mut id = [0; 16];
    random(&mut id);
    private::publish(path, format!("{}\n", hex::encode(id)).as_bytes())
}

/// 32 hex digits and a newline.
fn read_id(path: &Path) -> Result<VaultId, VaultError> {
    let mut text = String::new();
    private::open_file(path)
        .map_err(refused)?
        .take(64)
        .read_to_string(&mut text)
        .map_err(|error| refused(PrivateError::io(path, error)))?;
    hex::decode(text.trim_end())
        .ok()
        .and_then(|id| VaultId::from_slice(&id))
        .ok_or_else(|| VaultError::Unusable(format!("{} does not hold a vault's id", path.display())))
}
