//! systemd, or another supervisor of processes: readiness, status and signs of life, as sd_notify(3) sends
//! them. Without a supervisor, every call does nothing.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::telemetry::{codes, warn};

/// The supervisor of this process.
#[derive(Default)]
pub struct Supervisor {
    to: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    has_failed: AtomicBool,
}

impl Supervisor {
    /// Finds the supervisor by its variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. `variable`
    /// reads one of them.
    pub fn find(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let number = |name| variable(name)?.to_str()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_ours && *usec > 0).map(Duration::from_micros);
        let Some(name) = variable("NOTIFY_SOCKET") else { return Self::default() };
        match connect(name.as_bytes()) {
            Ok(to) => Self { to: Some(to), watchdog, has_failed: AtomicBool::new(false) },
            Err(error) => {
                warn!(
                    codes::SUPERVISOR_AWAY,
                    "NOTIFY_SOCKET cannot be used, so nothing is reported to it: {error}"
                );
                Self::default()
            }
        }
    }

    /// The supervisor ends a process that does not call [`Supervisor::is_alive`] for this time. `None` = it
    /// does not wait for that.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    pub fn is_ready(&self) {
        self.tell("READY=1");
    }

    pub fn is_alive(&self) {
        self.tell("WATCHDOG=1");
    }

    pub fn is_stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// The settings are being read again, until [`Supervisor::is_ready`].
    pub fn is_reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// One line for people.
    pub fn status(&self, text: &str) {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.tell(&format!("STATUS={line}"));
    }

    /// Logs the first failure only: a supervisor that is away changes nothing for this process.
    fn tell(&self, state: &str) {
        let Some((socket, to)) = &self.to else { return };
        if let Err(error) = socket.send_to_addr(state.as_bytes(), to)
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            warn!(codes::SUPERVISOR_AWAY, "the process that NOTIFY_SOCKET names does not listen: {error}");
        }
    }
}

/// A path, or `@` and the name of an abstract socket. The socket never blocks.
fn connect(name: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
    let to = match name {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "it is neither a path nor an abstract socket",
            ));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(socket: &str, usec: &str, pid: &str) -> Supervisor {
        let set = [("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)];
        let of = |name: &str| {
            set.iter().find(|(is, value)| *is == name && !value.is_empty()).map(|(_, value)| value)
        };
        Supervisor::find(|name| of(name).map(OsString::from))
    }

    #[test]
    fn a_watchdog_of_another_process_or_without_a_socket_is_none() {
        let me = std::process::id().to_string();
        assert_eq!(find("@hourseal-test", "30000000", &me).watchdog(), Some(Duration::from_secs(30)));
        assert_eq!(find("@hourseal-test", "30000000", "").watchdog(), Some(Duration::from_secs(30)));
        for (socket, usec, pid) in [
            ("@hourseal-test", "30000000", "1"),
            ("", "30000000", ""),
            ("vsock:2:1", "30000000", ""),
            ("@x", "0", ""),
        ] {
            assert_eq!(find(socket, usec, pid).watchdog(), None, "{socket} {usec} {pid}");
        }
    }

    #[test]
    fn a_status_is_one_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).expect("a socket");
        let supervisor = find(path.to_str().expect("text"), "", "");
        supervisor.status("not ready: a\nREADY=1");
        let mut buffer = [0; 100];
        let read = systemd.recv(&mut buffer).expect("a message");
        assert_eq!(&buffer[..read], b"STATUS=not ready: a READY=1");
        drop((systemd, folder));
        // Nobody listens any longer, and nothing happens.
        supervisor.is_alive();
    }
}
