//! `syscall` itself: each form of a futex call and its answers, and what goes to the kernel.

#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

mod support;

use std::io;
use std::ptr;

use falconry_seam::hook::Wake;
use libc::{c_int, c_long, timespec};
use support::{Wait, no_wait, on_machine};

const PRIVATE: c_int = libc::FUTEX_PRIVATE_FLAG;
const ANY: u32 = libc::FUTEX_BITSET_MATCH_ANY as u32;

/// A futex call: its result, or errno.
fn futex(
    word: &u32,
    operation: c_int,
    value: u32,
    timeout: Option<timespec>,
    bits: u32,
) -> Result<c_long, c_int> {
    falconry_ambient::install();
    let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    let unused = ptr::null::<u32>();
    // SAFETY: the word and the time-out live until the call returns.
    let result = unsafe {
        libc::syscall(libc::SYS_futex, ptr::from_ref(word), operation, value, timeout, unused, bits)
    };
    if result == -1 {
        Err(io::Error::last_os_error().raw_os_error().expect("errno was set"))
    } else {
        Ok(result)
    }
}

fn seconds(tv_sec: i64) -> Option<timespec> {
    Some(timespec { tv_sec, tv_nsec: 0 })
}

#[test]
fn a_word_that_differs_is_not_waited_for() {
    on_machine(1, no_wait, |_| {
        assert_eq!(futex(&7, libc::FUTEX_WAIT | PRIVATE, 8, None, 0), Err(libc::EAGAIN));
        assert_eq!(futex(&7, libc::FUTEX_WAIT_BITSET, 8, None, ANY), Err(libc::EAGAIN));
    });
}

#[test]
fn each_end_of_a_wait_has_its_answer() {
    for (wake, answer) in
        [(Wake::Notified, Ok(0)), (Wake::Spurious, Ok(0)), (Wake::TimedOut, Err(libc::ETIMEDOUT))]
    {
        on_machine(
            1,
            move |_| wake,
            |machine| {
                let word = 7;
                assert_eq!(futex(&word, libc::FUTEX_WAIT | PRIVATE, 7, None, 0), answer);
                let wait = Wait { address: ptr::from_ref(&word) as usize, deadline_ns: None };
                assert_eq!(*machine.waits.borrow(), [wait]);
            },
        );
    }
}

#[test]
fn time_outs_become_monotonic_deadlines() {
    let wall = libc::FUTEX_CLOCK_REALTIME;
    for (operation, timeout, deadline_ns) in [
        (libc::FUTEX_WAIT, seconds(2), 7_000_000_007),
        (libc::FUTEX_WAIT | wall, seconds(2), 7_000_000_007),
        (libc::FUTEX_WAIT_BITSET, seconds(9), 9_000_000_000),
        (libc::FUTEX_WAIT_BITSET | wall, seconds(1_700_000_001), 5_876_543_218),
        (libc::FUTEX_WAIT_BITSET | wall, seconds(1), 5_000_000_007),
        (libc::FUTEX_WAIT, seconds(i64::MAX), u64::MAX),
    ] {
        on_machine(
            1,
            |_| Wake::Notified,
            |machine| {
                assert_eq!(futex(&7, operation | PRIVATE, 7, timeout, ANY), Ok(0));
                assert_eq!(machine.waits.borrow()[0].deadline_ns, Some(deadline_ns), "{operation}");
            },
        );
    }
}

#[test]
fn what_the_kernel_refuses_is_refused() {
    on_machine(1, no_wait, |_| {
        let bad = Some(timespec { tv_sec: 0, tv_nsec: 1_000_000_000 });
        assert_eq!(futex(&7, libc::FUTEX_WAIT, 7, bad, 0), Err(libc::EINVAL));
        assert_eq!(futex(&7, libc::FUTEX_WAIT, 7, seconds(-1), 0), Err(libc::EINVAL));
        assert_eq!(futex(&7, libc::FUTEX_WAIT_BITSET, 7, None, 0), Err(libc::EINVAL));
        assert_eq!(futex(&7, libc::FUTEX_WAKE_BITSET, 1, None, 0), Err(libc::EINVAL));
    });
}

