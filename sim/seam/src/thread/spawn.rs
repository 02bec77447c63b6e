//! Starting threads and waiting for their results.

use std::fmt;
use std::io;
use std::panic::Location;
use std::thread;

use super::handle::Thread;
use super::job::{self, TaskResult};
use crate::hook::{self, Body, Machine, TaskId};

/// How a thread is started, in the shape of [`std::thread::Builder`].
#[derive(Debug, Default)]
#[must_use = "must eventually spawn the thread"]
pub struct Builder {
    pub(super) name: Option<String>,
    stack_bytes: Option<usize>,
}

/// Owned permission to wait for a thread, in the shape of [`std::thread::JoinHandle`].
pub struct JoinHandle<T> {
    thread: Thread,
    kind: Kind<T>,
}

enum Kind<T> {
    Real(thread::JoinHandle<T>),
    Task { id: TaskId, result: TaskResult<'static, T> },
}

/// Starts a thread.
///
/// # Panics
///
/// When the system (or the machine) refuses; [`Builder::spawn`] returns that as an error.
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(f).expect("failed to spawn thread")
}

impl Builder {
    /// A thread without a name, with a stack of the usual size.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the thread.
    pub fn name(mut self, name: String) -> Builder {
        self.name = Some(name);
        self
    }

    /// Sets the size of its stack in bytes.
    pub fn stack_size(mut self, size: usize) -> Builder {
        self.stack_bytes = Some(size);
        self
    }

    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system (or the machine) refuses.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let Some(machine) = hook::current() else {
            let handle = self.std().spawn(f)?;
            let thread = Thread::real(handle.thread().clone());
            return Ok(JoinHandle { thread, kind: Kind::Real(handle) });
        };
        let (body, result) = job::new(f, None);
        let id = self.spawn_task(machine, body.into())?;
        let thread = Thread::task(id, self.name.as_deref());
        Ok(JoinHandle { thread, kind: Kind::Task { id, result } })
    }

    #[track_caller]
    pub(super) fn spawn_task(&self, machine: &dyn Machine, body: Body) -> io::Result<TaskId> {
        let stack_bytes = self.stack_bytes.unwrap_or(0);
        machine.spawn(self.name.as_deref(), stack_bytes, body, Location::caller())
    }

    pub(super) fn std(self) -> thread::Builder {
        let mut builder = thread::Builder::new();
        if let Some(name) = self.name {
            builder = builder.name(name);
        }
        if let Some(bytes) = self.stack_bytes {
            builder = builder.stack_size(bytes);
        }
        builder
    }
}

impl<T> JoinHandle<T> {
    /// Waits until the thread has ended, and returns its result.
    ///
    /// # Errors
    ///
    /// The payload of the thread's panic; [`PowerOff`](crate::PowerOff) when the power went before it
    /// was done.
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        match self.kind {
            Kind::Real(handle) => handle.join(),
            Kind::Task { id, result } => {
                join_task(id);
                result.take()
            }
        }
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.kind {
            Kind::Real(handle) => handle.is_finished(),
            Kind::Task { id, .. } => is_task_finished(*id),
        }
    }

    /// The thread.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        &self.thread
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("thread", &self.thread).finish_non_exhaustive()
    }
}

/// Waits for a task. Without a machine it has ended: its machine's boot is over.
#[track_caller]
pub(super) fn join_task(id: TaskId) {
    if let Some(machine) = hook::current() {
        machine.join(id, Location::caller());
    }
}

/// Whether a task has ended. Without a machine it has.
pub(super) fn is_task_finished(id: TaskId) -> bool {
    hook::current().is_none_or(|machine| machine.is_finished(id))
}
