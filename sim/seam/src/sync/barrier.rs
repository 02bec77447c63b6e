//! A barrier, built on the seam's own lock and condition variable.

use std::fmt;
use std::sync::PoisonError;

use super::condvar::Condvar;
use super::mutex::Mutex;

/// A point where a fixed number of threads wait for each other, in the shape of [`std::sync::Barrier`].
pub struct Barrier {
    state: Mutex<State>,
    released: Condvar,
    thread_count: usize,
}

/// Whether this thread was the last to come to the barrier.
#[derive(Debug)]
pub struct BarrierWaitResult(bool);

struct State {
    arrived: usize,
    generation: usize,
}

impl BarrierWaitResult {
    /// True for exactly one thread of each generation.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl Barrier {
    /// A barrier for `thread_count` threads. 0 and 1 never wait.
    pub const fn new(thread_count: usize) -> Self {
        Barrier {
            state: Mutex::new(State { arrived: 0, generation: 0 }),
            released: Condvar::new(),
            thread_count,
        }
    }

    /// Waits until all threads have come here; the barrier is then ready for the next generation.
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.arrived += 1;
        if state.arrived >= self.thread_count {
            state.arrived = 0;
            state.generation = state.generation.wrapping_add(1);
            self.released.notify_all();
            return BarrierWaitResult(true);
        }
        let generation = state.generation;
        while state.generation == generation {
            state = self.released.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        BarrierWaitResult(false)
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}
