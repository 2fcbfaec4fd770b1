//! The preparation of a target before its first input.

use std::panic;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::memory;

/// The variable that names the corpus folder, into which a target writes its seeds.
const SEEDS_ENV: &str = "HOURSEAL_FUZZ_SEEDS";

/// Writes the seeds to the corpus folder, if one is given. Then runs each seed once, so that everything that
/// is created on first use exists before memory is counted. libFuzzer does not yet keep a seed that is a
/// finding, so this prints the seed's file in libFuzzer's words.
pub fn start(seeds: fn() -> Vec<Vec<u8>>, run: fn(&[u8])) {
    #[expect(clippy::disallowed_methods, reason = "libFuzzer has the arguments to itself")]
    let folder = std::env::var_os(SEEDS_ENV).map(PathBuf::from);
    let file = move |number: usize| folder.as_ref().map(|folder| folder.join(format!("seed-{number:03}")));
    let seeds = seeds();
    for (number, seed) in seeds.iter().enumerate() {
        if let Some(file) = file(number) {
            std::fs::write(file, seed).expect("a corpus that can be written");
        }
    }
    let running = Arc::new(AtomicUsize::new(0));
    let hook = panic::take_hook();
    panic::set_hook(Box::new({
        let (running, seeds) = (Arc::clone(&running), seeds.len());
        move |what| {
            let number = running.load(Relaxed);
            if let Some(file) = file(number).filter(|_| number < seeds) {
                eprintln!("Test unit written to {}", file.display());
            }
            hook(what);
        }
    }));
    for seed in &seeds {
        run(seed);
        running.fetch_add(1, Relaxed);
    }
    memory::count();
}
