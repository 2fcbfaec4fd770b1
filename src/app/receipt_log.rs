//! The log of receipts: reads its signing key and runs it.

use std::sync::Arc;

use super::Failure;
use super::process::Process;
use crate::config::Config;
use crate::edge::kafka::{CheckpointPost, ReceiptTail};
use crate::edge::keyfile;
use crate::forget::SigningKey;
use crate::forget::TailError;
use crate::forget::log::{Clients, Logging, LoggingObserver, NotPosted, Origin, VerifierKey};
use crate::telemetry::{codes, info};

/// Returns the closure of the signing thread, if the configuration names a key.
///
/// # Errors
/// 78 if the key cannot be used.
pub(super) fn receipt_log(process: &Process) -> Result<Option<impl FnOnce() + Send + 'static>, Failure> {
    let config = &process.config;
    let Some(key) = signing_key(config)? else { return Ok(None) };
    let origin = Origin::new(process.meta.store, &config.topics.receipts);
    let verifier = VerifierKey::new(origin.as_str(), key.public()).map_err(unusable)?;
    info!(codes::LOG_KEPT, key = %verifier, "the log of receipts is signed");
    let condition = process.telemetry.readiness.condition("receipts signed");
    let observer = LoggingObserver::new(process.metrics.log.clone(), process.newest.clone(), condition);
    let clock = Arc::clone(&process.foundation.clock);
    let logging = Logging { origin, key, clock, observer: Box::new(observer) };
    let (client, topics, stop) = (process.client.clone(), config.topics.clone(), process.stop.clone());
    let clients = move || {
        let tail = |topic: &str| ReceiptTail::connect(&client, topic);
        let post = CheckpointPost::connect(&client, &topics.checkpoints);
        Ok(Clients {
            receipts: tail(&topics.receipts)?,
            checkpoints: tail(&topics.checkpoints)?,
            post: post.map_err(|NotPosted(why)| TailError::Broken(why))?,
        })
    };
    Ok(Some(move || logging.run(clients, &stop)))
}

/// Reads the key that the settings name.
///
/// # Errors
/// 78 if it cannot be used.
pub(super) fn signing_key(config: &Config) -> Result<Option<SigningKey>, Failure> {
    config.receipts.signing_key_file.as_deref().map(keyfile::read).transpose().map_err(unusable)
}

fn unusable(error: impl std::error::Error) -> Failure {
    Failure::new(Failure::CONFIG, format!("receipts.signing_key_file: {error}"))
}
