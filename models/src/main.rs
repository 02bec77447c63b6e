//! The program `falconry`.

use std::process::ExitCode;

use falconry_ambient::Aside;
use mimalloc::MiMalloc;

/// A run of an engine allocates by the thousand; glibc's allocator took a fifth of redb's time.
#[global_allocator]
static ALLOCATOR: Aside<MiMalloc> = Aside(MiMalloc);

fn main() -> ExitCode {
    falconry::cli::main()
}
