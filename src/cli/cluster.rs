//! The Kafka clients' settings, for commands. A command says on stderr why it waits for the cluster.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::terminal::shows_progress;
use super::{failure, progress};
use crate::app::client_settings;
use crate::config::Config;
use crate::edge::kafka::ClientSettings;

/// Returns the settings of this configuration's clients.
pub fn client(config: &Config) -> ClientSettings {
    let mut client = client_settings(config);
    let (begun, is_said, shows_progress) = (Instant::now(), AtomicBool::new(false), shows_progress());
    client.reach.on_wait = Some(Arc::new(move |waiting| {
        match waiting {
            // The first reason stays on its line. Later ones are in the error.
            Some(waiting) if waiting.why.is_some() && !is_said.swap(true, Ordering::Relaxed) => {
                failure::say(&waiting.to_string());
            }
            Some(waiting) if shows_progress => {
                progress::wait(&format!("{}, {} s", waiting.what, begun.elapsed().as_secs()));
            }
            None if shows_progress => progress::wait(""),
            _ => {}
        }
    }));
    client
}
