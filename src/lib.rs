//! Hourseal: a Kafka stream of job events, sealed under per-customer, per-hour keys, and forgotten on time.
//!
//! The rooms, in reading order. Imports flow one way; `tests/it/rooms.rs` checks that:
//!
//! | room | what it is |
//! |---|---|
//! | [`model`] | pure nouns: customer, token, hour, slot, clock |
//! | [`envelope`] | the wire format: frame, seal, open, commitment |
//! | [`keys`] | the life of a DEK: mint, wrap, ring, lease; the traits of key store and KEK vault |
//! | [`stream`] | exactly-once consume–transform–produce, knowing nothing of keys |
//! | [`lane`] | the sealing engine on it |
//! | [`forget`] | the erasing engine on it |
//! | [`reader`] | typed opening of sealed records |
//! | [`edge`] | the only room that names Kafka, SQLite, files of keys and HTTP |
//! | [`telemetry`], [`config`], [`app`], [`cli`] | registry and logs, settings, wiring, the command line |
//!
//! `edge`, `app` and `cli` need the feature `edges`. The other rooms are pure.

/// A place at which a test can kill or stop the process (`testkit`). Expands to nothing in a release build.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "testkit")]
        crate::testkit::failpoint($name);
    };
}

/// Whether a test has switched off the code that keeps a promise, to see the promise broken (`testkit`): its
/// negative control. Always false in a release build.
macro_rules! is_off {
    ($what:literal) => {{
        #[cfg(feature = "testkit")]
        let off = crate::testkit::is_off($what);
        #[cfg(not(feature = "testkit"))]
        let off = false;
        off
    }};
}

#[cfg(feature = "edges")]
pub mod app;
#[cfg(feature = "edges")]
pub mod cli;
pub mod config;
#[cfg(feature = "edges")]
pub mod edge;
pub mod envelope;
pub mod forget;
pub mod keys;
pub mod lane;
pub mod model;
pub mod reader;
pub mod stream;
pub mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
