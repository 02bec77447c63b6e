//! The works, each written once and compiled for every system.

use std::hint::black_box;
use std::sync::{LockResult, PoisonError};
use std::time::Duration;

/// Whose primitive it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    Falconry,
    Std,
    ParkingLot,
}

/// Runs so many iterations and says how long they took.
pub type Run = fn(u64) -> Duration;

/// One thing to measure.
pub struct Work {
    pub name: &'static str,
    /// What one loop takes about: long for the clock, short for the host's changes.
    pub loop_ns: u64,
    /// The systems that have it, Falconry's first, and a loop of so many iterations on each.
    pub runs: &'static [(System, Run)],
}

macro_rules! works {
    ($($name:ident $loop_us:literal us: $($system:ident $module:ident),+;)+) => {
        pub const WORKS: &[Work] = &[$(
            Work {
                name: stringify!($name),
                loop_ns: $loop_us * 1_000,
                runs: &[$((System::$system, $module::$name)),+],
            },
        )+];
    };
}

works! {
    mutex 50 us: Falconry falconry, Std std_sync, ParkingLot parking;
    mutex_try 50 us: Falconry falconry, Std std_sync, ParkingLot parking;
    rwlock_read 50 us: Falconry falconry, Std std_sync, ParkingLot parking;
    rwlock_write 50 us: Falconry falconry, Std std_sync, ParkingLot parking;
    condvar_notify 50 us: Falconry falconry, Std std_sync, ParkingLot parking;
    condvar_ping_pong 1000 us: Falconry falconry, Std std_sync, ParkingLot parking;
    atomic_load 50 us: Falconry falconry_atomic, Std std_atomic;
    atomic_store 50 us: Falconry falconry_atomic, Std std_atomic;
    atomic_fetch_add 50 us: Falconry falconry_atomic, Std std_atomic;
    atomic_exchange 50 us: Falconry falconry_atomic, Std std_atomic;
    cell_read 50 us: Falconry falconry_cell, Std std_cell;
    cell_write 50 us: Falconry falconry_cell, Std std_cell;
}

/// std's locks return results, parking_lot's the guards themselves.
trait Open {
    type Guard;
    fn open(self) -> Self::Guard;
}

impl<G> Open for LockResult<G> {
    type Guard = G;

    #[inline(always)]
    fn open(self) -> G {
        self.unwrap_or_else(PoisonError::into_inner)
    }
}

macro_rules! open_as_is {
    ($($guard:ident)+) => { $(
        impl<'a, T> Open for parking_lot::$guard<'a, T> {
            type Guard = Self;

            #[inline(always)]
            fn open(self) -> Self {
                self
            }
        }
    )+ };
}

open_as_is!(MutexGuard RwLockReadGuard RwLockWriteGuard);

/// An attempt's result is one of std's, or an option of parking_lot's.
trait Attempt {
    type Guard;
    fn taken(self) -> Option<Self::Guard>;
}

impl<G, E> Attempt for Result<G, E> {
    type Guard = G;

    #[inline(always)]
    fn taken(self) -> Option<G> {
        self.ok()
    }
}

impl<G> Attempt for Option<G> {
    type Guard = G;

    #[inline(always)]
    fn taken(self) -> Option<G> {
        self
    }
}

/// Two lines of the processor's cache, so that each system's object lies at the same place in one.
#[repr(align(128))]
struct Aligned<T>(T);

/// Times `iterations` of `f`.
///
/// The loop begins on a line of the processor's instruction cache: the same instructions at another
/// offset were seen to take a third more.
#[inline(always)]
fn time(iterations: u64, mut f: impl FnMut()) -> Duration {
    let start = processor_time();
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: pads with instructions that do nothing, and touches neither memory nor registers.
    unsafe {
        std::arch::asm!(".p2align 6", options(nomem, nostack, preserves_flags));
    }
    for _ in 0..iterations {
        f();
    }
    processor_time() - start
}

