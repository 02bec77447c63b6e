//! What clients do: generators of transactions, each with the invariant of its states beside it.
//!
//! # Method
//!
//! A workload knows its sizes and nothing else: what it needs to know about the data it reads in the
//! transaction at hand, so that it goes on after any power loss. Every read and write goes through an
//! [`Attempt`], which compares it with the history of versions.
//!
//! # Invariant
//!
//! Keys are text and do not start with a zero byte, which is the head's.

mod attempt;
mod bank;
mod client;
mod counter;
mod cycle;
mod lane;
mod ledger;
mod range;
mod witness;

pub use attempt::{Attempt, Stop};
pub use client::{Client, set_up};
pub use lane::{Lane, LaneNumber, of_lane, strangers};
pub use witness::Witness;

use falconry_sim::choice::Choices;

use crate::engine::{Pair, Room};
use crate::oracle::Breach;
use crate::oracle::invariant::Tally;
use crate::scenario::{self, WorkloadKind};

/// Bytes of a key, and of what says that it has a value, at most.
const KEY_BYTES_MAX: u64 = 64;

/// The sizes of one run's workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Tasks at once.
    pub clients: u32,
    /// Transactions of each client in each boot.
    pub transactions: u64,
    /// Accounts, entries, nodes, counters.
    pub keys: u64,
    /// Bytes of one value, at most.
    pub value_bytes: u64,
}

impl Sizes {
    /// Commits that a boot makes, at most.
    pub fn commits(&self) -> u64 {
        u64::from(self.clients) * self.transactions
    }

    /// Draws the sizes of one run.
    pub fn draw(choices: &mut Choices, spans: &scenario::Workload) -> Sizes {
        Sizes {
            clients: spans.clients.draw(choices, "size/clients") as u32,
            transactions: spans.transactions.draw(choices, "size/transactions"),
            // Large databases cost the most; few are enough to split pages and to grow files.
            keys: spans.keys.draw_small(choices, "size/keys"),
            value_bytes: spans.value_bytes.draw_small(choices, "size/value_bytes"),
        }
    }
}

/// What the clients of such a workload may ask for at most.
pub fn room(spans: &scenario::Workload) -> Room {
    let value_bytes = match spans.kind {
        WorkloadKind::Bank | WorkloadKind::Cycle | WorkloadKind::Counter => 8,
        _ => spans.value_bytes.1,
    };
    let pair_bytes = value_bytes + KEY_BYTES_MAX;
    // A set-up writes all keys, a range that is deleted has all at most.
    let all_bytes = spans.keys.1 * (8 + KEY_BYTES_MAX);
    let bulk_bytes = range::PAIRS_MAX * (value_bytes / 8 + KEY_BYTES_MAX);
    Room {
        pair_bytes_max: pair_bytes as usize,
        transaction_bytes_max: (all_bytes + bulk_bytes + range::LARGE_MAX * pair_bytes) as usize,
    }
}

/// A generator of transactions.
pub trait Workload: Send + Sync {
    /// Writes what there is at the beginning, in the first transaction of an empty database.
    ///
    /// # Errors
    ///
    /// When the engine failed or was caught.
    fn set_up(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop>;

    /// The reads and writes of one write transaction.
    ///
    /// # Errors
    ///
    /// When the engine failed or was caught.
    fn write(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop>;

    /// The reads of one read transaction.
    ///
    /// # Errors
    ///
    /// When the engine failed or was caught.
    fn read(&self, attempt: &mut Attempt<'_>) -> Result<(), Stop>;

    /// What holds in every state after the set-up; `tally` counts the transactions of [`Self::write`]
    /// that are in it, where that is known.
    ///
    /// # Errors
    ///
    /// What does not hold.
    fn invariant(&self, state: &[Pair], tally: Option<Tally>) -> Result<(), Breach>;
}

/// The workload of that kind; `None` for the machine's self-check and for specimens, which have no
/// engine.
pub fn of_kind(kind: WorkloadKind, sizes: Sizes) -> Option<Box<dyn Workload>> {
    Some(match kind {
        WorkloadKind::Bank => Box::new(bank::Bank { accounts: sizes.keys }),
        WorkloadKind::Ledger => Box::new(ledger::Ledger { value_bytes: sizes.value_bytes }),
        WorkloadKind::Cycle => Box::new(cycle::Cycle { nodes: sizes.keys.max(4) }),
        WorkloadKind::Counter => Box::new(counter::Counter { counters: sizes.keys }),
        WorkloadKind::Range => {
            Box::new(range::Range { keys: sizes.keys, value_bytes: sizes.value_bytes })
        }
        WorkloadKind::SelfCheck | WorkloadKind::Specimen => return None,
    })
}

/// Adds a remark to the running machine's trace.
pub(crate) fn remark(lane: &'static str, text: impl FnOnce() -> String) {
    falconry_sim::note(lane, &text());
}

/// Whether the next operation is made. From a seed each is; a run of exceptions makes those it names.
pub(crate) fn is_made(label: &'static str) -> bool {
    falconry_sim::with_choices(|choices| choices.decide(label, 2, |_| 1)) == 1
}

/// A choice of a workload.
fn pick(label: &'static str, bound: u64) -> u64 {
    falconry_sim::choose(label, bound)
}

/// A value of up to `bytes_max` bytes whose content depends on one choice; short ones are as likely as
/// long ones.
fn value(bytes_max: u64) -> Vec<u8> {
    falconry_sim::with_choices(|choices| {
        let len = choices.log_uniform("workload/value_bytes", 1, bytes_max.max(1));
        let mut value = vec![0; len as usize];
        choices.fill("workload/value", &mut value);
        value
    })
}

/// The records of a state whose keys start with `prefix`.
fn records<'a>(state: &'a [Pair], prefix: &str) -> &'a [Pair] {
    let start = state.partition_point(|(key, _)| key.as_slice() < prefix.as_bytes());
    let rest = &state[start..];
    &rest[..rest.partition_point(|(key, _)| key.starts_with(prefix.as_bytes()))]
}
