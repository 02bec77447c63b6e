//! Random puts, deletes and scans; what they read is compared with the sequential model.

use super::{Attempt, Stop, Workload, pick, value};
use crate::engine::{Order, Pair};
use crate::oracle::Breach;
use crate::oracle::invariant::Tally;

const ACTIONS_MAX: u64 = 6;
const BULK_MAX: u64 = 48;
const LIMIT_MAX: u64 = 5;
/// Pairs that a transaction puts, at most. All but [`LARGE_MAX`] have an eighth of the largest value.
pub(super) const PAIRS_MAX: u64 = (ACTIONS_MAX + 1) * BULK_MAX;
/// Pairs of the largest value that it puts, at most.
pub(super) const LARGE_MAX: u64 = ACTIONS_MAX + 1;

/// The keys and values.
pub(super) struct Range {
    /// How many different keys there are.
    pub(super) keys: u64,
    /// Bytes of a value, at most.
    pub(super) value_bytes: u64,
}

impl Range {
    /// A key: neighbours in number are far apart in order, so that puts split pages everywhere.
    fn key(&self) -> Vec<u8> {
        let number = pick("workload/key", self.keys);
        format!("k{:08x}", (number as u32).wrapping_mul(0x9E37_79B1)).into_bytes()
    }

    fn scan(&self, attempt: &mut Attempt<'_>) -> Result<Vec<Pair>, Stop> {
        let (from, to) = (self.key(), self.key());
        if from < to { attempt.range(&from, Some(&to)) } else { attempt.range(&to, None) }
    }
}

impl Range {
    /// A few pairs from a key on, or up to it.
    fn some(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        let key = self.key();
        let limit = 1 + pick("workload/limit", LIMIT_MAX) as usize;
        match pick("workload/order", 2) {
            0 => attempt.some(&key, None, Order::Ascending, limit)?,
            _ => attempt.some(b"k", Some(&key), Order::Descending, limit)?,
        };
        Ok(())
    }
}

/// How many records are put at once: few as likely as many.
fn bulk(most: u64) -> u64 {
    falconry_sim::with_choices(|choices| choices.log_uniform("workload/bulk", 1, most))
}

impl Workload for Range {
    fn set_up(&self, _attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        Ok(())
    }

    fn write(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        for _ in 0..=pick("workload/actions", ACTIONS_MAX) {
            match pick("workload/action", 12) {
                0..=4 => attempt.put(&self.key(), &value(self.value_bytes))?,
                5..=6 => attempt.delete(&self.key())?,
                7 => attempt.get(&self.key()).map(|_| ())?,
                8 => match pick("workload/scan", 2) {
                    0 => self.scan(attempt).map(|_| ())?,
                    _ => self.some(attempt)?,
                },
                9 => {
                    // Whole pages empty at once, so that they merge.
                    for (key, _) in self.scan(attempt)? {
                        attempt.delete(&key)?;
                    }
                }
                _ => {
                    for _ in 0..bulk(BULK_MAX.min(self.keys)) {
                        attempt.put(&self.key(), &value(self.value_bytes / 8))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn read(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        attempt.get(&self.key())?;
        self.some(attempt)?;
        self.scan(attempt).map(|_| ())
    }

    fn invariant(&self, _state: &[Pair], _tally: Option<Tally>) -> Result<(), Breach> {
        // The model alone knows what a state holds; it has compared every byte.
        Ok(())
    }
}
