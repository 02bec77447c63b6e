//! The machine's clocks, and what may go wrong with them.
//!
//! # Method
//!
//! The monotonic clock is virtual time. The wall clock is virtual time times a rate plus an offset;
//! a fault changes one of the two. Each reading of the wall clock is one decision point. A suspend
//! moves virtual time forward and the wall clock's offset back by as much, so that the wall clock
//! stands still over it and the monotonic clock jumps.
//!
//! # Invariant
//!
//! The monotonic clock never goes back.

use crate::choice::{Choices, PPM};
use crate::fault::{Fault, Faults};
use crate::trace::Trace;

/// The wall clock of a machine that was just made: 2026-01-01 00:00:00 UTC.
const START_NS: i64 = 1_767_225_600 * SECOND_NS;
const SECOND_NS: i64 = 1_000_000_000;

/// The wall clock's state. It survives boots.
#[derive(Clone, Debug)]
pub(crate) struct WallClock {
    offset_ns: i64,
    /// Millionths by which it runs too fast (or too slow, below 0).
    drift_ppm: i64,
    /// Virtual time since which it drifts.
    drift_since_ns: u64,
    coarse: bool,
}

const AMONG: &[Fault] = &[Fault::WallForward, Fault::WallBack, Fault::WallCoarse, Fault::WallDrift];

impl WallClock {
    pub(crate) fn new() -> Self {
        WallClock { offset_ns: START_NS, drift_ppm: 0, drift_since_ns: 0, coarse: false }
    }

    /// Reads the clock, after what may go wrong with it went wrong.
    pub(crate) fn read_ns(
        &mut self,
        choices: &mut Choices,
        faults: &mut Faults,
        trace: &mut Trace,
    ) -> u64 {
        if let Some(fault) = faults.pick(choices, "clock/wall", AMONG) {
            let before_ns = self.now_ns(trace.time_ns());
            self.break_with(fault, choices, trace.time_ns());
            let after_ns = self.now_ns(trace.time_ns());
            faults.deliver_in(trace, fault, before_ns.abs_diff(after_ns));
        }
        self.now_ns(trace.time_ns())
    }

    fn break_with(&mut self, fault: Fault, choices: &mut Choices, time_ns: u64) {
        match fault {
            Fault::WallForward => self.offset_ns += step_ns(choices),
            Fault::WallBack => self.offset_ns -= step_ns(choices),
            Fault::WallCoarse => self.coarse = true,
            Fault::WallDrift => {
                self.offset_ns += self.drifted_ns(time_ns);
                self.drift_since_ns = time_ns;
                self.drift_ppm = choices.range("clock/drift", 0, 200_000) as i64 - 100_000;
            }
            other => unreachable!("{other} is no fault of the wall clock"),
        }
    }

    /// The wall clock stood still while virtual time went on by `ns`.
    pub(crate) fn stand_still(&mut self, ns: u64) {
        self.offset_ns -= ns as i64;
    }

    fn drifted_ns(&self, time_ns: u64) -> i64 {
        let since = i128::from(time_ns - self.drift_since_ns);
        (since * i128::from(self.drift_ppm) / i128::from(PPM)) as i64
    }

    pub(crate) fn now_ns(&self, time_ns: u64) -> u64 {
        let exact = self.offset_ns + time_ns as i64 + self.drifted_ns(time_ns);
        let shown = if self.coarse { exact - exact.rem_euclid(SECOND_NS) } else { exact };
        shown.max(0) as u64
    }
}

/// How far the wall clock steps: a millisecond to an hour.
fn step_ns(choices: &mut Choices) -> i64 {
    choices.log_uniform("clock/step", 1, 3_600_000) as i64 * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(fault: Fault) -> (WallClock, u64, u64) {
        let mut choices = Choices::from_seed(3);
        let mut faults = Faults::none();
        let mut trace = Trace::new(false);
        trace.time_ns = 5_123_456_789;
        let mut clock = WallClock::new();
        let before = clock.read_ns(&mut choices, &mut faults, &mut trace);
        faults.set_rate(fault, PPM);
        let after = clock.read_ns(&mut choices, &mut faults, &mut trace);
        assert_eq!(faults.delivered(fault), 1);
        (clock, before, after)
    }

    #[test]
    fn each_fault_does_what_its_name_says() {
        let (_, before, after) = broken(Fault::WallForward);
        assert!(after > before, "{after} is not after {before}");
        let (_, before, after) = broken(Fault::WallBack);
        assert!(after < before, "{after} is not before {before}");
        let (_, before, after) = broken(Fault::WallCoarse);
        assert_eq!(after, before - before % 1_000_000_000);
        let (clock, before, after) = broken(Fault::WallDrift);
        assert_eq!(before, after, "drift begins now");
        assert_ne!(clock.now_ns(10_123_456_789) - after, 5_000_000_000);
    }

    #[test]
    fn it_stands_still_over_a_suspend() {
        let mut clock = WallClock::new();
        let before = clock.now_ns(1_000);
        clock.stand_still(500);
        assert_eq!(clock.now_ns(1_500), before);
    }
}
