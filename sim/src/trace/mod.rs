//! What happened in a run: typed events with virtual time, task and cause, and their digest.
//!
//! # Method
//!
//! Every event is folded into a 128-bit digest. The one that comes at every step, a preemption, goes
//! into a lane of 64 bits first, which is folded with the next event of another kind. Only when the
//! trace is kept are the events stored.
//!
//! # Invariant
//!
//! The digest is the same whether or not the trace is kept.

mod digest;
mod event;
mod json;

use falconry_seam::hook::Place;

pub use digest::Digest;
pub use event::{DiskOp, Event, EventId, TaskExit, What};
pub use json::{read_json_lines, write_json_lines};

/// The events of a run.
#[derive(Debug, Default)]
pub struct Trace {
    /// Virtual time of the next event, in nanoseconds. Kept by the machine.
    pub(crate) time_ns: u64,
    /// The scheduling decision after which it comes.
    pub(crate) step: u64,
    /// The task that does it.
    pub(crate) task: u32,
    digest: Digest,
    /// The preemptions since the last event of another kind; 0 without any.
    preempted: u64,
    count: u64,
    kept: Option<Vec<Event>>,
}

impl Trace {
    /// A trace that keeps its events, or only their digest.
    pub fn new(keep: bool) -> Self {
        Trace { kept: keep.then(Vec::new), ..Trace::default() }
    }

    /// Adds an event, and returns its number so that a later one can name it as its cause.
    // Where it is called the kind of the event is known: in place nothing of the others is left.
    #[inline(always)]
    pub fn event(&mut self, cause: Option<EventId>, what: What) -> EventId {
        let id = EventId(self.count);
        self.count += 1;
        let when = self.time_ns ^ u64::from(self.task) << 48 ^ self.preempted;
        self.preempted = 0;
        what.fold(&mut self.digest, when, self.step);
        if self.kept.is_some() {
            self.keep(id, cause, what);
        } else if what.owns_nothing() {
            std::mem::forget(what);
        }
        id
    }

    /// As [`Trace::event`] with [`What::Preempt`]: the one event that comes at every step.
    #[inline]
    pub(crate) fn preempt(&mut self, to: u32, place: Option<Place>) {
        // The lowest bit says that the lane is in use.
        let turn = self.time_ns ^ self.step.rotate_left(24) ^ u64::from(to) << 48;
        self.preempted =
            ((self.preempted ^ turn).wrapping_mul(0x9E37_79B9_7F4A_7C15)).rotate_left(29) | 1;
        self.count += 1;
        if self.kept.is_some() {
            let at = place.map_or(String::new(), |at| format!("{}:{}", at.file(), at.line()));
            self.keep(EventId(self.count - 1), None, What::Preempt { to, at: at.into() });
        }
    }

    /// As [`Trace::event`] with [`What::Spawn`]: the name is copied only if the trace is kept.
    #[inline]
    pub(crate) fn spawn(&mut self, child: u32, name: &str) {
        let when = self.time_ns ^ u64::from(self.task) << 48 ^ self.preempted;
        self.preempted = 0;
        event::fold_spawn(&mut self.digest, when, self.step, child, name);
        self.count += 1;
        if self.kept.is_some() {
            self.keep(EventId(self.count - 1), None, What::Spawn { child, name: name.into() });
        }
    }

    #[cold]
    fn keep(&mut self, id: EventId, cause: Option<EventId>, what: What) {
        let Trace { step, time_ns, task, .. } = *self;
        self.kept.get_or_insert_default().push(Event { id, step, time_ns, task, cause, what });
    }

    /// Whether events are stored: details that cost something to make are made only then.
    #[inline]
    pub fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// Virtual time in nanoseconds.
    #[inline]
    pub fn time_ns(&self) -> u64 {
        self.time_ns
    }

    /// Scheduling decisions so far.
    #[inline]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Digest of all events so far.
    #[inline]
    pub fn digest(&self) -> Digest {
        let mut digest = self.digest;
        if self.preempted != 0 {
            digest.fold(self.preempted, self.count);
        }
        digest
    }

    /// The stored events; none when the trace is not kept.
    pub fn events(&self) -> &[Event] {
        self.kept.as_deref().unwrap_or(&[])
    }

    /// Takes the stored events out.
    pub fn take(&mut self) -> Vec<Event> {
        self.kept.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
