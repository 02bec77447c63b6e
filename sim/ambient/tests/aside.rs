//! What an allocator asks the OS is answered by the kernel, even on a machine.

#![allow(clippy::disallowed_methods, reason = "a test stands outside of the run")]
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use falconry_ambient::Aside;
use support::{no_wait, on_machine};

/// An allocator that asks for randomness and for the time whenever it is called.
struct Asking;

/// How often it was called.
static CALLS: AtomicU64 = AtomicU64::new(0);

fn ask() {
    let mut bytes = [0_u8; 8];
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both point to what they are said to.
    unsafe {
        libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0);
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time);
    }
    CALLS.fetch_add(1, Ordering::Relaxed);
}

// SAFETY: every block is the system's.
unsafe impl GlobalAlloc for Asking {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ask();
        // SAFETY: our caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        ask();
        // SAFETY: our caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Aside<Asking> = Aside(Asking);

#[test]
fn an_allocator_asks_the_kernel_and_its_caller_the_machine() {
    falconry_ambient::install();
    let fresh = thread::spawn(|| {
        on_machine(7, no_wait, |machine| {
            let before = CALLS.load(Ordering::Relaxed);
            drop(black_box(vec![1_u8; 100]));
            let mut grown = black_box(vec![1_u8; 100]);
            grown.extend_from_slice(&[2; 1_000]);
            assert!(CALLS.load(Ordering::Relaxed) >= before + 4);
            assert_eq!(machine.random_bytes.get(), 0, "the allocator was answered by the machine");
            let mut bytes = [0_u8; 8];
            // SAFETY: the buffer has so many bytes.
            unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
            assert_eq!(machine.random_bytes.get(), 8, "its caller was not");
        });
    });
    fresh.join().expect("nothing panics");
}
