//! A small runtime for commands that ask the store or the cluster a few questions.

use anyhow::Context as _;

/// Runs one future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(start()?.block_on(future))
}

/// A runtime for several calls.
pub fn start() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.context("cannot start the async runtime")
}
