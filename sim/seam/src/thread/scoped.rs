//! Threads that may borrow, because their scope waits for them.
//!
//! # Method
//!
//! A scope counts its real threads and lists its tasks, and waits for all of both before it returns. If
//! its closure panics, the panic is held back meanwhile, as in std. Only at power-off, when the machine
//! unwinds the waiting task itself, does the waiting go on in a destructor, while unwinding.
//!
//! # Invariant
//!
//! No frame that a scoped thread may borrow from is left while that thread runs, however it is left.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::handle::Thread;
use super::job::{self, TaskResult};
use super::spawn::{Builder, is_task_finished, join_task};
use crate::hook::{self, PowerOff, TaskEnd, TaskId};

/// Where scoped threads are started, in the shape of [`std::thread::Scope`].
pub struct Scope<'scope, 'env: 'scope> {
    children: Arc<Children>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Owned permission to wait for a scoped thread, in the shape of [`std::thread::ScopedJoinHandle`].
pub struct ScopedJoinHandle<'scope, T> {
    thread: Thread,
    kind: Kind<'scope, T>,
    children: Arc<Children>,
    result: TaskResult<'scope, T>,
}

enum Kind<'scope, T> {
    Real(thread::JoinHandle<()>, PhantomData<&'scope T>),
    Task(TaskId),
}

/// Runs `f`, in which scoped threads can be started, and returns when all of them have ended.
///
/// # Panics
///
/// When `f` panics, or a scoped thread did whose handle was not joined.
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope =
        Scope { children: Arc::new(Children::default()), scope: PhantomData, env: PhantomData };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    let wait = WaitForAll(&scope.children);
    match result {
        // The task is being ended. Its children are waited for while it unwinds: by `wait`'s drop.
        Err(payload) if payload.is::<PowerOff>() => resume_unwind(payload),
        Err(payload) => {
            wait.finish();
            resume_unwind(payload)
        }
        Ok(value) => {
            wait.finish();
            if scope.children.lock().unhandled_panics > 0 {
                panic!("a scoped thread panicked");
            }
            value
        }
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Starts a thread that ends before the scope does.
    ///
    /// # Panics
    ///
    /// When the system (or the machine) refuses; [`Builder::spawn_scoped`] returns that as an error.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        Builder::new().spawn_scoped(self, f).expect("failed to spawn thread")
    }
}

impl Builder {
    /// Starts a thread that ends before `scope` does.
    ///
    /// # Errors
    ///
    /// When the system (or the machine) refuses.
    #[track_caller]
    pub fn spawn_scoped<'scope, 'env, F, T>(
        self,
        scope: &'scope Scope<'scope, 'env>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let children = Arc::clone(&scope.children);
        let (body, result) = job::new(f, Some(Arc::clone(&children)));
        let (thread, kind) = match hook::current() {
            Some(machine) => {
                // SAFETY: the scope joins this task before anything that `run` borrows ends.
                let body = unsafe { body.forget_scope() };
                let id = self.spawn_task(machine, body)?;
                children.lock().tasks.push(id);
                (Thread::task(id, self.name.as_deref()), Kind::Task(id))
            }
            None => {
                let handle = spawn_real(self, Arc::clone(&children), move || body.run())?;
                (Thread::real(handle.thread().clone()), Kind::Real(handle, PhantomData))
            }
        };
        Ok(ScopedJoinHandle { thread, kind, children, result })
    }
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits until the thread has ended, and returns its result.
    ///
    /// # Errors
    ///
    /// The payload of the thread's panic; [`PowerOff`] when the power went before it was done.
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        match self.kind {
            Kind::Real(handle, _) => handle.join()?,
            Kind::Task(id) => join_task(id),
        }
        let result = self.result.take();
        if result.as_ref().is_err_and(|payload| !payload.is::<PowerOff>()) {
            self.children.lock().unhandled_panics -= 1;
        }
        result
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.kind {
            Kind::Real(handle, _) => handle.is_finished(),
            Kind::Task(id) => is_task_finished(*id),
        }
    }

    /// The thread.
    #[must_use]
    pub fn thread(&self) -> &Thread {
        &self.thread
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle").field("thread", &self.thread).finish_non_exhaustive()
    }
}

/// The threads of one scope.
#[derive(Default)]
pub(super) struct Children {
    state: Mutex<State>,
    one_ended: Condvar,
}

#[derive(Default)]
struct State {
    real_running: usize,
    /// Tasks that the scope has not waited for.
    tasks: Vec<TaskId>,
    unhandled_panics: usize,
}

impl Children {
    // std's lock: it is never held across a call of the seam.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A thread of the scope panicked.
    pub(super) fn note_panic(&self) {
        self.lock().unhandled_panics += 1;
    }

    #[track_caller]
    fn wait(&self) {
        if hook::current().is_none() && !self.lock().tasks.is_empty() {
            // Returning would free what those tasks borrow.
            eprintln!("a thread scope of a simulated machine is left outside it; aborting");
            std::process::abort();
        }
        // The number is taken off the list only afterwards: the wait may be cut short by power-off.
        while let Some(id) = { self.lock().tasks.last().copied() } {
            join_task(id);
            self.lock().tasks.retain(|other| *other != id);
        }
        let mut state = self.lock();
        while state.real_running > 0 {
            state = self.one_ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Waits for a scope's threads when it is dropped, unless that was done already.
struct WaitForAll<'a>(&'a Children);

impl WaitForAll<'_> {
    /// Waits outside a destructor, where the machine may still throw; `drop` then goes on waiting.
    #[track_caller]
    fn finish(self) {
        self.0.wait();
    }
}

impl Drop for WaitForAll<'_> {
    fn drop(&mut self) {
        self.0.wait();
    }
}

/// Starts a real thread and counts it as running until `run` and all it borrows are gone.
fn spawn_real<'scope, F>(
    builder: Builder,
    children: Arc<Children>,
    run: F,
) -> io::Result<thread::JoinHandle<()>>
where
    F: FnOnce() -> TaskEnd + Send + 'scope,
{
    children.lock().real_running += 1;
    let counted = Running(children);
    let body = move || {
        // Dropped last, also when the system refuses the thread and `body` with it.
        let _counted = counted;
        run();
    };
    // SAFETY: the scope waits until `_counted` is dropped, and `run` is consumed before that. (If the
    // thread is refused, `body` is dropped right here.)
    unsafe { builder.std().spawn_unchecked(body) }
}

/// One real thread that is running.
struct Running(Arc<Children>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().real_running -= 1;
        self.0.one_ended.notify_all();
    }
}