/// What this program's threads have computed so far: what others do meanwhile does not count.
fn processor_time() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` has room for what the call writes.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut now) };
    assert_eq!(result, 0, "every system has this clock");
    // A time that has passed is not negative.
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Locks of one system; `$wait` waits with a guard and leaves it in its place.
macro_rules! locks {
    ($module:ident, $($sync:ident)::+, |$condition:ident, $guard:ident| $wait:expr) => {
        mod $module {
            use super::*;
            use $($sync)::+::{Condvar, Mutex, RwLock};

            pub fn mutex(iterations: u64) -> Duration {
                let Aligned(lock) = &Aligned(Mutex::new(0u64));
                let time = time(iterations, || *black_box(lock).lock().open() += 1);
                assert_eq!(*lock.lock().open(), iterations);
                time
            }

            pub fn mutex_try(iterations: u64) -> Duration {
                let Aligned(lock) = &Aligned(Mutex::new(0u64));
                let time = time(iterations, || {
                    if let Some(mut guard) = black_box(lock).try_lock().taken() {
                        *guard += 1;
                    }
                });
                assert_eq!(*lock.lock().open(), iterations);
                time
            }

            pub fn rwlock_read(iterations: u64) -> Duration {
                let Aligned(lock) = &Aligned(RwLock::new(1u64));
                let mut sum = 0;
                let time = time(iterations, || sum += *black_box(lock).read().open());
                assert_eq!(sum, iterations);
                time
            }

            pub fn rwlock_write(iterations: u64) -> Duration {
                let Aligned(lock) = &Aligned(RwLock::new(0u64));
                let time = time(iterations, || *black_box(lock).write().open() += 1);
                assert_eq!(*lock.read().open(), iterations);
                time
            }

            pub fn condvar_notify(iterations: u64) -> Duration {
                let Aligned(condition) = &Aligned(Condvar::new());
                time(iterations, || {
                    black_box(condition).notify_one();
                })
            }

            /// One iteration is there and back: two changes of threads.
            pub fn condvar_ping_pong(iterations: u64) -> Duration {
                let turns = Mutex::new(0u64);
                let $condition = &Condvar::new();
                let play = |first: u64, end: u64| {
                    for turn in (first..end).step_by(2) {
                        let mut $guard = turns.lock().open();
                        while *$guard != turn {
                            $wait;
                        }
                        *$guard += 1;
                        drop($guard);
                        $condition.notify_one();
                    }
                };
                // The first time there and back is for the other thread to start.
                let end = 2 * (iterations + 1);
                let time = std::thread::scope(|scope| {
                    scope.spawn(|| play(1, end));
                    play(0, 4);
                    let start = processor_time();
                    play(4, end);
                    processor_time() - start
                });
                assert_eq!(*turns.lock().open(), end);
                time
            }
        }
    };
}

locks!(falconry, falconry_seam::sync, |condition, guard| guard = condition.wait(guard).open());
locks!(std_sync, std::sync, |condition, guard| guard = condition.wait(guard).open());
locks!(parking, parking_lot, |condition, guard| condition.wait(&mut guard));

macro_rules! atomics {
    ($module:ident, $($atomic:ident)::+) => {
        mod $module {
            use super::*;
            use $($atomic)::+::{AtomicU64, Ordering};

            /// A chain, as in `cell_read`.
            pub fn atomic_load(iterations: u64) -> Duration {
                let Aligned(numbers): &Aligned<[AtomicU64; 8]> =
                    &Aligned(std::array::from_fn(|at| AtomicU64::new((at as u64 + 3) % 8)));
                let mut at = 0;
                let time = time(iterations, || {
                    at = black_box(numbers[(at % 8) as usize].load(Ordering::Acquire));
                });
                assert_eq!(at, iterations * 3 % 8);
                time
            }

            pub fn atomic_store(iterations: u64) -> Duration {
                let aligned = Aligned(AtomicU64::new(0));
                let Aligned(number) = black_box(&aligned);
                let mut next = 0;
                let time = time(iterations, || {
                    next += 1;
                    number.store(next, Ordering::Release);
                });
                assert_eq!(number.load(Ordering::Relaxed), iterations);
                time
            }

            pub fn atomic_fetch_add(iterations: u64) -> Duration {
                let aligned = Aligned(AtomicU64::new(0));
                let Aligned(number) = black_box(&aligned);
                let time = time(iterations, || {
                    number.fetch_add(1, Ordering::AcqRel);
                });
                assert_eq!(number.load(Ordering::Relaxed), iterations);
                time
            }

            pub fn atomic_exchange(iterations: u64) -> Duration {
                let aligned = Aligned(AtomicU64::new(0));
                let Aligned(number) = black_box(&aligned);
                let mut seen = 0;
                let time = time(iterations, || {
                    let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
                    let result =
                        number.compare_exchange(seen, seen + 1, success, failure);
                    seen = result.map_or_else(|actual| actual, |previous| previous + 1);
                });
                assert_eq!(number.load(Ordering::Relaxed), iterations);
                time
            }
        }
    };
}

atomics!(falconry_atomic, falconry_seam::sync::atomic);
atomics!(std_atomic, std::sync::atomic);

/// Cells of one system; `$with` is handed the cell and a closure on the pointer.
macro_rules! cells {
    ($module:ident, $cell:ty, |$it:ident, $f:ident| $read:expr, $write:expr) => {
        mod $module {
            use super::*;

            /// A chain: each read gives the place of the next, so that its latency is what is timed.
            pub fn cell_read(iterations: u64) -> Duration {
                let Aligned(cells): &Aligned<[$cell; 8]> =
                    &Aligned(std::array::from_fn(|at| <$cell>::new((at as u64 + 3) % 8)));
                let mut at = 0;
                let time = time(iterations, || {
                    let $it = &cells[(at % 8) as usize];
                    // SAFETY: the cells are on this thread's stack, and nobody writes.
                    let $f = |value: *const u64| unsafe { value.read() };
                    at = black_box($read);
                });
                assert_eq!(at, iterations * 3 % 8);
                time
            }

            pub fn cell_write(iterations: u64) -> Duration {
                let mut aligned = Aligned(<$cell>::new(0));
                black_box(&mut aligned);
                let time = time(iterations, || {
                    let $it = &aligned.0;
                    // SAFETY: the cell is on this thread's stack, and nobody else has it. Volatile, or
                    // the loop would become one addition.
                    let $f = |value: *mut u64| unsafe {
                        value.write_volatile(value.read_volatile() + 1);
                    };
                    $write
                });
                assert_eq!(aligned.0.into_inner(), iterations);
                time
            }
        }
    };
}

cells!(
    falconry_cell,
    falconry_seam::cell::UnsafeCell<u64>,
    |cell, f| cell.with(f),
    cell.with_mut(f)
);
cells!(std_cell, std::cell::UnsafeCell<u64>, |cell, f| f(cell.get()), f(cell.get()));
