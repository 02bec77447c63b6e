//! Counters are incremented: what was acknowledged is counted, what was in flight may be.

use super::{Attempt, Stop, Workload, pick, records};
use crate::engine::Pair;
use crate::oracle::Breach;
use crate::oracle::invariant::{Tally, number, within};

/// The counters.
pub(super) struct Counter {
    /// How many there are.
    pub(super) counters: u64,
}

impl Workload for Counter {
    fn set_up(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        (0..self.counters).try_for_each(|index| attempt.put_number(&counter(index), 0))
    }

    fn write(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        let key = counter(pick("workload/counter", self.counters));
        let count = attempt.number(&key)?;
        attempt.put_number(&key, count + 1)
    }

    fn read(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        let key = counter(pick("workload/counter", self.counters));
        attempt.number(&key).map(|_| ())
    }

    fn invariant(&self, state: &[Pair], tally: Option<Tally>) -> Result<(), Breach> {
        let mut total = 0u64;
        for (key, value) in records(state, "c") {
            total = total.wrapping_add(number(key, value)?);
        }
        tally.map_or(Ok(()), |tally| within(total, tally))
    }
}

fn counter(index: u64) -> Vec<u8> {
    format!("c{index:06}").into_bytes()
}
