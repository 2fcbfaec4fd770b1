//! Transcripts of the command line: each command of `transcripts/*.trycmd` with its output, its errors and its
//! exit code. `[..]` is any text of a line, and a line `...` is any lines. With `TRYCMD=overwrite`, a run writes
//! them again.

use std::path::Path;

#[test]
fn every_command_of_a_transcript_answers_as_written() {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/transcripts/*.trycmd");
    let transcripts = trycmd::TestCases::new();
    transcripts.register_bin("hourseal", Path::new(env!("CARGO_BIN_EXE_hourseal")));
    transcripts.env("COLUMNS", "80").case(cases).run();
}
