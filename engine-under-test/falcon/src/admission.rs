//! The gate before the log: lets in only as much as the log has room for.
//!
//! # Method
//!
//! The log has room again when the start of recovery moves on, and that may need pages to be written. An
//! append that waits for room while it holds latches could so wait for itself. Whoever is about to write to
//! the log therefore reserves room first, while it holds nothing, and keeps the reservation until all that
//! it may write is written. What is written and reserved together stays within the capacity.
//!
//! Those that find no room stand in line. The first of them looks again whenever something may have
//! changed, and asks for a checkpoint each time that it has looked in vain; the others wait for their turn,
//! so that a large one is not passed by small ones for ever.
//!
//! # Invariant
//!
//! At the moment when a reservation is made, what is used, all reservations and the new one are within the
//! capacity. Only the first in line makes one.

use std::collections::VecDeque;
use std::fmt;

use falconry_seam::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::{Error, Result, StopReason};

/// Reserves room in the log. Clones are the same gate.
#[derive(Clone)]
pub struct Admission {
    gate: Arc<Gate>,
}

struct Gate {
    capacity_bytes: u64,
    want_checkpoint: Box<dyn Fn() + Send + Sync>,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    reserved_bytes: u64,
    /// How often there may have come to be more room.
    changes: u64,
    /// Where those that wait sleep, the first of them first.
    waiting: VecDeque<Arc<Condvar>>,
    /// Why nobody is let in any more.
    stopped: Option<StopReason>,
    counters: AdmissionCounters,
}

/// What an [`Admission`] has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdmissionCounters {
    /// Reservations made.
    pub admitted: u64,
    /// Calls that had to wait.
    pub stalls: u64,
}

/// A reservation. Dropped, it is given back.
#[must_use = "dropped at once it reserves nothing"]
pub struct Ticket {
    gate: Arc<Gate>,
    bytes: u64,
}

impl Admission {
    /// A gate before a log that has room for `capacity_bytes`. `want_checkpoint` is called by one that
    /// found no room, with no lock of the gate held: it sees to it that the start of recovery moves on and
    /// that [`Admission::poke`] is called then. It does not wait for that, and does not panic.
    pub fn new(
        capacity_bytes: u64,
        want_checkpoint: impl Fn() + Send + Sync + 'static,
    ) -> Admission {
        let want_checkpoint = Box::new(want_checkpoint);
        let line = Mutex::default();
        Admission { gate: Arc::new(Gate { capacity_bytes, want_checkpoint, line }) }
    }

    /// Reserves `bytes`; waits while there is no room, behind those that wait already. `used` is how many
    /// bytes of the log cannot be written anew yet. It is called under the gate's lock, so it must not call
    /// the gate; it does not panic. It falls to the capacity less `bytes` or below, if need be, while
    /// nobody is let in and checkpoints are made, or the call waits for ever.
    ///
    /// # Errors
    ///
    /// [`Error::TransactionTooLarge`] if `bytes` is more than the capacity, and [`Error::Stopped`].
    /// Nothing is reserved.
    pub fn admit(&self, bytes: u64, used: impl Fn() -> u64) -> Result<Ticket> {
        let gate = &self.gate;
        let bytes_max = gate.capacity_bytes;
        if bytes > bytes_max {
            return Err(Error::TransactionTooLarge { bytes, bytes_max });
        }
        let mut line = gate.line();
        if let Some(why) = &line.stopped {
            return Err(Error::Stopped(why.clone()));
        }
        if !line.waiting.is_empty() || !line.has_room(bytes, used(), bytes_max) {
            line.counters.stalls += 1;
            let wake = Arc::new(Condvar::new());
            line.waiting.push_back(Arc::clone(&wake));
            line = gate.stand(line, &wake, bytes, used);
            line.leave(&wake);
            if let Some(why) = &line.stopped {
                return Err(Error::Stopped(why.clone()));
            }
        }
        line.reserved_bytes += bytes;
        line.counters.admitted += 1;
        // There may be room for the next one as well.
        line.wake_first();
        Ok(Ticket { gate: Arc::clone(gate), bytes })
    }

    /// Says that `used` may have fallen.
    pub fn poke(&self) {
        self.gate.line().changed();
    }

    /// Lets nobody in any more, also none of those that wait. Reservations stay until they are given
    /// back. The first reason stands.
    pub fn stop(&self, reason: impl Into<StopReason>) {
        let mut line = self.gate.line();
        line.stopped.get_or_insert_with(|| reason.into());
        line.waiting.iter().for_each(|wake| wake.notify_one());
    }

    /// How many bytes are reserved.
    pub fn reserved_bytes(&self) -> u64 {
        self.gate.line().reserved_bytes
    }

    /// What was counted so far.
    pub fn counters(&self) -> AdmissionCounters {
        self.gate.line().counters
    }
}

impl Gate {
    /// Waits until the one that sleeps at `wake` is first in line and has room, or nobody is let in any
    /// more.
    fn stand<'a>(
        &'a self,
        mut line: MutexGuard<'a, Line>,
        wake: &Arc<Condvar>,
        bytes: u64,
        used: impl Fn() -> u64,
    ) -> MutexGuard<'a, Line> {
        // How many changes there were when it asked last.
        let mut asked_at = None;
        while line.stopped.is_none() {
            let is_first = line.is_first(wake);
            if is_first && line.has_room(bytes, used(), self.capacity_bytes) {
                break;
            }
            if is_first && asked_at != Some(line.changes) {
                asked_at = Some(line.changes);
                drop(line);
                (self.want_checkpoint)();
                // What came of it may have been told already, and was then too little: so it looks again,
                // and asks again, before it sleeps.
                line = self.line();
                continue;
            }
            line = wake.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        line
    }

    /// Locks, whoever panicked before: every change of the line is whole before anything can panic.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn has_room(&self, bytes: u64, used_bytes: u64, capacity_bytes: u64) -> bool {
        used_bytes.saturating_add(self.reserved_bytes).saturating_add(bytes) <= capacity_bytes
    }

    fn is_first(&self, wake: &Arc<Condvar>) -> bool {
        self.waiting.front().is_some_and(|first| Arc::ptr_eq(first, wake))
    }

    fn leave(&mut self, wake: &Arc<Condvar>) {
        self.waiting.retain(|other| !Arc::ptr_eq(other, wake));
    }

    /// There may be more room.
    fn changed(&mut self) {
        self.changes += 1;
        self.wake_first();
    }

    fn wake_first(&self) {
        if let Some(first) = self.waiting.front() {
            first.notify_one();
        }
    }
}

impl Ticket {
    /// How many bytes it reserves.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut line = self.gate.line();
        let left = line.reserved_bytes.checked_sub(self.bytes);
        let reserved_bytes = line.reserved_bytes;
        line.reserved_bytes =
            left.unwrap_or_else(|| panic!("{} of {reserved_bytes} reserved bytes", self.bytes));
        line.changed();
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity_bytes = &self.gate.capacity_bytes;
        f.debug_struct("Admission").field("capacity_bytes", capacity_bytes).finish_non_exhaustive()
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
