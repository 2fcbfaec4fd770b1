//! Measures seal, open, commitment check and wrap at four sizes, together with libsodium and the bare
//! backends, in one run.
//!
//! Every contestant does the whole work for a record. It copies the plaintext to the send buffer, builds the
//! AAD, and takes the nonce from the same pool. Before the timing, the heap is watched: sealing an event
//! must not use it.

mod bare;
mod heap;
mod pairs;
mod payload;
mod record;
mod sodium;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group};

use hourseal::envelope::{NONCE_LEN, Nonces};

use record::{Job, SIZES};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

fn seal(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("seal");
    for size in SIZES {
        let mut job = Job::new(size);
        each(&mut group, size, "hourseal", || job.seal());
        let mut job = sodium::Job::new(size);
        each(&mut group, size, "libsodium", || job.seal());
        let mut buffers = bare::Buffers::new(size);
        each(&mut group, size, "ring bare", || bare::ring(&mut buffers));
        each(&mut group, size, "aws-lc bare", || bare::aws_lc(&mut buffers));
        each(&mut group, size, "rustcrypto", || bare::rustcrypto(&mut buffers));
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("open");
    for size in SIZES {
        let job = Job::new(size).sealed();
        each(&mut group, size, "hourseal", || job.open());
        let mut job = sodium::Job::new(size).sealed();
        each(&mut group, size, "libsodium", || job.open());
    }
    group.finish();
}

/// Measures the cost of an event apart from its bytes, and the cost of a slot, once per process.
fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("keys");
    let job = record::Keys::new();
    let mut nonces = Nonces::new();
    group.bench_function("nonce", |bencher| bencher.iter(|| nonces.take()));
    group.bench_function("hchacha20", |bencher| bencher.iter(|| bare::inner(&[9; NONCE_LEN])));
    group.bench_function("derive", |bencher| bencher.iter(|| job.derive()));
    group.bench_function("commitment check", |bencher| bencher.iter(|| job.check()));
    group.bench_function("wrap", |bencher| bencher.iter(|| job.wrap()));
    group.bench_function("unwrap", |bencher| bencher.iter(|| job.unwrap()));
    group.finish();
}

fn each<T>(group: &mut BenchmarkGroup<'_, WallTime>, size: usize, who: &str, mut work: impl FnMut() -> T) {
    group.throughput(Throughput::Bytes(size as u64));
    group.bench_function(BenchmarkId::new(who, size), |bencher| bencher.iter(&mut work));
}

/// Compares ours with libsodium's pair by pair. These are the published figures.
fn in_pairs() {
    println!("                      hourseal     libsodium   ratio");
    for size in SIZES {
        let (mut ours, mut theirs) = (Job::new(size), sodium::Job::new(size));
        pairs::compare("seal", size, || ours.seal(), || theirs.seal());
    }
    for size in SIZES {
        let (ours, mut theirs) = (Job::new(size).sealed(), sodium::Job::new(size).sealed());
        pairs::compare("open", size, || ours.open(), || theirs.open());
    }
    println!("                        seeded      system's   ratio");
    let (mut seeded, mut systems) = (Nonces::new(), bare::SystemsNonces::new());
    pairs::compare("nonce", NONCE_LEN, || seeded.take(), || systems.take());
    println!("                          ring        aws-lc   ratio");
    for size in SIZES {
        let (mut ours, mut theirs) = (bare::Buffers::new(size), bare::Buffers::new(size));
        pairs::compare("bare", size, || bare::ring(&mut ours), || bare::aws_lc(&mut theirs));
    }
}

criterion_group!(benches, seal, open, keys);

fn main() {
    heap::assert_that_sealing_leaves_it_alone();
    in_pairs();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
