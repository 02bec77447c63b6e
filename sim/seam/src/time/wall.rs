//! The wall clock.

use std::cmp::Ordering;
use std::error::Error;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::{self, Duration};

use crate::hook::{self, Clock};

/// Midnight of 1 January 1970, UTC.
pub const UNIX_EPOCH: SystemTime = SystemTime { since_epoch_ns: 0, source: Source::Epoch };

const NS_PER_S: i128 = 1_000_000_000;

/// A reading of the wall clock, in the shape of [`std::time::SystemTime`].
#[derive(Clone, Copy, Debug)]
pub struct SystemTime {
    since_epoch_ns: i128,
    source: Source,
}

/// An earlier time was asked for its distance from a later one.
#[derive(Clone, Debug)]
pub struct SystemTimeError(Duration);

/// Where a reading came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Computed from [`UNIX_EPOCH`], as times that were stored are: may be compared with any.
    Epoch,
    Real,
    Virtual,
}

impl SystemTimeError {
    /// How far the other time is ahead.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.0
    }
}

impl SystemTime {
    /// Midnight of 1 January 1970, UTC.
    pub const UNIX_EPOCH: SystemTime = UNIX_EPOCH;

    /// The clock now.
    #[must_use]
    pub fn now() -> SystemTime {
        match hook::current() {
            Some(machine) => SystemTime {
                since_epoch_ns: i128::from(machine.clock_ns(Clock::Wall)),
                source: Source::Virtual,
            },
            None => SystemTime {
                since_epoch_ns: match time::SystemTime::now().duration_since(time::UNIX_EPOCH) {
                    Ok(after) => signed_ns(after),
                    Err(before) => -signed_ns(before.duration()),
                },
                source: Source::Real,
            },
        }
    }

    /// Time from `earlier` to this.
    ///
    /// # Errors
    ///
    /// When `earlier` is later, with the distance.
    #[track_caller]
    pub fn duration_since(&self, earlier: SystemTime) -> Result<Duration, SystemTimeError> {
        common_source(*self, earlier);
        let distance_ns = self.since_epoch_ns - earlier.since_epoch_ns;
        let distance = unsigned(distance_ns.unsigned_abs());
        if distance_ns >= 0 { Ok(distance) } else { Err(SystemTimeError(distance)) }
    }

    /// Time from this to now.
    ///
    /// # Errors
    ///
    /// When the clock has gone back behind this, with the distance.
    #[track_caller]
    pub fn elapsed(&self) -> Result<Duration, SystemTimeError> {
        SystemTime::now().duration_since(*self)
    }

    /// This and `duration` more, `None` where that cannot be represented.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<SystemTime> {
        self.at(self.since_epoch_ns + signed_ns(duration))
    }

    /// This and `duration` less, `None` where that cannot be represented.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<SystemTime> {
        self.at(self.since_epoch_ns - signed_ns(duration))
    }

    /// The same source's time at `since_epoch_ns`, which has to fit std's range of 64-bit seconds.
    fn at(self, since_epoch_ns: i128) -> Option<SystemTime> {
        i64::try_from(since_epoch_ns.div_euclid(NS_PER_S)).ok()?;
        Some(SystemTime { since_epoch_ns, ..self })
    }
}

impl PartialEq for SystemTime {
    #[track_caller]
    fn eq(&self, other: &SystemTime) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for SystemTime {}

impl PartialOrd for SystemTime {
    #[track_caller]
    fn partial_cmp(&self, other: &SystemTime) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SystemTime {
    #[track_caller]
    fn cmp(&self, other: &SystemTime) -> Ordering {
        common_source(*self, *other);
        self.since_epoch_ns.cmp(&other.since_epoch_ns)
    }
}

impl Hash for SystemTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.since_epoch_ns.hash(state);
    }
}

impl Add<Duration> for SystemTime {
    type Output = SystemTime;

    #[track_caller]
    fn add(self, duration: Duration) -> SystemTime {
        self.checked_add(duration).expect("overflow when adding duration to system time")
    }
}

impl AddAssign<Duration> for SystemTime {
    #[track_caller]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for SystemTime {
    type Output = SystemTime;

    #[track_caller]
    fn sub(self, duration: Duration) -> SystemTime {
        self.checked_sub(duration).expect("overflow when subtracting duration from system time")
    }
}

impl SubAssign<Duration> for SystemTime {
    #[track_caller]
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl fmt::Display for SystemTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the second time is {:?} later than the first", self.0)
    }
}

impl Error for SystemTimeError {}

fn signed_ns(duration: Duration) -> i128 {
    // A duration holds less than 2^64 seconds, so its nanoseconds stay far below 2^127.
    duration.as_nanos() as i128
}

fn unsigned(ns: u128) -> Duration {
    let per_s = NS_PER_S.unsigned_abs();
    // Both times are within 64-bit seconds of the epoch, so their distance fits.
    Duration::new((ns / per_s) as u64, (ns % per_s) as u32)
}

#[track_caller]
fn common_source(a: SystemTime, b: SystemTime) {
    if let (Source::Real, Source::Virtual) | (Source::Virtual, Source::Real) = (a.source, b.source)
    {
        panic!("a SystemTime read on a simulated machine is compared with one read outside it")
    }
}
