//! Asks another process's admin port for `/readyz`.
//!
//! One request of fixed text over one connection, so there is no HTTP library here. The answer comes from
//! [`AdminPort`](super::AdminPort), which sends a length and closes the connection.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use serde_json::Value;

/// Longest wait for the connection, and for the answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Longest answer, in bytes.
const MOST: u64 = 1 << 20;

/// Why there is no answer of `/readyz`.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("no answer from {at}: {why}")]
    Silent { at: String, why: io::Error },
    #[error("{at} answers, but not as the admin port of hourseal")]
    Foreign { at: String },
}

/// The answer of `/readyz`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// The JSON object.
    pub body: Value,
    /// `condition: why` of each unmet condition; empty if the process is ready.
    pub reasons: Vec<String>,
}

/// Asks the admin port at `HOST:PORT` for `/readyz`.
///
/// # Errors
/// [`AskError`] if nothing answers within 3 s, or if something else answers.
pub fn ask_ready(at: &str) -> Result<Ready, AskError> {
    let answer = converse(at).map_err(|why| AskError::Silent { at: at.to_owned(), why })?;
    parse(&answer).ok_or_else(|| AskError::Foreign { at: at.to_owned() })
}

fn converse(at: &str) -> io::Result<Vec<u8>> {
    let mut stream = connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // In one piece: a server may answer the first piece and close.
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Tries each address of the host.
fn connect(at: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in at.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// `None` for an answer that is not of our `/readyz`.
fn parse(answer: &[u8]) -> Option<Ready> {
    let (head, body) = str::from_utf8(answer).ok()?.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let body: Value = serde_json::from_str(body).ok()?;
    let is_ready = body["ready"].as_bool()?;
    let reason =
        |reason: &Value| Some(format!("{}: {}", reason["condition"].as_str()?, reason["why"].as_str()?));
    let reasons: Vec<String> = body["reasons"].as_array()?.iter().map(reason).collect::<Option<_>>()?;
    let agrees = (status == "200") == is_ready && is_ready == reasons.is_empty();
    (matches!(status, "200" | "503") && agrees).then_some(Ready { body, reasons })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(status: u16, body: &str) -> Option<Vec<String>> {
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n\r\n{body}");
        parse(answer.as_bytes()).map(|ready| ready.reasons)
    }

    #[test]
    fn the_answer_names_each_reason() {
        assert_eq!(reasons(200, r#"{"ready":true,"reasons":[]}"#), Some(vec![]));
        let two = r#"{"ready":false,"reasons":[{"condition":"a","why":"b"},{"condition":"c","why":"d"}]}"#;
        assert_eq!(reasons(503, two), Some(vec!["a: b".to_owned(), "c: d".to_owned()]));
    }

    #[test]
    fn a_foreign_or_contradictory_answer_is_not_ready() {
        for (status, body) in [
            (200, ""),
            (200, "ok"),
            (404, r#"{"ready":true,"reasons":[]}"#),
            (503, r#"{"ready":true,"reasons":[]}"#),
            (200, r#"{"ready":false,"reasons":[]}"#),
            (503, r#"{"ready":false,"reasons":[]}"#),
            (200, r#"{"ready":true,"reasons":[{"condition":"a","why":"b"}]}"#),
            (503, r#"{"ready":false,"reasons":[{"why":"b"}]}"#),
        ] {
            assert_eq!(reasons(status, body), None, "{status} {body}");
        }
        assert_eq!(parse(b"SSH-2.0-OpenSSH\r\n\r\n"), None);
        assert_eq!(parse(b"\xff\xff"), None);
    }
}
