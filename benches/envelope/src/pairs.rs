//! Runs two contestants in alternating turns of half a millisecond, because the speed of a shared machine
//! changes from one second to the next. Only the ratio within a pair counts.

use std::hint::black_box;
use std::time::{Duration, Instant};

const PAIRS: usize = 1_000;
const TURN: Duration = Duration::from_micros(500);

/// Prints the medians in nanoseconds, and the median and the middle half of the pairs' ratios.
pub fn compare<A, B>(what: &str, size: usize, mut ours: impl FnMut() -> A, mut theirs: impl FnMut() -> B) {
    let calls = (TURN.as_nanos() / turn(1_000, &mut ours).max(1.0) as u128 + 1) as u32;
    let mut pairs = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        pairs.push(if pair % 2 == 0 {
            let ours = turn(calls, &mut ours);
            (ours, turn(calls, &mut theirs))
        } else {
            let theirs = turn(calls, &mut theirs);
            (turn(calls, &mut ours), theirs)
        });
    }
    let [ours] = quantiles(pairs.iter().map(|pair| pair.0), [0.5]);
    let [theirs] = quantiles(pairs.iter().map(|pair| pair.1), [0.5]);
    let [low, ratio, high] = quantiles(pairs.iter().map(|pair| pair.0 / pair.1), [0.25, 0.5, 0.75]);
    println!(
        "{what:<6} {size:>6} B   {ours:>8.0} ns   {theirs:>8.0} ns   {ratio:.3} ({low:.3} to {high:.3})"
    );
}

/// Returns the nanoseconds per call.
fn turn<T>(calls: u32, work: &mut impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(work());
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

fn quantiles<const N: usize>(values: impl Iterator<Item = f64>, at: [f64; N]) -> [f64; N] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    at.map(|at| values[(at * (values.len() - 1) as f64) as usize])
}
