//! The program `falconry`.

use std::process::ExitCode;

fn main() -> ExitCode {
    falconry::cli::main()
}
