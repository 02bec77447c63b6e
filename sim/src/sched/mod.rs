//! The scheduler: tasks with stacks of their own on one OS thread, in virtual time.
//!
//! # Method
//!
//! Each task has a stack of its own. A call of the seam is a scheduling point: the decision who runs
//! next is taken on the running task's stack, and stacks are switched only when another task was
//! picked: straight to that task's. When nobody can run, time jumps to the next timer; when there is none
//! either, that is a deadlock. A bound on steps turns a livelock into a verdict.
//!
//! # Invariant
//!
//! All tasks of a machine live on the OS thread that made it. No borrow of the machine's state is
//! held while stacks are switched.

mod cell;
mod fiber;
pub(crate) mod kernel;
mod object;
mod off;
mod overflow;
mod panics;
mod seam;
pub(crate) mod sites;
mod stack;
pub(crate) mod state;
mod strategy;
mod switch;
mod task;
mod timer;

pub use strategy::StrategyKind;

use serde::{Deserialize, Serialize};

/// What stopped a run, apart from the power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// Every task waits, and no timer is set.
    Deadlock,
    /// The bound on steps was reached.
    StepBudget,
    /// A task ended by a panic.
    Panic,
    /// A task ran out of stack.
    StackOverflow,
    /// An assertion of the engine failed.
    Assertion,
    /// The machine itself, or the way in which it is used, is at fault.
    Harness,
}

/// Why a run was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What kind of reason.
    pub kind: VerdictKind,
    /// The task that it is about, by number and name.
    pub task: String,
    /// In a sentence.
    pub message: String,
    /// The name of the assertion that failed, and how; empty where it was none.
    pub assertion: String,
    /// Where in the source, as `file:line`; empty where there is no one place.
    pub place: String,
    /// What each living task waited for.
    pub details: Vec<(String, String)>,
    /// The step at which the run was stopped.
    pub step: u64,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.task, self.message)?;
        if !self.place.is_empty() {
            write!(f, ", at {}", self.place)?;
        }
        for (task, wait) in &self.details {
            write!(f, "\n  {task} {wait}")?;
        }
        Ok(())
    }
}
