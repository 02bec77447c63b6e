//! What first finds took.

use falconry::score::quantile;

/// Starting seeds of each specimen on each system.
pub const STARTS: u64 = 20;

/// A bug that was not found in so many schedules counts as found in the last.
pub const LIMIT: u64 = 2_000;

/// What one first find took.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Schedules, that with the find included.
    pub schedules: u64,
    /// Whether the bug was found; if not, this is what was spent.
    pub found: bool,
}

/// What the first finds from all starting seeds took.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    /// The mean number of schedules.
    pub mean: f64,
    /// The median.
    pub median: f64,
    /// From how many starting seeds the bug was found.
    pub found: u64,
}

impl Tally {
    /// Of the efforts from all starting seeds; `None` of none.
    pub fn of(efforts: &[Effort]) -> Option<Tally> {
        let schedules = || efforts.iter().map(|effort| effort.schedules as f64);
        Some(Tally {
            median: quantile(schedules(), 0.5)?,
            mean: schedules().sum::<f64>() / efforts.len() as f64,
            found: efforts.iter().filter(|effort| effort.found).count() as u64,
        })
    }
}
