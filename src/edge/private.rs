//! Files and folders that only their owner can read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, CWD, FlockOperation, RenameFlags, access, flock, renameat_with};
use rustix::io::Errno;

/// Why a path is not private.
#[derive(Debug, thiserror::Error)]
pub(super) enum PrivateError {
    #[error("{path} can be accessed by others (mode {mode:04o}): allow its owner only ({wanted:04o})")]
    Shared { path: String, mode: u32, wanted: u32 },
    #[error("{path} is not a {wanted}")]
    Kind { path: String, wanted: &'static str },
    #[error("{path}: {error}: it belongs to user {owner} (mode {mode:04o})")]
    Denied { path: String, error: io::Error, owner: u32, mode: u32 },
    #[error("{path}: {error}")]
    Io { path: String, error: io::Error },
}

impl PrivateError {
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        let (name, is_denied) = (path.display().to_string(), error.kind() == ErrorKind::PermissionDenied);
        match fs::metadata(path) {
            Ok(found) if is_denied => {
                Self::Denied { path: name, error, owner: found.uid(), mode: found.mode() & 0o7777 }
            }
            _ => Self::Io { path: name, error },
        }
    }

    /// Whether waiting may help. An unavailable volume may come back; permissions stay until a person changes
    /// them.
    pub(super) fn passes(&self) -> bool {
        match self {
            Self::Shared { .. } | Self::Kind { .. } | Self::Denied { .. } => false,
            Self::Io { error, .. } => !matches!(
                error.kind(),
                ErrorKind::PermissionDenied
                    | ErrorKind::NotFound
                    | ErrorKind::InvalidInput
                    | ErrorKind::Unsupported
            ),
        }
    }

    /// The same at the start of a process. A file system that is read-only then is a matter of its mount. One
    /// that becomes read-only later has had a fault, and may come back.
    pub(super) fn passes_at_start(&self) -> bool {
        let is_read_only =
            matches!(self, Self::Io { error, .. } if error.kind() == ErrorKind::ReadOnlyFilesystem);
        self.passes() && !is_read_only
    }
}

/// Creates a folder and its missing parents, each 0700 and durable. An existing folder stays as it is.
pub(super) fn make_folder(path: &Path) -> Result<(), PrivateError> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    make_folder(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_folder(parent),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(PrivateError::io(path, error)),
    }
}

/// The folder of a path; `.` for a bare name.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

pub(super) fn sync_folder(path: &Path) -> Result<(), PrivateError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| PrivateError::io(path, error))
}

/// Refuses a folder with any permission for others than its owner.
pub(super) fn check_folder(path: &Path) -> Result<(), PrivateError> {
    let metadata = fs::metadata(path).map_err(|error| PrivateError::io(path, error))?;
    check(path, &metadata, metadata.is_dir(), "folder", 0o700)
}

/// Refuses a file with any permission for others than its owner, without opening it.
pub(super) fn check_file(path: &Path) -> Result<(), PrivateError> {
    let metadata = fs::metadata(path).map_err(|error| PrivateError::io(path, error))?;
    check(path, &metadata, metadata.is_file(), "file", 0o600)
}

/// Refuses a path that this process may not read and write, without opening it. A library that tries it says
/// less about the reason.
pub(super) fn check_writable(path: &Path) -> Result<(), PrivateError> {
    access(path, Access::READ_OK | Access::WRITE_OK).map_err(|error| PrivateError::io(path, error.into()))
}

/// Locks a folder until the returned file is dropped. The lock is advisory: it keeps out only processes and
/// threads that also ask for it.
pub(super) fn lock_folder(path: &Path) -> Result<File, PrivateError> {
    let folder = File::open(path).map_err(|error| PrivateError::io(path, error))?;
    flock(&folder, FlockOperation::LockExclusive).map_err(|error| PrivateError::io(path, error.into()))?;
    Ok(folder)
}

/// Opens a file for reading. Refuses a file with any permission for others than its owner.
pub(super) fn open_file(path: &Path) -> Result<File, PrivateError> {
    let file = File::open(path).map_err(|error| PrivateError::io(path, error))?;
    let metadata = file.metadata().map_err(|error| PrivateError::io(path, error))?;
    check(path, &metadata, metadata.is_file(), "file", 0o600)?;
    Ok(file)
}

fn check(
    path: &Path,
    metadata: &fs::Metadata,
    is_kind: bool,
    kind: &'static str,
    wanted: u32,
) -> Result<(), PrivateError> {
    let (path, mode) = (path.display().to_string(), metadata.mode() & 0o7777);
    match (is_kind, mode & 0o077) {
        (false, _) => Err(PrivateError::Kind { path, wanted: kind }),
        (true, 0) => Ok(()),
        (true, _) => Err(PrivateError::Shared { path, mode, wanted }),
    }
}

