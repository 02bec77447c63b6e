//! The ticker: the thread that makes checkpoints when it is time, or when somebody asks.

use std::sync::Arc;
use std::time::Duration;

use falconry_seam::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::engine::Engine;

/// What the ticker and those who ask for checkpoints share.
#[derive(Default)]
pub(crate) struct Ticker {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Clone, Copy, Default)]
struct State {
    is_wanted: bool,
    ends: bool,
}

impl Ticker {
    /// Asks for a checkpoint soon.
    pub(crate) fn want(&self) {
        self.lock().is_wanted = true;
        self.wake.notify_all();
    }

    /// Ends the thread.
    pub(crate) fn end(&self) {
        self.lock().ends = true;
        self.wake.notify_all();
    }

    /// What the thread does until it is told to end, or the engine stops.
    pub(crate) fn run(&self, engine: &Arc<Engine>, interval: Duration) {
        while self.wait(interval) {
            if engine.checkpoint().is_err() {
                return;
            }
        }
    }

    /// Waits until it is time or a checkpoint is wanted; `false` when the thread is to end.
    fn wait(&self, interval: Duration) -> bool {
        let state = self.lock();
        let idle = |state: &mut State| !state.is_wanted && !state.ends;
        let waited = self.wake.wait_timeout_while(state, interval, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_wanted = false;
        !state.ends
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
