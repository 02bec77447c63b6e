//! How much stack SQLite needs, so that a simulated machine can give its tasks enough.
//!
//! # Method
//!
//! A thread paints the unused part of its stack, works through all that SQLite does here, and looks
//! how far down the paint is gone.

#![cfg(target_os = "linux")]

mod support;

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::Arc;

use falconry_seam::thread;
use falconry_sqlite::{AutoVacuum, JournalMode, Settings};

use support::memory::MemoryDisk;
use support::{assert_sound, in_mode, journal_modes, keys, open, put};

const STACK_BYTES: usize = 1 << 20;
const STACK_BYTES_CLAIMED: usize = 256 << 10;
const PAINT: u8 = 0xa5;

/// Left unpainted below the frame that paints, for the calls it makes itself.
const MARGIN_BYTES: usize = 4 << 10;

#[test]
fn all_that_sqlite_does_here_fits_into_a_quarter_of_a_mebibyte() {
    let thread = thread::Builder::new().stack_size(STACK_BYTES);
    let used = thread.spawn(|| used_by(work)).unwrap().join().unwrap();
    println!("{} KiB of stack in use at the deepest call", used >> 10);
    assert!(used > MARGIN_BYTES, "the paint was not touched: nothing was measured");
    assert!(used < STACK_BYTES_CLAIMED, "{used} bytes of stack in use");
}

#[test]
fn the_measure_sees_a_large_frame() {
    const FRAME_BYTES: usize = 100 << 10;
    fn large() {
        black_box(&mut [1u8; FRAME_BYTES]);
    }
    let thread = thread::Builder::new().stack_size(STACK_BYTES);
    let used = thread.spawn(|| used_by(large)).unwrap().join().unwrap();
    assert!((FRAME_BYTES..2 * FRAME_BYTES).contains(&used), "{used} bytes of stack in use");
}

fn work() {
    for mode in journal_modes() {
        let settings = Settings { cache_size: 5, auto_vacuum: AutoVacuum::Full, ..in_mode(mode) };
        let disk = MemoryDisk::new();
        let connection = open(Arc::new(disk.clone()), &settings).unwrap();
        connection.execute("BEGIN; SAVEPOINT a").unwrap();
        (0..2000).for_each(|key| put(&connection, key).unwrap());
        connection.execute("COMMIT; CREATE INDEX by_value ON pair (value)").unwrap();
        connection.execute("DELETE FROM pair WHERE key % 3 = 0").unwrap();
        assert_eq!(keys(&connection).unwrap().len(), 1333);
        connection.execute("BEGIN; UPDATE pair SET value = value").unwrap();
        // Recovery: a hot journal, or a log without its index.
        let recovered = open(Arc::new(disk.process_crash()), &settings).unwrap();
        assert_sound(&recovered);
        recovered.execute("VACUUM; ANALYZE; PRAGMA optimize").unwrap();
        let sql = "WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 99)
                   SELECT group_concat(date('now', i || ' days')) FROM n ORDER BY random()";
        assert!(recovered.first_text(sql).unwrap().is_some());
        if mode == JournalMode::Wal {
            assert!(recovered.checkpoint().unwrap());
        }
    }
}

/// Bytes of stack that `f` used below this frame.
#[inline(never)]
fn used_by(f: fn()) -> usize {
    let mut mark = PAINT;
    let here = black_box(&mut mark) as *mut u8 as usize;
    let (low, high) = (stack_low() + MARGIN_BYTES, here - MARGIN_BYTES);
    assert!(low < high, "{low:#x} to {high:#x} is no stack");
    for address in low..high {
        // SAFETY: the bytes between the end of the stack and this frame, less a margin for the calls
        // that this loop makes, are mapped, belong to this thread, and hold nothing yet.
        unsafe { (address as *mut u8).write_volatile(PAINT) };
    }
    f();
    // SAFETY: as above; frames below this one have returned.
    let is_paint = |address: &usize| unsafe { (*address as *const u8).read_volatile() == PAINT };
    here - (low..high).find(|address| !is_paint(address)).unwrap_or(high)
}

/// The lowest address of this thread's stack.
fn stack_low() -> usize {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut low, mut bytes) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes are initialised by the first call, read by the second, and given back.
    let code = unsafe {
        let got = libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr());
        assert_eq!(got, 0, "the thread's attributes");
        let got = libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut bytes);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        got
    };
    assert_eq!(code, 0, "the thread's stack");
    low as usize
}
