//! The running thread, and a handle to any.

use std::fmt;
use std::io;
use std::num::NonZero;
use std::panic::Location;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::hook::{self, Point, TaskId};
use crate::time;

/// A handle to a thread, in the shape of [`std::thread::Thread`].
#[derive(Clone)]
pub struct Thread(Which);

/// Identity of a thread among those that run, in the shape of [`std::thread::ThreadId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ThreadId(IdOf);

#[derive(Clone)]
enum Which {
    Real(thread::Thread),
    Task { id: TaskId, name: Option<Arc<str>> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum IdOf {
    Real(thread::ThreadId),
    Task(TaskId),
}

impl Thread {
    pub(super) fn real(thread: thread::Thread) -> Self {
        Thread(Which::Real(thread))
    }

    #[inline]
    pub(super) fn task(id: TaskId, name: Option<&str>) -> Self {
        Thread(Which::Task { id, name: name.map(Arc::from) })
    }

    /// Identity of the thread.
    #[must_use]
    pub fn id(&self) -> ThreadId {
        ThreadId(match &self.0 {
            Which::Real(thread) => IdOf::Real(thread.id()),
            Which::Task { id, .. } => IdOf::Task(*id),
        })
    }

    /// The name it was built with.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Which::Real(thread) => thread.name(),
            Which::Task { name, .. } => name.as_deref(),
        }
    }

    /// Ends the thread's next or present [`park`].
    pub fn unpark(&self) {
        match &self.0 {
            Which::Real(thread) => thread.unpark(),
            // Without a machine the task has ended, and nobody is parked.
            Which::Task { id, .. } => {
                if let Some(machine) = hook::current() {
                    machine.unpark(*id);
                }
            }
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IdOf::Real(id) => id.fmt(f),
            IdOf::Task(id) => f.debug_tuple("TaskId").field(&id).finish(),
        }
    }
}

/// The running thread.
#[must_use]
pub fn current() -> Thread {
    match hook::current() {
        Some(machine) => {
            let id = machine.task();
            Thread::task(id, machine.task_name(id).as_deref())
        }
        None => Thread::real(thread::current()),
    }
}

/// Whether the running thread unwinds.
#[inline]
#[must_use]
pub fn panicking() -> bool {
    match hook::current() {
        Some(machine) => machine.panicking(),
        None => thread::panicking(),
    }
}

/// Waits for an [`Thread::unpark`] of this thread; also returns for no reason.
#[track_caller]
pub fn park() {
    match hook::current() {
        Some(machine) => {
            machine.park(None, Location::caller());
        }
        None => thread::park(),
    }
}

/// Waits as [`park`] does, for `timeout` at most.
#[track_caller]
pub fn park_timeout(timeout: Duration) {
    match hook::current() {
        Some(machine) => {
            machine.park(time::deadline_ns(machine, timeout), Location::caller());
        }
        None => thread::park_timeout(timeout),
    }
}

/// Waits for `duration` at least.
#[track_caller]
pub fn sleep(duration: Duration) {
    match hook::current() {
        Some(machine) => {
            let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            machine.sleep(ns, Location::caller());
        }
        None => thread::sleep(duration),
    }
}

/// Offers the processor to other threads.
#[inline]
#[track_caller]
pub fn yield_now() {
    match hook::current() {
        Some(machine) => machine.point(Point::Yield, std::panic::Location::caller()),
        None => thread::yield_now(),
    }
}

/// How many threads can make progress at once.
///
/// # Errors
///
/// As [`std::thread::available_parallelism`]; never on a machine.
pub fn available_parallelism() -> io::Result<NonZero<usize>> {
    match hook::current() {
        Some(machine) => Ok(NonZero::new(machine.processors()).unwrap_or(NonZero::<usize>::MIN)),
        None => thread::available_parallelism(),
    }
}
