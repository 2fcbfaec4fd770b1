//! See `hourseal --help`.

fn main() {}
