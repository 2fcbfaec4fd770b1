//! `hourseal produce-sample`

use std::num::NonZeroU32;

use clap::Args;

use super::progress::Progress;
use super::{Failure, Settings, cluster, output, signals, text};
use crate::edge::clock::SystemClock;
use crate::edge::kafka::sample::{Generator, Run, Shape, produce};

#[derive(Args)]
#[command(after_help = HELP)]
pub struct ProduceSample {
    /// Events per second; 0 = as fast as possible
    #[arg(long, default_value_t = 100)]
    rate: u64,

    /// Number of customers
    #[arg(long, default_value = "20")]
    customers: NonZeroU32,

    /// Stop after this number of events [default: until a signal]
    #[arg(long)]
    count: Option<u64>,

    /// Size of each event in bytes
    #[arg(long, default_value_t = 512, value_name = "BYTES")]
    size: usize,

    /// Fraction of events that happened 1 to 30 hours ago, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "FRACTION", value_parser = text::fraction)]
    late: f64,

    /// Seed; the same seed gives the same events, except for their times
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Topic [default: topics.input]
    #[arg(long)]
    topic: Option<String>,

    #[command(flatten)]
    settings: Settings,
}

const HELP: &str = "\
Events follow schemas/job-event.schema.json. Few customers have most of the
events. The record's key is the job's id. Ctrl-C, SIGTERM and SIGHUP end it; it
then prints its count.

Examples:
  hourseal produce-sample --rate 100 --customers 20
  hourseal produce-sample --rate 0 --count 200000 --size 1024 --late 0.5";

pub fn run(sample: ProduceSample) -> anyhow::Result<()> {
    let config = sample.settings.load()?;
    let topic = sample.topic.unwrap_or(config.topics.input.clone());
    let shape =
        Shape { seed: sample.seed, customers: sample.customers.get(), size: sample.size, late: sample.late };
    let run = Run { topic: topic.clone(), rate: sample.rate, count: sample.count };
    let (stop, mut client) = (signals::stop()?, cluster::client(&config));
    client.reach.stop = stop.clone();
    let what = "events produced";
    let mut progress = run.count.map_or_else(|| Progress::new(what), |count| Progress::of(count, what));
    let produced =
        produce(&client, &run, Generator::new(shape), &SystemClock, &stop, &mut |count| progress.at(count));
    drop(progress);
    let produced = produced.map_err(Failure::from)?;
    output::line(&format!("{produced} events produced to {topic}"))
}
