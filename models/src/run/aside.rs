//! A recovery beside the run: what one that nothing disturbs comes to.
//!
//! # Method
//!
//! After a power loss everything on the disk is durable, so that a recovery which is itself cut off, however
//! often, has the same to start from. The state that an undisturbed one comes to, on a copy of the disk, is
//! kept, and the first state that is seen after the disturbed ones must be the same.
//!
//! # Invariant
//!
//! What is kept is compared once.

use std::sync::{Mutex, PoisonError};

use crate::engine::Pair;
use crate::oracle::{Breach, recovered};

/// What an undisturbed recovery came to.
#[derive(Debug, Default)]
pub(crate) struct Aside(Mutex<Option<Vec<Pair>>>);

impl Aside {
    /// Keeps the state of an undisturbed recovery.
    pub(crate) fn keep(&self, state: Vec<Pair>) {
        *self.kept() = Some(state);
    }

    /// Forgets what is kept: something else has happened to the disk since.
    pub(crate) fn forget(&self) {
        *self.kept() = None;
    }

    /// Compares the state that was found, and forgets what was kept.
    pub(crate) fn judge(&self, found: &[Pair]) -> Option<Breach> {
        let kept = self.kept().take()?;
        recovered::judge_repeated(&kept, found).err()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Vec<Pair>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
