//! Starting threads and waiting for their results.

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::thread;

use super::handle::Thread;
use crate::hook::{self, Machine, PowerOff, TaskEnd, TaskId};

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
    Task { id: TaskId, packet: Arc<Packet<T>> },
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
        let packet = Arc::new(Packet::new());
        let theirs = Arc::clone(&packet);
        let id = self.spawn_task(machine, Box::new(move || theirs.run(f)))?;
        let thread = Thread::task(id, self.name.as_deref());
        Ok(JoinHandle { thread, kind: Kind::Task { id, packet } })
    }

    #[track_caller]
    pub(super) fn spawn_task(
        &self,
        machine: &dyn Machine,
        body: Box<dyn FnOnce() -> TaskEnd>,
    ) -> io::Result<TaskId> {
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
    /// The payload of the thread's panic; [`PowerOff`] when the power went before it was done.
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        match self.kind {
            Kind::Real(handle) => handle.join(),
            Kind::Task { id, packet } => {
                join_task(id);
                packet.take()
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

/// Where a task leaves its result for whoever joins it.
pub(super) struct Packet<T> {
    result: UnsafeCell<Option<thread::Result<T>>>,
}

// SAFETY: the task alone touches the result while there are two shares of the packet, in `run`; who
// joins it takes it out of a packet that is nobody else's (`take`).
unsafe impl<T: Send> Sync for Packet<T> {}

impl<T> Packet<T> {
    pub(super) fn new() -> Self {
        Packet { result: UnsafeCell::new(None) }
    }

    /// The body of a task: runs `f`, leaves its result, and gives up its share of the packet, so that
    /// a result which nobody will ask for is dropped here, on the task's own stack. Never unwinds.
    pub(super) fn run(self: Arc<Self>, f: impl FnOnce() -> T) -> TaskEnd {
        let result = catch_unwind(AssertUnwindSafe(f));
        let end = how_ended(&result);
        // SAFETY: nobody but this reads or writes it before this share of the packet is gone.
        unsafe { *self.result.get() = Some(result) };
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(self)));
        if end == TaskEnd::Returned { how_ended(&dropped) } else { end }
    }

    /// The result of a task that has ended. One that the power ended before it began left none.
    pub(super) fn take(self: Arc<Self>) -> thread::Result<T> {
        // A task that the power ended for good, on a stack that was left, still has its share.
        let result = Arc::into_inner(self).and_then(|packet| packet.result.into_inner());
        result.unwrap_or_else(|| Err(Box::new(PowerOff) as Box<dyn Any + Send>))
    }
}

fn how_ended<R>(result: &thread::Result<R>) -> TaskEnd {
    match result {
        Ok(_) => TaskEnd::Returned,
        Err(payload) if payload.is::<PowerOff>() => TaskEnd::PowerOff,
        Err(_) => TaskEnd::Panicked,
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