#[test]
fn a_wake_says_how_many_it_woke() {
    on_machine(1, no_wait, |machine| {
        let word = 7;
        assert_eq!(futex(&word, libc::FUTEX_WAKE | PRIVATE, 2, None, 0), Ok(2));
        assert_eq!(futex(&word, libc::FUTEX_WAKE, i32::MAX as u32, None, 0), Ok(3));
        assert_eq!(futex(&word, libc::FUTEX_WAKE_BITSET, 1, None, ANY), Ok(1));
        // A choice by bits cannot be made, so all are woken and none is forgotten.
        assert_eq!(futex(&word, libc::FUTEX_WAKE_BITSET, 1, None, 4), Ok(3));
        let counts: Vec<_> = machine.wakes.borrow().iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, i32::MAX as usize, 1, usize::MAX]);
        let address = ptr::from_ref(&word) as usize;
        assert!(machine.wakes.borrow().iter().all(|(woken, _)| *woken == address));
    });
}

#[test]
fn other_calls_and_operations_go_to_the_kernel() {
    on_machine(1, no_wait, |machine| {
        // SAFETY: neither call takes a pointer.
        let ids = unsafe { (libc::syscall(libc::SYS_getpid), libc::getpid()) };
        assert_eq!(ids.0, c_long::from(ids.1));
        // SAFETY: the descriptor is none, and the call takes no pointer.
        assert_eq!(unsafe { libc::syscall(libc::SYS_close, -1) }, -1);
        assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::EBADF));
        // Unlocking a priority-inheriting word that this thread does not hold.
        assert_eq!(futex(&0, libc::FUTEX_UNLOCK_PI | PRIVATE, 0, None, 0), Err(libc::EPERM));
        assert!(machine.wakes.borrow().is_empty());
    });
}

#[test]
fn futexes_can_be_left_to_the_kernel() {
    on_machine(1, no_wait, |machine| {
        let soon = Some(timespec { tv_sec: 0, tv_nsec: 1_000 });
        falconry_ambient::leave_futexes_to_kernel(true);
        assert_eq!(futex(&7, libc::FUTEX_WAIT | PRIVATE, 7, soon, 0), Err(libc::ETIMEDOUT));
        assert_eq!(futex(&7, libc::FUTEX_WAKE | PRIVATE, 1, None, 0), Ok(0));
        assert!(machine.waits.borrow().is_empty() && machine.wakes.borrow().is_empty());
        falconry_ambient::leave_futexes_to_kernel(false);
        assert_eq!(futex(&7, libc::FUTEX_WAKE | PRIVATE, 1, None, 0), Ok(1));
    });
}

#[test]
fn randomness_and_times_by_every_name() {
    falconry_ambient::install();
    on_machine(3, no_wait, |machine| {
        let mut bytes = [[0u8; 32]; 3];
        let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let mut spec = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: every pointer is to a local of the length that is passed.
        unsafe {
            assert_eq!(libc::getrandom(bytes[0].as_mut_ptr().cast(), 32, 0), 32);
            assert_eq!(libc::getentropy(bytes[1].as_mut_ptr().cast(), 32), 0);
            let (number, third) = (libc::SYS_getrandom, bytes[2].as_mut_ptr());
            assert_eq!(libc::syscall(number, third, 32usize, 0), 32);
            assert_eq!(libc::getentropy(bytes[1].as_mut_ptr().cast(), 257), -1);
            assert_eq!(libc::gettimeofday(&mut time, ptr::null_mut()), 0);
            assert_eq!(libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut spec), 0);
        }
        assert_eq!(machine.random_bytes.get(), 96, "a refused call draws nothing");
        assert!(bytes.iter().all(|bytes| bytes.iter().any(|byte| *byte != 0)));
        assert_eq!((time.tv_sec, time.tv_usec), (1_700_000_000, 123_456));
        assert_eq!((spec.tv_sec, spec.tv_nsec), (5, 7), "time of a processor would differ by run");
    });
}
