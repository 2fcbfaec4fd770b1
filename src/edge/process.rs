//! Protection of this process's memory against other programs.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// A protection that the system refused. The text says what is unprotected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Exposure {
    #[error(
        "the system refused PR_SET_DUMPABLE ({0}), as a seccomp filter may: core dumps and debuggers of this \
         user can read keys"
    )]
    Dumpable(Errno),
    #[error(
        "the system refused RLIMIT_CORE=0 ({0}), as a seccomp filter may: only PR_SET_DUMPABLE keeps keys \
         out of core dumps"
    )]
    Core(Errno),
}

/// Forbids core dumps and debuggers, and returns the protections that the system refused. Call it before the
/// first key is read. The limit cannot be raised again.
pub fn shield() -> Vec<Exposure> {
    let dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Exposure::Dumpable);
    // The kernel checks the limit only when it writes a core file. If `core_pattern` names a handler, only
    // the first protection helps.
    let core =
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(Exposure::Core);
    [dumpable, core].into_iter().filter_map(Result::err).collect()
}
