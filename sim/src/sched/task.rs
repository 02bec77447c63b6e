//! Tasks: what the scheduler knows of each.

use std::any::Any;
use std::fmt;

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
    pub(super) name: Option<Box<str>>,
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
    pub(super) fn new(name: Option<&str>, fiber: Fiber) -> Self {
        Task {
            name: name.map(Into::into),
            fiber: Some(fiber),
            wait: Wait::Nothing,
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
