//! The space of a file system.

use std::io;
use std::path::Path;

/// The space of a file system, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    pub size: u64,
    /// Left for processes without special rights.
    pub available: u64,
}

/// Returns the space of the file system that holds `path`.
///
/// # Errors
/// Those of statvfs(3), such as a path that does not exist.
pub fn space(path: &Path) -> io::Result<Space> {
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { size: bytes(found.f_blocks), available: bytes(found.f_bavail) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_has_a_size_and_what_is_available_is_a_part_of_it() {
        let found = space(Path::new(".")).expect("the folder exists");
        assert!(found.size > 0 && found.available <= found.size, "{found:?}");
        assert!(space(Path::new("/nowhere")).is_err());
    }
}
