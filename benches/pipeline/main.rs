//! Alternately seals and copies the same records on the same broker in one run. It measures events per
//! second, the worker's CPU time per event, their ratios, memory, and the latency from a producer to a
//! `read_committed` reader.
//!
//! `tests/bench` starts a broker and runs this. The copy uses the same engine and the same clients, without
//! admission, keys and crypto. So the difference is the cost of those parts.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures and reads real clocks"
)]

mod broker;
mod copy;
mod latency;
mod measure;
mod seal;

use std::path::Path;

use broker::{Broker, Shape};
use measure::{Figures, Round, median};

fn main() {
    let options = Options::from_arguments();
    let broker = Broker::new(&options.bootstrap);
    let shape = Shape { events: options.events, size: options.size, headers: options.headers };
    println!(
        "{} events of {} B, {} headers, 4 partitions, one lane, acks=all, a transaction per batch",
        shape.events,
        shape.size,
        if shape.headers { 2 } else { 0 }
    );
    let input = broker.fill(&shape);
    let folder = tempfile::tempdir().expect("a folder for the key store");
    let (mut sealed, mut copied) = (Vec::new(), Vec::new());
    for pair in 0..options.pairs {
        sealed.push(report("seal", pair, seal_round(&broker, &input, &shape, folder.path(), pair)));
        copied.push(report("copy", pair, copy_round(&broker, &input, &shape, pair)));
    }
    summary(&sealed, &copied);
    latency::measure(&broker, folder.path());
}

fn seal_round(broker: &Broker, input: &str, shape: &Shape, folder: &Path, pair: usize) -> Figures {
    let round = Round::new(broker, input, &format!("seal-{pair}"));
    let keys = seal::Keyring::open(folder);
    let step = seal::step(&round, &keys);
    round.run(step, shape.events)
}

fn copy_round(broker: &Broker, input: &str, shape: &Shape, pair: usize) -> Figures {
    let round = Round::new(broker, input, &format!("copy-{pair}"));
    let step = copy::Copy::new(round.count());
    round.run(step, shape.events)
}

fn report(what: &str, pair: usize, figures: Figures) -> Figures {
    println!(
        "{what} {pair}: {:>8.0} events/s  {:>5.2} µs CPU/event  {:>4} MiB RSS",
        figures.events_per_second, figures.cpu_micros, figures.rss_mib
    );
    figures
}

fn summary(sealed: &[Figures], copied: &[Figures]) {
    let of = |figures: &[Figures], what: fn(&Figures) -> f64| median(figures.iter().map(what));
    let ratio = |what: fn(&Figures) -> f64| median(sealed.iter().zip(copied).map(|(s, c)| what(s) / what(c)));
    println!(
        "median: seal {:.0} events/s, {:.2} µs; copy {:.0} events/s, {:.2} µs; \
         seal/copy throughput {:.2}, CPU {:.2}",
        of(sealed, |f| f.events_per_second),
        of(sealed, |f| f.cpu_micros),
        of(copied, |f| f.events_per_second),
        of(copied, |f| f.cpu_micros),
        ratio(|f| f.events_per_second),
        ratio(|f| f.cpu_micros),
    );
}

struct Options {
    bootstrap: String,
    events: u64,
    size: usize,
    pairs: usize,
    headers: bool,
}

impl Options {
    /// `--bootstrap HOST:PORT [--events N] [--size BYTES] [--pairs N] [--headers]`; cargo adds `--bench`.
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1).cloned()
        };
        let number = |name: &str, default: u64| value(name).map_or(default, |n| n.parse().expect("a number"));
        let Some(bootstrap) = value("--bootstrap") else {
            println!("no --bootstrap HOST:PORT: tests/bench starts a broker and gives it");
            std::process::exit(0);
        };
        Self {
            bootstrap,
            events: number("--events", 300_000),
            size: number("--size", 1_024) as usize,
            pairs: number("--pairs", 3) as usize,
            headers: arguments.iter().any(|argument| argument == "--headers"),
        }
    }
}
