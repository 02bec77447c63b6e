//! The monotonic clock.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::{self, Duration};

use crate::hook::{self, Clock};

/// A reading of the monotonic clock, in the shape of [`std::time::Instant`].
#[derive(Clone, Copy, Debug)]
pub struct Instant(Reading);

#[derive(Clone, Copy, Debug)]
enum Reading {
    Real(time::Instant),
    /// Nanoseconds of virtual time, which begins at 0. Signed, for a program may look back further.
    Virtual(i64),
}

use Reading::{Real, Virtual};

impl Instant {
    /// The clock now.
    #[must_use]
    pub fn now() -> Instant {
        match hook::current() {
            None => Instant(Real(time::Instant::now())),
            Some(machine) => {
                let now_ns = machine.clock_ns(Clock::Monotonic);
                Instant(Virtual(i64::try_from(now_ns).unwrap_or(i64::MAX)))
            }
        }
    }

    /// Time from `earlier` to this, 0 if `earlier` is later.
    #[must_use]
    #[track_caller]
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.checked_duration_since(earlier).unwrap_or_default()
    }

    /// Time from `earlier` to this, `None` if `earlier` is later.
    #[must_use]
    #[track_caller]
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        match (self.0, earlier.0) {
            (Real(this), Real(earlier)) => this.checked_duration_since(earlier),
            (Virtual(this), Virtual(earlier)) if this >= earlier => {
                Some(Duration::from_nanos(this.abs_diff(earlier)))
            }
            (Virtual(_), Virtual(_)) => None,
            _ => mixed(),
        }
    }

    /// Time from `earlier` to this, 0 if `earlier` is later.
    #[must_use]
    #[track_caller]
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }

    /// Time from this to now.
    #[must_use]
    #[track_caller]
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(*self)
    }

    /// This and `duration` more, `None` where the clock cannot represent it.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        Some(Instant(match self.0 {
            Real(this) => Real(this.checked_add(duration)?),
            Virtual(this) => {
                Virtual(this.checked_add_unsigned(u64::try_from(duration.as_nanos()).ok()?)?)
            }
        }))
    }

    /// This and `duration` less, `None` where the clock cannot represent it.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        Some(Instant(match self.0 {
            Real(this) => Real(this.checked_sub(duration)?),
            Virtual(this) => {
                Virtual(this.checked_sub_unsigned(u64::try_from(duration.as_nanos()).ok()?)?)
            }
        }))
    }
}

impl PartialEq for Instant {
    #[track_caller]
    fn eq(&self, other: &Instant) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Instant {}

impl PartialOrd for Instant {
    #[track_caller]
    fn partial_cmp(&self, other: &Instant) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Instant {
    #[track_caller]
    fn cmp(&self, other: &Instant) -> Ordering {
        match (self.0, other.0) {
            (Real(this), Real(other)) => this.cmp(&other),
            (Virtual(this), Virtual(other)) => this.cmp(&other),
            _ => mixed(),
        }
    }
}

impl Hash for Instant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            Real(this) => this.hash(state),
            Virtual(this) => this.hash(state),
        }
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    #[track_caller]
    fn add(self, duration: Duration) -> Instant {
        self.checked_add(duration).expect("overflow when adding duration to instant")
    }
}

impl AddAssign<Duration> for Instant {
    #[track_caller]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    #[track_caller]
    fn sub(self, duration: Duration) -> Instant {
        self.checked_sub(duration).expect("overflow when subtracting duration from instant")
    }
}

impl SubAssign<Duration> for Instant {
    #[track_caller]
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    #[track_caller]
    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

#[cold]
#[track_caller]
fn mixed() -> ! {
    panic!("an Instant read on a simulated machine is compared with one read outside it")
}
