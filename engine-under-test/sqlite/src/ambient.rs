//! What SQLite takes from its surroundings besides the disk: time, sleep and randomness.
//!
//! On a simulated machine all of it is the machine's, so that a run depends on nothing else.

use std::ffi::c_int;
use std::ptr;
use std::time::Duration;

use falconry_seam::time::SystemTime;
use falconry_seam::{foreign, thread};
use libsqlite3_sys as ffi;

/// Milliseconds from noon on the day of the Julian epoch to the beginning of 1970, from which SQLite
/// counts.
const JULIAN_MS_1970: i64 = 210_866_760_000_000;

/// Forgets the state of SQLite's random generator, which is one for the whole process and feeds salts
/// and nonces. On a simulated machine it begins anew from the machine's choices, on a real one from
/// the operating system's randomness.
pub fn reset_randomness() {
    // SQLite takes 0 for "ask the default VFS", which would be the operating system.
    #[cfg(feature = "simulate")]
    let seed = if falconry_seam::hook::is_simulated() {
        let mut bytes = [0; 4];
        fill_random(&mut bytes);
        c_int::from_le_bytes(bytes) | 1
    } else {
        0
    };
    #[cfg(not(feature = "simulate"))]
    let seed: c_int = 0;

    let no_connection = ptr::null_mut::<ffi::sqlite3>();
    // SAFETY: the operation takes an int and a connection, which may be null.
    foreign(|| unsafe {
        ffi::sqlite3_test_control(ffi::SQLITE_TESTCTRL_PRNG_SEED, seed, no_connection)
    });
}

/// Fills `bytes` with randomness.
pub(crate) fn fill_random(bytes: &mut [u8]) {
    #[cfg(feature = "simulate")]
    if falconry_seam::hook::with_current(|machine| machine.fill_random(bytes)).is_some() {
        return;
    }
    fill_random_from_os(bytes);
}

/// Sleeps.
pub(crate) fn sleep_us(microseconds: u64) {
    thread::sleep(Duration::from_micros(microseconds));
}

/// The wall clock as SQLite counts it, in milliseconds.
pub(crate) fn julian_ms() -> i64 {
    let now = SystemTime::now();
    let since_1970_ms = match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    JULIAN_MS_1970.saturating_add(since_1970_ms)
}

/// A place where another connection may come in between: on a simulated machine, where connections
/// are tasks of one OS thread, the scheduler is asked. On a real one it decides by itself.
pub(crate) fn point(kind: Point) {
    #[cfg(feature = "simulate")]
    falconry_seam::hook::with_current(|machine| {
        let point = match kind {
            Point::Lock => falconry_seam::hook::Point::Lock,
            Point::Memory => falconry_seam::hook::Point::Atomic,
        };
        machine.point(point, std::panic::Location::caller());
    });
    #[cfg(not(feature = "simulate"))]
    let _ = kind;
}

/// Whether the power of a simulated machine has gone. Then nobody gives a lock back any more, and who
/// asks for one that is held must be told of the end, or SQLite would go on asking.
pub(crate) fn is_off() -> bool {
    #[cfg(feature = "simulate")]
    return falconry_seam::hook::with_current(|machine| machine.is_off()).unwrap_or(false);
    #[cfg(not(feature = "simulate"))]
    return false;
}

/// What kind of place it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point {
    /// A lock is about to be taken or given back.
    Lock,
    /// Shared memory was changed or is about to be read.
    Memory,
}

fn fill_random_from_os(bytes: &mut [u8]) {
    // The call's own limit.
    const BYTES_MAX: usize = 256;
    for piece in bytes.chunks_mut(BYTES_MAX) {
        // SAFETY: the piece may be written, and is no longer than the limit. A failure (there is none
        // for valid arguments) leaves the bytes as they were, which SQLite mixes with its own state.
        unsafe { libc::getentropy(piece.as_mut_ptr().cast(), piece.len()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_julian_epoch_is_where_sqlite_has_it() {
        // julianday('1970-01-01') is 2440587.5.
        assert_eq!(JULIAN_MS_1970, 24_405_875 * 8_640_000);
    }

    #[test]
    fn randomness_fills_every_byte() {
        let mut seen = [0; 600];
        for _ in 0..64 {
            let mut bytes = [0; 600];
            fill_random(&mut bytes);
            seen.iter_mut().zip(bytes).for_each(|(seen, byte)| *seen |= byte);
        }
        assert!(seen.iter().all(|byte| *byte != 0), "a byte stayed zero in 64 draws");
    }
}
