//! The Kafka clients' settings, for commands. A command says on stderr why it waits for the cluster.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::failure;
use crate::app::client_settings;
use crate::config::Config;
use crate::edge::kafka::ClientSettings;

/// Returns the settings of this configuration's clients.
pub fn client(config: &Config) -> ClientSettings {
    let mut client = client_settings(config);
    let (begun, is_said, is_terminal) =
        (Instant::now(), AtomicBool::new(false), std::io::stderr().is_terminal());
    client.reach.on_wait = Some(Arc::new(move |waiting| {
        match waiting {
            // The first reason stays on its line. Later ones are in the error.
            Some(waiting) if waiting.why.is_some() && !is_said.swap(true, Ordering::Relaxed) => {
                failure::say(&waiting.to_string());
            }
            Some(waiting) if is_terminal => {
                failure::progress(&format!("{}, {} s", waiting.what, begun.elapsed().as_secs()));
            }
            None if is_terminal => failure::progress(""),
            _ => {}
        }
    }));
    client
}