/// Creates an empty file, 0600 and durable, unless the file exists.
pub(super) fn create_empty(path: &Path) -> Result<(), PrivateError> {
    match new_file(path) {
        Ok(file) => {
            file.sync_all().map_err(|error| PrivateError::io(path, error))?;
            sync_folder(parent(path))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(PrivateError::io(path, error)),
    }
}

/// Creates a file with these bytes, 0600, unless the file exists. Under its name, the file is either whole
/// and durable, or does not exist. Returns whether it created the file. A crash may leave a draft behind,
/// which [`sweep_drafts`] removes.
pub(super) fn publish(path: &Path, bytes: &[u8]) -> Result<bool, PrivateError> {
    let io_error = |error| PrivateError::io(path, error);
    let draft = draft_name(path);
    let is_created = match write_draft(&draft, bytes).and_then(|()| give_name(&draft, path)) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(&draft).map_err(io_error)?;
            false
        }
        Err(error) => {
            let _ = fs::remove_file(&draft);
            return Err(io_error(error));
        }
    };
    // This is also needed if another process was first: the name of its file may not be durable yet.
    sync_folder(parent(path))?;
    Ok(is_created)
}

/// Renames a draft, unless a file has the name. NFS and CephFS refuse a rename that must not replace a file
/// (`nfs_rename` and `ceph_rename` of Linux answer EINVAL to any flag). There a hard link does the same.
fn give_name(draft: &Path, path: &Path) -> io::Result<()> {
    let renamed = renameat_with(CWD, draft, CWD, path, RenameFlags::NOREPLACE);
    let Err(error @ (Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)) = renamed else { return Ok(renamed?) };
    match fs::hard_link(draft, path) {
        Ok(()) => fs::remove_file(draft),
        Err(exists) if exists.kind() == ErrorKind::AlreadyExists => Err(exists),
        Err(link) => Err(io::Error::new(
            ErrorKind::Unsupported,
            format!(
                "its file system refuses a rename that replaces no file ({error}) and a hard link ({link})"
            ),
        )),
    }
}

/// The extension of a draft, before 16 random hex digits.
const DRAFT: &str = "draft-";
/// Age at which a draft is left over from a process that was killed.
const LEFT_OVER: Duration = Duration::from_secs(3_600);

/// A random name next to the file, which no other process uses.
fn draft_name(path: &Path) -> PathBuf {
    let mut random = [0; 8];
    crate::envelope::random(&mut random);
    path.with_extension(format!("{DRAFT}{}", hex::encode(random)))
}

/// Removes the drafts of this folder that are older than an hour: killed processes left them. If `of` names a
/// file, removes only its drafts. A draft may be a second name of a published file, whose bytes must stay.
/// Any other one is overwritten.
pub(super) fn sweep_drafts(folder: &Path, of: Option<&Path>) -> Result<(), PrivateError> {
    let io_error = |error| PrivateError::io(folder, error);
    for entry in fs::read_dir(folder).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        let is_wanted = of.is_none_or(|of| of.file_stem() == path.file_stem());
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        // A file from the future has no age.
        let age = found.modified().ok().and_then(|at| at.elapsed().ok());
        if !(is_wanted && is_draft(&path) && found.is_file() && age.is_some_and(|age| age >= LEFT_OVER)) {
            continue;
        }
        match found.nlink() {
            1 => destroy_file(&path)?,
            _ => fs::remove_file(&path).map_err(|error| PrivateError::io(&path, error))?,
        }
    }
    Ok(())
}

fn is_draft(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let digits = extension.and_then(|extension| extension.strip_prefix(DRAFT));
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|it| it.is_ascii_hexdigit()))
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = new_file(draft)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Overwrites a file with zeros and removes it, both durably. A missing file counts as removed.
///
/// Older copies of its blocks stay if the disk, the file system or another program keeps them.
pub(super) fn destroy_file(path: &Path) -> Result<(), PrivateError> {
    let io_error = |error| PrivateError::io(path, error);
    match OpenOptions::new().write(true).open(path) {
        Ok(mut file) => {
            let length = file.metadata().map_err(io_error)?.len();
            io::copy(&mut io::repeat(0).take(length), &mut file).map_err(io_error)?;
            file.sync_all().map_err(io_error)?;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return sync_folder(parent(path)),
        Err(error) => return Err(io_error(error)),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error(error)),
        _ => sync_folder(parent(path)),
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}
