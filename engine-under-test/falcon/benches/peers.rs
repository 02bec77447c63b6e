//! `cargo bench -p falcon`: starts the benchmark beside other engines, which has a workspace of its own.
//!
//! # Method
//!
//! Here Falcon is built with the seam's feature `simulate`, for the sake of its tests, and a plain `cargo test`
//! would build the other engines. So this program does nothing but run `cargo bench` in
//! `engine-under-test/falcon/peers/`, with the same words and a target folder below this one's.
//!
//! # Invariant
//!
//! It ends as that benchmark ends.

#![allow(clippy::disallowed_methods, reason = "a program for a real machine, which no run is in")]

use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("falcon-peers");
    let mut command = Command::new(env!("CARGO"));
    command.args(["bench", "--locked", "--bench", "engines", "--manifest-path"]).arg(peers);
    command.arg("--target-dir").arg(target).arg("--");
    // Cargo tells every benchmark that it is one, and the one below likewise.
    command.args(std::env::args_os().skip(1).filter(|word| word != "--bench"));
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => {
            ExitCode::from(status.code().and_then(|code| code.try_into().ok()).unwrap_or(1))
        }
        Err(error) => {
            eprintln!("peers: cargo does not start: {error}");
            ExitCode::FAILURE
        }
    }
}
