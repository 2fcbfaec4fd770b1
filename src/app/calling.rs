//! What the tasks share that call for what the clock has made due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::edge::kafka::{ClientSettings, post};
use crate::envelope::random;
use crate::forget::{Call, Wants};

/// Whether this process executes, and when it has swept: the executor tells, the tasks hear.
#[derive(Clone, Default)]
pub(super) struct Seat(Arc<(AtomicBool, Notify)>);

impl Seat {
    pub(super) fn taken(&self, taken: bool) {
        self.0.0.store(taken, Ordering::Relaxed);
        if taken {
            self.0.1.notify_one();
        }
    }

    pub(super) fn swept(&self) {
        self.0.1.notify_one();
    }

    pub(super) fn is_taken(&self) -> bool {
        self.0.0.load(Ordering::Relaxed)
    }

    /// Until there may be more to do, `most` at most.
    pub(super) async fn wait(&self, most: Duration) {
        let _ = tokio::time::timeout(most, self.0.1.notified()).await;
    }
}

/// Writes calls to the control topic.
#[derive(Clone)]
pub(super) struct ControlPost {
    pub(super) client: ClientSettings,
    pub(super) topic: String,
}

impl ControlPost {
    pub(super) async fn call(&self, wants: Wants) -> Result<(), String> {
        let mut nonce = [0; 8];
        random(&mut nonce);
        let record = Call::record(&wants, u64::from_be_bytes(nonce));
        let Self { client, topic } = self.clone();
        let posting = tokio::task::spawn_blocking(move || {
            post::post(&client, &topic, &post::Record { value: &record, ..post::Record::default() })
        });
        match posting.await {
            Ok(Ok(_offset)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}
