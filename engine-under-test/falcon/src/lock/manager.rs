//! The locks as threads see them: they ask, sleep and are woken.
//!
//! # Method
//!
//! All locks are under one mutex, which is held for no longer than a look. Who has to wait sleeps at a
//! condition of its own, and is woken when whoever gave the lock back has made it the holder, or has ended
//! its wait to break a deadlock. A wait that is over for another reason is taken out of the queue by the
//! thread that waited. Who waits beyond its time, for transactions that are durable already, looks again
//! whenever anything changes.
//!
//! # Invariant
//!
//! Whether a wait is over is told by the locks alone, so that a thread may be woken for no reason.

use std::fmt;

use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use falconry_seam::time::{Duration, Instant};
use falconry_seam::{planted, reachable, sometimes};

use super::queue::Request;
use super::state::{Answer, State, told};
use super::{LockMode, LockName};
use crate::{Error, Result, StopReason, TxnId};

/// Locks of transactions. Threads share it.
pub struct LockManager {
    state: Mutex<State>,
    wait_timeout: Duration,
}

/// What a [`LockManager`] has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockCounters {
    /// Locks that a transaction got, or got in a stronger mode.
    pub granted: u64,
    /// Requests that had to wait.
    pub waited: u64,
    /// Requests that were refused because they would have waited for ever.
    pub deadlocks: u64,
    /// Requests that were refused because they had waited for too long.
    pub time_outs: u64,
}

/// What a thread asks for, and gets when its wait is over.
struct Wanted<'a> {
    txn: TxnId,
    name: &'a LockName,
    mode: LockMode,
}

impl LockManager {
    /// Locks that nobody holds. A request waits for `lock_wait_timeout` at most; if that is 0, what cannot
    /// be had at once is refused. Waits that are only for transactions which [are about to
    /// end](LockManager::ends) last until these have.
    pub fn new(lock_wait_timeout: Duration) -> LockManager {
        LockManager { state: Mutex::default(), wait_timeout: lock_wait_timeout }
    }

    /// Locks `name` for `txn` in `mode`, until [`LockManager::release_all`]. What the transaction holds of
    /// it already stays: it then holds the supremum of both modes. One thread at a time asks for a
    /// transaction, and a name is asked for in a mode that it takes ([`LockName::takes`]).
    ///
    /// Of those that would wait for each other for ever the youngest is refused, the one with the highest
    /// number, which may have waited for a while.
    ///
    /// # Errors
    ///
    /// [`Error::Deadlock`], [`Error::LockTimeout`] and [`Error::Stopped`]. The call has locked nothing,
    /// and what the transaction held before it holds still.
    pub fn lock(&self, txn: TxnId, name: &LockName, mode: LockMode) -> Result<()> {
        let mut state = self.state();
        if let Some(why) = &state.stopped {
            return Err(Error::Stopped(why.clone()));
        }
        let answer = state.request(txn, name, mode);
        let Answer::Busy { mode } = answer else {
            wake_all(&state.patient());
            return Ok(());
        };
        let wanted = Wanted { txn, name, mode };
        let wake = state.wait(txn, name, mode);
        while let Some(cycle) = state.cycle(txn) {
            reachable!("lock/deadlock");
            let keeps_wait = planted!("deadlock_leaves_its_wait");
            let (youngest, woken) = state.refuse_youngest(&cycle, keeps_wait);
            sometimes!(youngest != txn, "lock/deadlock ends another's wait");
            wake_all(&woken);
            if youngest == txn || keeps_wait {
                break;
            }
        }
        wake_all(&state.patient());
        self.sleep(state, &wake, &wanted)
    }

    /// Sleeps until the transaction has what it wants, or is not to have it.
    fn sleep(
        &self,
        mut state: MutexGuard<'_, State>,
        wake: &Condvar,
        wanted: &Wanted<'_>,
    ) -> Result<()> {
        let txn = wanted.txn;
        let start = Instant::now();
        let mut is_over = self.wait_timeout.is_zero();
        let mut has_waited = false;
        loop {
            if let Some(cycle) = state.take_refusal(txn) {
                state.set_patient(txn, false);
                let (name, mode, cycle) = (wanted.name.clone(), wanted.mode, told(&cycle));
                return Err(Error::Deadlock { txn, name, mode, cycle });
            }
            if state.waits_for(txn).is_none() {
                state.set_patient(txn, false);
                return Ok(());
            }
            if let Some(why) = state.stopped.clone() {
                state.leave(txn);
                state.set_patient(txn, false);
                return Err(Error::Stopped(why));
            }
            let left = self.wait_timeout.saturating_sub(start.elapsed());
            is_over |= left.is_zero();
            let held_up_by = if is_over { state.held_up_by(txn) } else { None };
            if let Some(behind) = held_up_by {
                return Err(self.timed_out(&mut state, wanted, behind));
            }
            state.counters.waited += u64::from(!has_waited);
            has_waited = true;
            reachable!("lock/wait");
            if is_over {
                reachable!("lock/wait beyond its time");
                state.set_patient(txn, true);
                state = wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            } else {
                let woken = wake.wait_timeout(state, left);
                let timed_out;
                (state, timed_out) = woken.unwrap_or_else(PoisonError::into_inner);
                is_over = timed_out.timed_out();
            }
        }
    }

    /// The transaction waits no longer, because of `behind`.
    fn timed_out(&self, state: &mut State, wanted: &Wanted<'_>, behind: TxnId) -> Error {
        state.counters.time_outs += 1;
        let Wanted { txn, name, mode } = wanted;
        if !planted!("time_out_leaves_its_wait") {
            wake_all(&state.leave(*txn));
        }
        state.set_patient(*txn, false);
        wake_all(&state.patient());
        let (name, timeout) = (LockName::clone(name), self.wait_timeout);
        Error::LockTimeout { txn: *txn, name, mode: *mode, timeout, behind }
    }

    /// Says that `txn` is durable: it asks for no lock any more, and all that it has will be given back
    /// without anybody else, unless [`LockManager::stop`] comes first. Who waits for none but such
    /// transactions is not refused for having waited too long.
    pub fn ends(&self, txn: TxnId) {
        self.state().ends(txn);
    }

    /// Gives back all locks of `txn`, if it has any, and wakes those who get them. Any thread may do so,
    /// while none waits for a lock of the transaction.
    pub fn release_all(&self, txn: TxnId) {
        let mut state = self.state();
        wake_all(&state.release_all(txn));
        wake_all(&state.patient());
    }

    /// Refuses all requests from now on, also those that wait. Locks that are held stay so until they are
    /// given back. The first reason stands.
    pub fn stop(&self, reason: impl Into<StopReason>) {
        let mut state = self.state();
        state.stopped.get_or_insert_with(|| reason.into());
        wake_all(&state.waiting());
    }

    /// Whether nobody holds a lock or waits for one.
    pub fn is_idle(&self) -> bool {
        self.state().is_idle()
    }

    /// What was counted so far.
    pub fn counters(&self) -> LockCounters {
        self.state().counters
    }

    /// Locks, whoever panicked before: every change of the state is whole before anything can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes those who waited. Each of them sleeps alone.
fn wake_all(woken: &[Request]) {
    woken.iter().for_each(|request| request.wake.notify_one());
}

impl fmt::Debug for LockManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wait_timeout = &self.wait_timeout;
        f.debug_struct("LockManager").field("wait_timeout", wait_timeout).finish_non_exhaustive()
    }
}
