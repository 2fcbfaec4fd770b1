//! What others may see of this process's memory.

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// A protection that the system refused, and what that leaves open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Exposure {
    #[error(
        "the system refused PR_SET_DUMPABLE ({0}), as a seccomp filter may: core dumps and debuggers of this user can read keys"
    )]
    Dumpable(Errno),
    #[error(
        "the system refused RLIMIT_CORE=0 ({0}), as a seccomp filter may: only PR_SET_DUMPABLE keeps a crash from leaving keys"
    )]
    Core(Errno),
}

/// Forbids core dumps and debuggers, before the first key is read; answers what was refused. The limit cannot be lifted again.
pub fn shield() -> Vec<Exposure> {
    let dumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(Exposure::Dumpable);
    // The kernel asks the limit only where it writes a file: a handler in `core_pattern` is kept away by the first alone.
    let core =
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(Exposure::Core);
    [dumpable, core].into_iter().filter_map(Result::err).collect()
}
