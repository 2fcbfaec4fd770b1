//! Protection of this process's memory against other programs, and the signals that it was started with.

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

/// Whether the process was started with SIGHUP ignored, as `nohup` does.
pub fn ignores_hangup() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignored(&status) & 1 == 1)
}

/// Returns the mask of ignored signals, in which SIGHUP is the lowest bit. 0 if the text does not have it.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::ignored;

    #[test]
    fn an_ignored_sighup_is_the_lowest_bit() {
        assert_eq!(ignored("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"), 0x1001);
        assert_eq!(ignored("Name:\tx\n"), 0);
    }
}
