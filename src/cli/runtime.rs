//! One small runtime for a command that sends a few requests to the store or the cluster. A store on a
//! cluster uses it from its opening on.

use std::sync::OnceLock;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

/// Runs a future to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(get()?.block_on(future))
}

/// The command's runtime.
pub fn get() -> anyhow::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.context("cannot start the async runtime")?;
    Ok(RUNTIME.get_or_init(|| runtime))
}
