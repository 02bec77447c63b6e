//! Whether the symbols are reached: each notes its call while a probe looks.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it asks the real system, without a machine"
)]

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hint::black_box;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// One interposed symbol.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(crate) enum Symbol {
    GetRandom = 1,
    GetEntropy = 2,
    ClockGetTime = 4,
    GetTimeOfDay = 8,
    Syscall = 16,
}

const ALL: u8 = 31;

thread_local! {
    /// Symbols that were reached without a machine on this OS thread.
    static REACHED: Cell<u8> = const { Cell::new(0) };
}

/// Notes that a symbol was reached.
#[inline]
pub(crate) fn note(symbol: Symbol) {
    REACHED.set(REACHED.get() | symbol as u8);
}

/// Whether a fresh OS thread reaches every symbol; asked once a process.
pub(crate) fn all_reached() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| thread::spawn(ask).join().is_ok_and(|reached| reached == ALL))
}

/// Makes every call by the way that an engine would and returns which symbols it reached.
fn ask() -> u8 {
    black_box(RandomState::new());
    black_box(Instant::now());
    // Nobody has left a token on a fresh thread, so this goes to the futex and times out at once.
    thread::park_timeout(Duration::from_nanos(1));
    let mut byte = [0u8];
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    // The pointers go through `black_box`: the call must be the linker's choice, not the compiler's.
    let getentropy: unsafe extern "C" fn(_, _) -> _ = black_box(libc::getentropy);
    let gettimeofday: unsafe extern "C" fn(_, _) -> _ = black_box(libc::gettimeofday);
    // SAFETY: both pointers are to locals of the sizes that are passed; the zone may be null.
    unsafe {
        getentropy(byte.as_mut_ptr().cast(), byte.len());
        gettimeofday(&mut time, std::ptr::null_mut());
    }
    REACHED.get()
}
