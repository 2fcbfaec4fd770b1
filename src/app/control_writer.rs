//! Writes a process's own calls to the control topic.

use super::process::Process;
use super::threads::blocking;
use crate::edge::kafka::{ClientSettings, post};
use crate::envelope::random;
use crate::forget::{Call, Wants};

/// Writes calls to the control topic.
#[derive(Clone)]
pub(super) struct ControlWriter {
    client: ClientSettings,
    topic: String,
}

impl ControlWriter {
    pub(super) fn new(process: &Process) -> Self {
        Self { client: process.client.clone(), topic: process.config.topics.control.clone() }
    }

    /// # Errors
    /// The reason why the broker did not take the call.
    pub(super) async fn call(&self, wants: Wants) -> Result<(), String> {
        let mut nonce = [0; 8];
        random(&mut nonce);
        let record = Call::record(&wants, u64::from_be_bytes(nonce));
        let Self { client, topic } = self.clone();
        let write =
            move || post::post(&client, &topic, &post::Record { value: &record, ..post::Record::default() });
        blocking(write).await.map(drop).map_err(|error| error.to_string())
    }
}
