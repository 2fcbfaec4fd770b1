//! `hourseal config check`: opens every file that the settings name as `run` does, and makes its Kafka
//! clients. Connects to nothing, and creates nothing.

use super::build::{client_settings, session_options};
use super::login::check_login;
use super::receipt_log::signing_key;
use super::{Failure, read_trust};
use crate::config::{Config, Store};
use crate::edge::kafka::LaneIdentity;
use crate::edge::kek::FileVault;
use crate::edge::sqlite;

/// Checks what the configuration names.
///
/// # Errors
/// The first failure, with the further ones: `run` would refuse each of them.
pub fn preflight(config: &Config) -> Result<(), Failure> {
    let checks = [
        read_trust(&config.control).map(drop),
        signing_key(config).map(drop),
        clients(config),
        check_login(config),
        FileVault::check(&config.kek.path, &config.kek.root_key_file).map_err(Failure::from),
        store(config),
    ];
    let mut failures = checks.into_iter().filter_map(Result::err);
    match failures.next() {
        None => Ok(()),
        Some(first) => Err(Failure { further: failures.collect(), ..first }),
    }
}

/// librdkafka opens the files of `ssl.*` when it makes a client.
fn clients(config: &Config) -> Result<(), Failure> {
    let identity = LaneIdentity {
        settings: client_settings(config),
        group: config.kafka.group.clone(),
        instance: config.instance.clone(),
        lane: "0".to_owned(),
        input: config.topics.input.clone(),
        outputs: Vec::new(),
        max_message_bytes: Vec::new(),
        placements: Vec::new(),
        commit_metadata: String::new(),
        mirrors: Vec::new(),
    };
    Ok(identity.check()?)
}

fn store(config: &Config) -> Result<(), Failure> {
    match &config.store {
        Store::Sqlite { path } => Ok(sqlite::check_file(path)?),
        Store::Scylla(scylla) => Ok(session_options(scylla).check_files()?),
    }
}
