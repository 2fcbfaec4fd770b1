//! The admin port: `/metrics`, `/livez`, `/readyz`, `/startupz`, `/checkpoint`.
//!
//! Promise: `/livez` says only that this process answers. It never asks Kafka or the store. `/readyz` is 200
//! only while every condition is met; otherwise it says why. `/checkpoint` is the newest checkpoint that the
//! log's key has signed. `/startupz` is 503 until the start is over, and 200 from then on.
//! `token.rs` is the other side of HTTP: it asks an identity provider for Kafka's tokens.
//! Not here: the metrics themselves (each room has its own).

mod client;
mod token;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::forget::log::NewestCheckpoint;
use crate::telemetry::{self, Telemetry, codes};

pub use client::{AskError, Ready, ask_ready};
pub use token::{Issued, TokenEndpoint, TokenError};

/// Connections served at once. The next one takes the place of the oldest.
const MAX_CONNECTIONS: usize = 64;

/// The same for one peer: it takes no place of others.
const MAX_OF_A_PEER: usize = 16;

/// Longest time for a client to send the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time of a connection.
const LIFE: Duration = Duration::from_secs(10);

/// Longest time for open connections to end after the stop.
const DRAIN: Duration = Duration::from_secs(2);

/// The port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}: {why}")]
pub struct ListenError {
    listen: SocketAddr,
    why: std::io::Error,
}

/// The admin port: it is open, but requests are not served yet.
pub struct AdminPort {
    listener: TcpListener,
    address: SocketAddr,
    said: Said,
}

/// Sources of the answers.
#[derive(Clone)]
struct Said {
    telemetry: Telemetry,
    newest: NewestCheckpoint,
}

impl AdminPort {
    /// Opens the port and logs its address; port 0 takes any free one.
    pub async fn open(
        listen: SocketAddr,
        telemetry: Telemetry,
        newest: NewestCheckpoint,
    ) -> Result<Self, ListenError> {
        let failed = |why| ListenError { listen, why };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        telemetry::info!(codes::ADMIN_LISTENS, %address, "admin port listens");
        Ok(Self { listener, address, said: Said { telemetry, newest } })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` completes, then waits at most 2 s for open connections to end.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        let mut open: Vec<Open> = Vec::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        open.retain(|it| !it.task.is_finished());
                        let peers: Vec<IpAddr> = open.iter().map(|it| it.peer).collect();
                        if let Some(oldest) = displaced(&peers, from.ip()) {
                            open.remove(oldest).task.abort();
                        }
                        let task = connections.spawn(converse(stream, self.said.clone()));
                        open.push(Open { peer: from.ip(), task });
                    }
                    // Usually no file descriptor is free: an immediate retry would only burn CPU.
                    Err(error) => {
                        telemetry::warn!(codes::ADMIN_CONNECTION, "admin port cannot accept: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        }
        let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    }
}

/// A connection that is open, in the order in which they came.
struct Open {
    peer: IpAddr,
    task: AbortHandle,
}

/// The place of the connection that ends so that `peer` gets one more. An answer takes milliseconds, so the
/// oldest connection is one that sends nothing. `peers`: those of the open connections, the oldest first.
fn displaced(peers: &[IpAddr], peer: IpAddr) -> Option<usize> {
    if peers.iter().filter(|it| **it == peer).count() >= MAX_OF_A_PEER {
        return peers.iter().position(|it| *it == peer);
    }
    (peers.len() >= MAX_CONNECTIONS).then_some(0)
}

/// Serves one request per connection. Scrapes are seconds apart, and no idle connection delays the stop.
async fn converse(stream: TcpStream, said: Said) {
    let service = service_fn(|request| {
        let answer = answer(&request, &said);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(LIFE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => telemetry::debug!(codes::ADMIN_CONNECTION, "admin connection: {error}"),
        Err(_) => telemetry::debug!(codes::ADMIN_CONNECTION, "admin connection: not over after {LIFE:?}"),
    }
}

fn answer(request: &Request<Incoming>, Said { telemetry, newest }: &Said) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
        refusal.headers_mut().insert(ALLOW, const { hyper::header::HeaderValue::from_static("GET, HEAD") });
        return refusal;
    }
    match request.uri().path() {
        "/livez" => plain(StatusCode::OK, "ok\n"),
        "/metrics" => {
            typed(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", telemetry.registry.render())
        }
        "/readyz" => {
            let (ready, body) = telemetry.readiness.to_json();
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            typed(status, "application/json", body + "\n")
        }
        "/startupz" if telemetry.readiness.has_started() => plain(StatusCode::OK, "started\n"),
        "/startupz" => {
            let (_, body) = telemetry.readiness.to_json();
            typed(StatusCode::SERVICE_UNAVAILABLE, "application/json", body + "\n")
        }
        "/checkpoint" => match newest.get() {
            Some(checkpoint) => typed(StatusCode::OK, "text/plain; charset=utf-8", checkpoint),
            None => plain(StatusCode::NOT_FOUND, "no checkpoint is known to this process\n"),
        },
        _ => plain(StatusCode::NOT_FOUND, "not found\n"),
    }
}

fn plain(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

fn typed(status: StatusCode, content: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(content));
    response
}

#[cfg(test)]
mod tests;
