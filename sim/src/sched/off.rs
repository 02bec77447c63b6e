//! The power-off: how tasks are ended so that nothing blocks, aborts or leaks.
//!
//! # Method
//!
//! 1. *Drain.* No task is unwound. Each that can run is resumed, in drawn order, for at most
//!    [`CALLS_OFF_MAX`] calls of the seam. Calls that can fail do; waits with a deadline end; a free
//!    lock is granted, a held one waits for its holder. Most tasks end here, by returning.
//! 2. *Unwind.* A task that still waits, or used up its calls, is thrown [`PowerOff`]; its
//!    destructors may wait for locks, and are never thrown into again. If it swallows the payload it
//!    is thrown again, three times in all.
//! 3. *Abandon.* What is left, or has a foreign frame, is left where it is, with its stack and heap.
//!
//! # Invariant
//!
//! Whether a task was thrown is a flag of the task: `std::thread::panicking` speaks of all tasks of
//! the OS thread.

#![expect(
    clippy::disallowed_methods,
    reason = "the scheduler tells the tasks of an OS thread apart by itself"
)]

use falconry_seam::hook::{TaskId, Wake};

use super::kernel::{Command, Kernel};
use super::state::{Phase, State};
use super::task::Wait;
use crate::trace::What;

/// Calls of the seam that a task may make in each of the two steps.
const CALLS_OFF_MAX: u32 = 1_000;

/// How often a task may swallow the payload.
const THROWS_MAX: u32 = 3;

impl Kernel {
    /// Ends every task that still lives.
    pub(super) fn end_tasks(&self) {
        if !self.broken.get() {
            self.drain();
            self.unwind();
        }
        self.abandon();
        self.borrow().phase = Phase::Over;
    }

    fn drain(&self) {
        {
            let mut state = self.borrow();
            assert_ne!(state.phase, Phase::On, "tasks are ended while the power is on");
            for task in 0..state.tasks.len() as TaskId {
                let waits = &state.tasks[task as usize];
                // One that used up its calls already stays given up, whatever it waited for before.
                let over = matches!(waits.wait, Wait::Nothing | Wait::Ended | Wait::Budget);
                let ends = waits.has_deadline && !over;
                if ends {
                    state.wake(task, Wake::TimedOut);
                }
            }
        }
        self.run_ready();
        while self.wake_futexes() {
            self.run_ready();
        }
    }

    /// Resumes whoever can run, in drawn order, until nobody can.
    fn run_ready(&self) {
        while !self.broken.get() {
            let task = {
                let mut state = self.borrow();
                let count = state.ready.len() as u64;
                let index = match count {
                    0 => return,
                    1 => 0,
                    _ => state.choices.choose("power/drain", count),
                };
                let task = state.ready.swap_remove(index as usize);
                state.turn_to(task);
                task
            };
            self.resume(task);
        }
    }

    /// Third-party locks cannot be thrown out of: their waiters look again, until their calls are
    /// used up.
    fn wake_futexes(&self) -> bool {
        let mut state = self.borrow();
        let waiters: Vec<TaskId> = state.futexes.iter().map(|(_, task)| *task).collect();
        waiters.iter().for_each(|task| state.wake(*task, Wake::Spurious));
        !waiters.is_empty()
    }

    fn unwind(&self) {
        self.borrow().phase = Phase::Unwind;
        while !self.broken.get() {
            let Some(task) = self.choose_to_throw() else { return };
            self.command.set(Command::Throw);
            self.resume(task);
            self.run_ready();
            while self.wake_futexes() {
                self.run_ready();
            }
        }
    }

    /// One of the tasks that can be thrown the payload, in drawn order; its wait is over.
    fn choose_to_throw(&self) -> Option<TaskId> {
        let mut state = self.borrow();
        let can = |state: &State, id: TaskId| {
            let task = &state.tasks[id as usize];
            !task.has_ended() && task.foreign == 0 && task.thrown == 0 && !task.unwinding
        };
        let all: Vec<TaskId> =
            (0..state.tasks.len() as TaskId).filter(|id| can(&state, *id)).collect();
        let index = match all.len() {
            0 => return None,
            1 => 0,
            count => state.choices.choose("power/unwind", count as u64) as usize,
        };
        let task = all[index];
        state.wake(task, Wake::Notified);
        state.ready.retain(|ready| *ready != task);
        state.tasks[task as usize].calls_off = 0;
        state.turn_to(task);
        Some(task)
    }

    fn abandon(&self) {
        let mut state = self.borrow();
        let left = state.tasks.iter().filter(|task| task.fiber.is_some()).count();
        if left > 0 {
            let waits: Vec<String> =
                state.waits().iter().map(|(task, wait)| format!("{task} {wait}")).collect();
            let (lane, text) = ("machine".into(), format!("abandoned: {}", waits.join("; ")));
            state.trace.event(None, What::Note { lane, text });
        }
        // Their frames may refer to anything: dropping a fiber frees nothing of it.
        state.tasks.iter_mut().for_each(|task| task.fiber = None);
        state.abandoned += left as u64;
    }

    /// A call of the seam that was made after the power went.
    #[cold]
    pub(crate) fn point_off(&self) {
        let mut state = self.borrow();
        if state.phase == Phase::Over {
            return;
        }
        let swallowed =
            state.me().thrown > 0 && state.me().foreign == 0 && !std::thread::panicking();
        if swallowed && state.me().thrown < THROWS_MAX {
            drop(state);
            self.throw();
        }
        let me = state.me();
        me.calls_off += 1;
        if swallowed || me.calls_off > CALLS_OFF_MAX {
            drop(state);
            self.give_up();
        }
    }

    /// The running task gets no further turn, unless it is thrown the payload.
    pub(super) fn give_up(&self) {
        let unwinding = self.is_unwinding();
        {
            let mut state = self.borrow();
            let me = state.me();
            me.wait = Wait::Budget;
            // What an earlier wait had: nothing ends this one but the payload.
            me.has_deadline = false;
            me.unwinding = unwinding;
        }
        self.suspend();
        unreachable!("a task that was given up was resumed");
    }

    /// Whether the running task is unwinding, as far as that can be told while others may be
    /// suspended in the middle of it.
    pub(crate) fn is_unwinding(&self) -> bool {
        self.borrow().is_unwinding()
    }
}

impl State {
    pub(super) fn is_unwinding(&mut self) -> bool {
        if !std::thread::panicking() {
            return false;
        }
        let me = self.me();
        if me.thrown > 0 || (me.panic.is_some() && !me.panic_is_over) {
            return true;
        }
        let current = self.current as usize;
        let others = self.tasks.iter().enumerate();
        !others
            .filter(|(id, task)| *id != current && !task.has_ended())
            .any(|(_, task)| task.unwinding)
    }
}
