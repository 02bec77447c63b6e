//! Times of libc against the machine's nanoseconds.

use falconry_seam::hook::{Clock, Machine};
use libc::{clockid_t, timespec, timeval};

const NS_PER_S: u64 = 1_000_000_000;
const NS_PER_US: u64 = 1_000;

/// Which of the machine's clocks stands for a clock of the kernel.
///
/// Time that a processor spent would differ from run to run, so those clocks show monotonic time.
pub(crate) fn stands_for(clock: clockid_t) -> Clock {
    match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => Clock::Wall,
        _ => Clock::Monotonic,
    }
}

/// A time as `clock_gettime` stores it.
pub(crate) fn to_timespec(ns: u64) -> timespec {
    timespec { tv_sec: (ns / NS_PER_S) as libc::time_t, tv_nsec: (ns % NS_PER_S) as libc::c_long }
}

/// A time as `gettimeofday` stores it.
pub(crate) fn to_timeval(ns: u64) -> timeval {
    let us = ns % NS_PER_S / NS_PER_US;
    timeval { tv_sec: (ns / NS_PER_S) as libc::time_t, tv_usec: us as libc::suseconds_t }
}

/// Nanoseconds of a time-out, or nothing when the kernel would call it invalid.
///
/// A time past the end of 64 bits is as good as for ever.
pub(crate) fn from_timespec(time: timespec) -> Option<u64> {
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let ns = u64::try_from(time.tv_nsec).ok().filter(|ns| *ns < NS_PER_S)?;
    Some(seconds.saturating_mul(NS_PER_S).saturating_add(ns))
}

/// The monotonic time at which `clock` will show `at_ns`, as far as can be told now.
pub(crate) fn to_monotonic(machine: &dyn Machine, clock: Clock, at_ns: u64) -> u64 {
    match clock {
        Clock::Monotonic => at_ns,
        Clock::Wall => {
            let ahead_ns = at_ns.saturating_sub(machine.clock_ns(Clock::Wall));
            machine.clock_ns(Clock::Monotonic).saturating_add(ahead_ns)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_both_ways() {
        for ns in [0, 1, 999_999_999, NS_PER_S, 1_700_000_000 * NS_PER_S + 123_456_789] {
            assert_eq!(from_timespec(to_timespec(ns)), Some(ns));
        }
        let time = to_timeval(5 * NS_PER_S + 123_456_789);
        assert_eq!((time.tv_sec, time.tv_usec), (5, 123_456));
    }

    #[test]
    fn invalid_times_are_told_from_far_ones() {
        assert_eq!(from_timespec(timespec { tv_sec: -1, tv_nsec: 0 }), None);
        assert_eq!(from_timespec(timespec { tv_sec: 0, tv_nsec: -1 }), None);
        assert_eq!(from_timespec(timespec { tv_sec: 0, tv_nsec: 1_000_000_000 }), None);
        assert_eq!(from_timespec(timespec { tv_sec: i64::MAX, tv_nsec: 0 }), Some(u64::MAX));
    }
}
