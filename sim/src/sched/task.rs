//! Tasks: what the scheduler knows of each.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};

use falconry_seam::hook::{LockMode, Place, TaskId, Wake};

use super::fiber::Fiber;

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: it runs or could run.
    Nothing,
    /// A lock.
    Lock { object: u32, mode: LockMode },
    /// A notification of a condition variable.
    Queue { object: u32 },
    /// The end of another task.
    Join { task: TaskId },
    /// A token of `unpark`.
    Park,
    /// The clock alone.
    Sleep,
    /// A third-party lock's word.
    Futex { address: usize },
    /// Nothing that could come: its calls after the power went are used up.
    Budget,
    /// It has ended.
    Ended,
}

impl Wait {
    /// The word in traces.
    pub(super) fn word(self) -> &'static str {
        match self {
            Wait::Nothing => "nothing",
            Wait::Lock { mode: LockMode::Exclusive, .. } => "lock",
            Wait::Lock { mode: LockMode::Shared, .. } => "read lock",
            Wait::Queue { .. } => "condition",
            Wait::Join { .. } => "end of",
            Wait::Park => "unpark",
            Wait::Sleep => "clock",
            Wait::Futex { .. } => "futex",
            Wait::Budget => "budget",
            Wait::Ended => "ended",
        }
    }

    /// A number that tells it apart in traces; never an address.
    pub(super) fn object(self) -> u64 {
        match self {
            Wait::Lock { object, .. } | Wait::Queue { object } => u64::from(object),
            Wait::Join { task } => u64::from(task),
            _ => 0,
        }
    }
}

/// A panic as the hook saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PanicNote {
    pub(crate) message: String,
    /// `file:line` of the panic.
    pub(crate) place: String,
}

/// One task.
pub(super) struct Task {
    pub(super) name: Option<Cow<'static, str>>,
    /// Its run, until it has ended.
    pub(super) fiber: Option<Fiber>,
    pub(super) wait: Wait,
    pub(super) place: Option<Place>,
    /// Why the last wait ended.
    pub(super) wake: Wake,
    /// Whether the wait has a deadline, so that it ends at once when the power goes.
    pub(super) has_deadline: bool,
    /// Counts waits, so that a timer of an earlier one is known as stale.
    pub(super) generation: u32,
    /// Who waits for its end: mostly one.
    pub(super) joiner: Option<TaskId>,
    pub(super) more_joiners: Vec<TaskId>,
    pub(super) token: bool,
    pub(super) foreign: u32,
    /// How often `PowerOff` was thrown into it.
    pub(super) thrown: u32,
    /// Calls of the seam since the power went.
    pub(super) calls_off: u32,
    pub(super) unwinding: bool,
    /// Its last panic.
    pub(super) panic: Option<Box<PanicNote>>,
    /// Whether that panic was caught: the task was seen not to unwind since.
    pub(super) panic_is_over: bool,
    pub(super) locals: Vec<Option<Box<dyn Any>>>,
    pub(super) locals_over: bool,
}

impl Task {
    fn new() -> Self {
        Task {
            name: None,
            fiber: None,
            wait: Wait::Ended,
            place: None,
            wake: Wake::Notified,
            has_deadline: false,
            generation: 0,
            joiner: None,
            more_joiners: Vec::new(),
            token: false,
            foreign: 0,
            thrown: 0,
            calls_off: 0,
            unwinding: false,
            panic: None,
            panic_is_over: false,
            locals: Vec::new(),
            locals_over: false,
        }
    }

    /// Drops what it owns, and keeps the memory of its tables.
    fn end(&mut self) {
        if self.fiber.is_some() || self.panic.is_some() || !self.locals.is_empty() {
            (self.fiber, self.panic) = (None, None);
            self.locals.clear();
        }
    }

    /// Becomes another task, in place: a task is long, and is not moved.
    fn begin(&mut self, called: Option<Cow<'static, str>>, run: Fiber) {
        // Without `..`: a field that is added is set here too.
        let Task {
            name,
            fiber,
            wait,
            place,
            wake,
            has_deadline,
            generation,
            joiner,
            more_joiners,
            token,
            foreign,
            thrown,
            calls_off,
            unwinding,
            panic,
            panic_is_over,
            locals,
            locals_over,
        } = self;
        (*name, *fiber, *wait, *place) = (called, Some(run), Wait::Nothing, None);
        (*wake, *has_deadline, *generation, *joiner) = (Wake::Notified, false, 0, None);
        (*token, *foreign, *thrown, *calls_off, *unwinding) = (false, 0, 0, 0, false);
        (*panic, *panic_is_over, *locals_over) = (None, false, false);
        more_joiners.clear();
        locals.clear();
    }

    /// Somebody waits for its end.
    pub(super) fn add_joiner(&mut self, joiner: TaskId) {
        match self.joiner {
            None if self.more_joiners.is_empty() => self.joiner = Some(joiner),
            _ => self.more_joiners.push(joiner),
        }
    }

    /// `joiner` waits no more.
    pub(super) fn remove_joiner(&mut self, joiner: TaskId) {
        self.joiner.take_if(|first| *first == joiner);
        self.more_joiners.retain(|other| *other != joiner);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.wait == Wait::Ended
    }
}

/// The tasks of a boot, by their numbers. The memory of those of earlier boots is used again.
#[derive(Default)]
pub(super) struct Tasks {
    all: Vec<Task>,
    count: usize,
}

impl Tasks {
    /// Forgets every task.
    pub(super) fn clear(&mut self) {
        self.iter_mut().for_each(Task::end);
        self.count = 0;
    }

    /// The task of this number, which has begun in this boot.
    #[inline]
    pub(super) fn at(&mut self, id: TaskId) -> &mut Task {
        debug_assert!((id as usize) < self.count, "task {id} has not begun");
        // One bound in place of two: it comes at every point.
        &mut self.all[id as usize]
    }

    /// Adds a task, which gets the next number.
    #[inline]
    pub(super) fn add(&mut self, name: Option<Cow<'static, str>>, fiber: Fiber) {
        if self.count == self.all.len() {
            self.all.push(Task::new());
        }
        self.all[self.count].begin(name, fiber);
        self.count += 1;
    }
}

impl Deref for Tasks {
    type Target = [Task];

    #[inline]
    fn deref(&self) -> &[Task] {
        &self.all[..self.count]
    }
}

impl DerefMut for Tasks {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Task] {
        &mut self.all[..self.count]
    }
}

/// A task's number and name, as reports show it.
pub(super) struct Named<'a>(pub(super) TaskId, pub(super) &'a Task);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.1.name {
            Some(name) => write!(f, "task {} '{name}'", self.0),
            None => write!(f, "task {}", self.0),
        }
    }
}
