//! The folder of the vault.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::root::{KEK_FILE_LEN, RootKey, refused, refused_at_start};
use crate::edge::private::{self, PrivateError};
use crate::envelope::{Kek, random};
use crate::keys::{KekVault, VaultError};
use crate::model::{KekId, VaultId};
use crate::telemetry::{codes, info};

/// Evidence of a destruction, for the receipt.
const DESTROYED: &str = "the file was overwritten and removed, and the vault has none of this name";

/// KEKs as files of a folder. A root key in a file elsewhere wraps them.
pub struct FileVault(Arc<Folder>);

struct Folder {
    path: PathBuf,
    id: VaultId,
    root: RootKey,
}

impl FileVault {
    /// Opens the vault in the folder `path`. If neither the vault nor the root key exists, creates both.
    /// Several processes may do so at once; they agree on one vault and one root key.
    ///
    /// # Errors
    /// [`VaultError::Unusable`] if others than the owner can access one of them, if one is malformed, or if
    /// the root key is missing although the vault exists: a new root key would open none of its KEKs.
    pub fn open_or_create(path: &Path, root_key_file: &Path) -> Result<Self, VaultError> {
        Self::open_with(path, root_key_file, true)
    }

    /// Opens an existing vault.
    ///
    /// # Errors
    /// As [`FileVault::open_or_create`], and [`VaultError::Unusable`] if the vault does not exist.
    pub fn open(path: &Path, root_key_file: &Path) -> Result<Self, VaultError> {
        Self::open_with(path, root_key_file, false)
    }

    /// Opens what exists of a vault: `run` creates the rest.
    ///
    /// # Errors
    /// As [`FileVault::open`].
    pub fn check(path: &Path, root_key_file: &Path) -> Result<(), VaultError> {
        let mut folders = [path.to_owned(), path.join("day")].into_iter().filter(|it| it.exists());
        folders.try_for_each(|folder| private::check_folder(&folder).map_err(refused))?;
        if path.join("vault").exists() {
            return Self::open(path, root_key_file).map(drop);
        }
        if root_key_file.exists() { RootKey::open_or_create(root_key_file, false).map(drop) } else { Ok(()) }
    }

    fn open_with(path: &Path, root_key_file: &Path, may_create: bool) -> Result<Self, VaultError> {
        for folder in [path, &path.join("day")] {
            if may_create {
                private::make_folder(folder).map_err(refused_at_start)?;
            }
            private::check_folder(folder).map_err(refused_at_start)?;
            // A process that may create a vault also creates KEKs.
            if may_create {
                private::check_writable(folder).map_err(refused_at_start)?;
            }
        }
        if may_create {
            sweep_drafts(path).map_err(refused_at_start)?;
        }
        let id_file = path.join("vault");
        let is_new = may_create && !id_file.exists();
        let root = RootKey::open_or_create(root_key_file, is_new)?;
        let is_first = is_new && publish_id(&id_file).map_err(refused_at_start)?;
        let id = read_id(&id_file)?;
        if is_first {
            info!(codes::VAULT_CREATED, vault = %id, folder = %path.display(), "vault created");
        }
        Ok(Self(Arc::new(Folder { path: path.to_owned(), id, root })))
    }

    /// Runs file operations on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Folder) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let folder = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || job(&folder))
            .await
            .map_err(|_| VaultError::Unavailable("the thread that accesses it ended".to_owned()))?
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
            Err(error) => return Err(of_one(refused(error))),
        };
        // A process may have died after it named a KEK and before it synced the folder. A power cut could
        // undo such a name.
        private::sync_folder(private::parent(&path)).map_err(refused)?;
        let mut bytes = Vec::with_capacity(KEK_FILE_LEN + 1);
        file.take(KEK_FILE_LEN as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| refused(PrivateError::io(&path, error)))?;
        match self.root.unwrap(&bytes, id, self.id) {
            Ok(kek) => Ok(Some(kek)),
            Err(why) => Err(VaultError::Kek(format!("{} {why}", path.display()))),
        }
    }

    fn create(&self, id: &KekId) -> Result<Kek, VaultError> {
        let wrapped = self.root.wrap(&Kek::random(), id, self.id);
        let path = self.kek_file(id);
        private::make_folder(private::parent(&path)).map_err(refused)?;
        private::publish(&path, &wrapped).map(drop).map_err(refused)?;
        self.find(id)?.ok_or_else(|| {
            VaultError::Unavailable(format!("{} is missing right after it was created", path.display()))
        })
    }

    fn destroy(&self, id: &KekId) -> Result<&'static str, VaultError> {
        let path = self.kek_file(id);
        private::destroy_file(&path).map_err(refused)?;
        match self.find(id)? {
            None => Ok(DESTROYED),
            Some(_) => Err(VaultError::Unavailable(format!("{} exists again", path.display()))),
        }
    }

    /// The path of a KEK's file. A hold's folder is created with its first KEK.
    fn kek_file(&self, id: &KekId) -> PathBuf {
        self.path.join(format!("{id}.kek"))
    }
}

/// Says of an error that it concerns one KEK's file. Other files may be fine.
fn of_one(error: VaultError) -> VaultError {
    match error {
        VaultError::Unusable(what) => VaultError::Kek(what),
        other => other,
    }
}

/// Removes old drafts from every folder that may have some.
fn sweep_drafts(vault: &Path) -> Result<(), PrivateError> {
    let holds = vault.join("hold");
    let days = match fs::read_dir(&holds) {
        Ok(found) => found.flatten().map(|day| day.path()).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(PrivateError::io(&holds, error)),
    };
    let mut folders = [vault.to_owned(), vault.join("day")].into_iter().chain(days);
    folders.try_for_each(|folder| private::sweep_drafts(&folder, None))
}

/// Generates the vault's id and publishes it. The root key is created before it, so a vault without a root
/// key is never a half-created vault. Returns false if another process was first.
fn publish_id(path: &Path) -> Result<bool, PrivateError> {
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
        .ok_or_else(|| VaultError::Unusable(format!("{} does not contain a vault's id", path.display())))
}
