//! A ring of keys is changed and stays one ring (after FoundationDB's workload of that name).

use super::{Attempt, Stop, Workload, pick, records};
use crate::engine::Pair;
use crate::oracle::Breach;
use crate::oracle::invariant::{Tally, one_ring};

/// The ring.
pub(super) struct Cycle {
    /// How many nodes it has, at least four.
    pub(super) nodes: u64,
}

impl Workload for Cycle {
    fn set_up(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        (0..self.nodes)
            .try_for_each(|index| attempt.put_number(&node(index), (index + 1) % self.nodes))
    }

    fn write(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        // The second and the third node of four change their places.
        let first = pick("workload/node", self.nodes);
        let second = attempt.number(&node(first))?;
        let third = attempt.number(&node(second))?;
        let fourth = attempt.number(&node(third))?;
        attempt.put_number(&node(first), third)?;
        attempt.put_number(&node(third), second)?;
        attempt.put_number(&node(second), fourth)
    }

    fn read(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        let all = attempt.range(b"n", Some(b"o"))?;
        attempt.hold(self.invariant(&all, None))
    }

    fn invariant(&self, state: &[Pair], _tally: Option<Tally>) -> Result<(), Breach> {
        one_ring(records(state, "n"), self.nodes)
    }
}

fn node(index: u64) -> Vec<u8> {
    format!("n{index:06}").into_bytes()
}
