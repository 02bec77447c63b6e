//! First finds of shuttle's schedulers.
//!
//! # Method
//!
//! A runner runs one execution after the other, as many as the limit allows; the first failure unwinds
//! out of it. A scheduler of ours around shuttle's counts the executions. A scheduler keeps what it
//! learns from one execution for the next: how long the program is, how many events each task has.

use super::effort::{Effort, LIMIT};
use super::ports::Port;
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId, UrwRandomScheduler,
};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A scheduler of shuttle's.
#[derive(Clone, Copy, Debug)]
pub enum Peer {
    /// Each task that can run is as likely as any other.
    Random,
    /// Random priorities that change at `depth - 1` points.
    Pct {
        /// The depth of the bugs that it is made for.
        depth: usize,
    },
    /// Each interleaving is as likely as any other, as far as the program's length is known.
    Urw,
}

/// Executions until the port fails, from one starting seed.
///
/// # Errors
///
/// When it fails otherwise than by its bug.
pub fn first_find(peer: Peer, port: &Port, seed: u64, steps_max: u64) -> Result<Effort, String> {
    let limit = LIMIT as usize;
    match peer {
        Peer::Random => run(RandomScheduler::new_from_seed(seed, limit), port, steps_max),
        Peer::Pct { depth } => {
            run(PctScheduler::new_from_seed(seed, depth, limit), port, steps_max)
        }
        Peer::Urw => run(UrwRandomScheduler::new_from_seed(seed, limit), port, steps_max),
    }
}

fn run(scheduler: impl Scheduler + 'static, port: &Port, steps_max: u64) -> Result<Effort, String> {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(steps_max as usize);
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    let begun = Arc::new(AtomicU64::new(0));
    let runner = Runner::new(Counted { scheduler, begun: Arc::clone(&begun) }, config);
    let ended = catch_unwind(AssertUnwindSafe(|| runner.run(port.program)));
    let schedules = begun.load(Ordering::Relaxed);
    match ended {
        Ok(_) => Ok(Effort { schedules, found: false }),
        Err(payload) => match words(&*payload) {
            words if words.contains(port.failure) => Ok(Effort { schedules, found: true }),
            words => Err(format!("it fails otherwise: {words}")),
        },
    }
}

fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref().copied()).unwrap_or("a payload that is no text")
}

/// Counts the executions that were begun.
struct Counted<S> {
    scheduler: S,
    begun: Arc<AtomicU64>,
}

impl<S: Scheduler> Scheduler for Counted<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        let next = self.scheduler.new_execution();
        self.begun.fetch_add(u64::from(next.is_some()), Ordering::Relaxed);
        next
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        self.scheduler.next_task(runnable, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.scheduler.next_u64()
    }
}
