//! What a thread does, and where it leaves its result for whoever joins it: one piece of memory.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::thread;

use super::half::{Both, Half};
use super::scoped::Children;
use crate::hook::{PowerOff, TaskEnd};

/// What a task does from beginning to end.
pub struct Body(BodyOf<'static>);

/// The half of a job that is run; its work may borrow.
pub(super) struct BodyOf<'scope> {
    job: Half<dyn Run + 'scope>,
    /// The scope that hears of its panic.
    scope: Option<Arc<Children>>,
}

/// The half of a job that whoever joins its task holds.
pub(super) struct TaskResult<'scope, T>(Half<dyn Take<T> + 'scope>);

/// The two halves of the job that does `f`, for a scope or for none.
pub(super) fn new<'scope, F, T>(
    f: F,
    scope: Option<Arc<Children>>,
) -> (BodyOf<'scope>, TaskResult<'scope, T>)
where
    F: FnOnce() -> T + Send + 'scope,
    T: Send + 'scope,
{
    let (run, take) = Half::pair(Job { f: Cell::new(Some(f)), result: Cell::new(None) });
    let run = run.widen(|job| -> NonNull<Both<dyn Run + 'scope>> { job });
    let take = take.widen(|job| -> NonNull<Both<dyn Take<T> + 'scope>> { job });
    (BodyOf { job: run, scope }, TaskResult(take))
}

struct Job<F, T> {
    f: Cell<Option<F>>,
    result: Cell<Option<thread::Result<T>>>,
}

// SAFETY: one thread at a time touches a job: who runs it, until its half is gone; who joins it once it
// sees that it is alone.
unsafe impl<F: Send, T: Send> Sync for Job<F, T> {}

trait Run: Send + Sync {
    fn run(&self) -> TaskEnd;
}

trait Take<T>: Send + Sync {
    fn take(&self) -> Option<thread::Result<T>>;
}

impl<F: FnOnce() -> T + Send, T: Send> Run for Job<F, T> {
    fn run(&self) -> TaskEnd {
        let f = self.f.take().expect("a job is run once");
        let result = catch_unwind(AssertUnwindSafe(f));
        let end = how_ended(&result);
        self.result.set(Some(result));
        end
    }
}

impl<F: Send, T: Send> Take<T> for Job<F, T> {
    fn take(&self) -> Option<thread::Result<T>> {
        self.result.take()
    }
}

impl Body {
    /// Does it. Never unwinds, and gives up its half of the job before it returns, so that a result
    /// which nobody will ask for is dropped here, on the task's own stack.
    pub fn run(self) -> TaskEnd {
        self.0.run()
    }
}

impl<'scope> BodyOf<'scope> {
    /// As [`Body::run`].
    pub(super) fn run(self) -> TaskEnd {
        let BodyOf { job, scope } = self;
        let mut end = job.run();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(job)));
        if end == TaskEnd::Returned {
            end = how_ended(&dropped);
        }
        if let Some(scope) = scope
            && end == TaskEnd::Panicked
        {
            scope.note_panic();
        }
        end
    }

    /// A body that may be kept for longer than what it borrows.
    ///
    /// # Safety
    ///
    /// It must have run, or been dropped, before `'scope` ends.
    pub(super) unsafe fn forget_scope(self) -> Body {
        // SAFETY: only the lifetime changes, for which the caller vouches.
        Body(unsafe { std::mem::transmute::<BodyOf<'scope>, BodyOf<'static>>(self) })
    }
}

impl From<BodyOf<'static>> for Body {
    fn from(body: BodyOf<'static>) -> Self {
        Body(body)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

impl<T> TaskResult<'_, T> {
    /// The result of a task that has ended. One that the power ended before it began left none, nor did
    /// one whose stack was left with its half of the job.
    pub(super) fn take(self) -> thread::Result<T> {
        let result = if self.0.is_alone() { self.0.take() } else { None };
        result.unwrap_or_else(|| Err(Box::new(PowerOff)))
    }
}

fn how_ended<R>(result: &thread::Result<R>) -> TaskEnd {
    match result {
        Ok(_) => TaskEnd::Returned,
        Err(payload) if payload.is::<PowerOff>() => TaskEnd::PowerOff,
        Err(_) => TaskEnd::Panicked,
    }
}
