//! Each client appends numbered entries, some of them large.

use super::{Attempt, Stop, Workload, pick, records, value};
use crate::engine::Pair;
use crate::oracle::Breach;
use crate::oracle::invariant::{Tally, unbroken};

const ENTRIES_MAX: u64 = 4;

/// The ledger.
pub(super) struct Ledger {
    /// Bytes of an entry, at most.
    pub(super) value_bytes: u64,
}

impl Workload for Ledger {
    fn set_up(&self, _attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        Ok(())
    }

    fn write(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        let client = attempt.client();
        let next = attempt.number(&next_of(client))?;
        let count = 1 + pick("workload/entries", ENTRIES_MAX);
        for number in next..next + count {
            attempt.put(&entry(client, number), &value(self.value_bytes))?;
        }
        attempt.put_number(&next_of(client), next + count)
    }

    fn read(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop> {
        let client = attempt.client();
        let (from, to) = (entry(client, 0), entry(client + 1, 0));
        let own = attempt.range(&from, Some(&to))?;
        let next = attempt.number(&next_of(client))?;
        let gap = (own.len() as u64 != next).then(|| {
            let sentence = "the entries of a client are not those it counted";
            Breach::new(crate::run::Property::Invariant, sentence, "state")
                .row("expected", format!("{next} entries of client {client}"))
                .row("found", own.len().to_string())
        });
        attempt.hold(gap.map_or(Ok(()), Err))
    }

    fn invariant(&self, state: &[Pair], _tally: Option<Tally>) -> Result<(), Breach> {
        unbroken(records(state, "l"), entry_of)
    }
}

fn entry(client: u32, number: u64) -> Vec<u8> {
    format!("l{client:03}/{number:08}").into_bytes()
}

fn next_of(client: u32) -> Vec<u8> {
    format!("m{client:03}").into_bytes()
}

fn entry_of(key: &[u8]) -> Option<(u32, u64)> {
    let (client, number) = std::str::from_utf8(key).ok()?.strip_prefix('l')?.split_once('/')?;
    Some((client.parse().ok()?, number.parse().ok()?))
}
